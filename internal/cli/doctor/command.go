// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/doctor"
)

const long = `Looks for what is wrong and says what to do.

Without a name it looks at the installation: CRDs, kuda-manager and kuda-webhook,
the leader's lease, the gateway's endpoints, the webhook and its CA, labels of
namespaces, whether nodes tell what they hold and are to be believed, kuda-node
where it is used (its driver, its policy, nodes without it and pods that wait for
it), and every DataSet and pod that something holds back; of all namespaces, or of
the one that -n names. With the name of a DataSet it looks at that one in depth: where its
rollout is, which pods failed and why, which lack the runtime, whether its pods
are placed as it asks, and whether the Secrets and ConfigMaps that it names are
there.

Each finding is ok, warning, problem, or unknown for what you may not read. It
changes nothing; whether the webhook answers, and whether pods may mount directories
of their node, is tried by dry runs.

Exit codes: 0 no problem, 1 at least one problem, 2 an error, or nothing of it may
be read.`

type options struct {
	frame  *frame.Frame
	output *frame.Output
	system string
	// named says that -n was given.
	named bool
}

// Command makes the command doctor.
func Command(f *frame.Frame) *cobra.Command {
	o := &options{frame: f}
	cmd := &cobra.Command{
		Use:               "doctor [NAME]",
		Short:             "Find what is wrong with the installation or a DataSet, and say what to do",
		Long:              long,
		GroupID:           frame.GroupLook,
		Args:              f.Args(frame.DataSetArgument.Optional()),
		ValidArgsFunction: f.CompleteDataSets,
		RunE: func(cmd *cobra.Command, args []string) error {
			flag := cmd.Flags().Lookup("namespace")
			o.named = flag != nil && flag.Changed
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return o.run(cmd.Context(), name)
		},
	}
	o.output = frame.AddOutput(cmd, frame.FormatJSON, frame.FormatYAML)
	cmd.Flags().StringVar(&o.system, "system-namespace", doctor.SystemNamespace, "namespace that Kuda is installed in")
	return cmd
}

func (o *options) run(ctx context.Context, name string) error {
	c, err := o.frame.Client()
	if err != nil {
		return err
	}
	namespace, err := o.frame.Namespace()
	if err != nil {
		return err
	}
	report, err := o.report(ctx, c, namespace, name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // an interrupted look is no look
	}
	if o.output.Machine() {
		err = o.output.Print(o.frame.Out, report)
	} else {
		err = renderReport(o.frame.Out, o.frame.Screen(), report)
	}
	switch {
	case err != nil:
		return err
	case report.IsBlind():
		return fmt.Errorf("nothing could be looked at; what could not be read: %s. Ask for the right to read them, or look at one DataSet "+
			"of your own by: %s doctor NAME", report.UnreadKinds(), o.frame.Program)
	case report.Summary.Problems > 0:
		return frame.Negative()
	}
	return nil
}

func (o *options) report(ctx context.Context, c client.Client, namespace, name string) (doctor.Report, error) {
	look := doctor.Look{System: o.system, Home: namespace, Now: o.frame.Now()}
	if name != "" {
		d, err := o.frame.DataSet(ctx, name)
		if err != nil {
			return doctor.Report{}, err
		}
		if config, err := o.frame.RESTConfig(); err == nil {
			look.Config = config
		}
		return look.DataSet(ctx, c, d), nil
	}
	if o.named {
		look.Scope = namespace
	}
	return look.Installation(ctx, c)
}
