// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package get

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/podexec"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/inspection"
)

const long = `Lists the files that a pod has of its DataSets, or of one of them: size, mode,
digest, and the item, version and revision that they belong to. Paths are below
the data directory, /kuda/data unless the installation says otherwise.

The pod's runtime is asked, by exec with your own rights. Without the right to
exec, or where the runtime does not run, what the pod reported is shown instead,
by item and without files; a note says so.

  kubectl kuda get web-0
  kubectl kuda get web-0 models -o wide     # whole digests
  kubectl kuda get web-0 -o json | jq '.dataSets[].items[].files[]'

Exit codes: 0 done, 2 an error.`

type options struct {
	frame   *frame.Frame
	output  *frame.Output
	connect func() (podexec.Runner, error)
}

// Command makes the command get.
func Command(f *frame.Frame) *cobra.Command {
	return newCommand(f, func() (podexec.Runner, error) { return podexec.Connect(f.RESTConfig) })
}

func newCommand(f *frame.Frame, connect func() (podexec.Runner, error)) *cobra.Command {
	o := &options{frame: f, connect: connect}
	cmd := &cobra.Command{
		Use:               "get POD [DATASET]",
		Short:             "List the files that a pod has, with their digests",
		Long:              long,
		GroupID:           frame.GroupLook,
		Args:              f.Args(frame.PodArgument, frame.DataSetArgument.Optional()),
		ValidArgsFunction: f.CompletePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], append(args, "")[1])
		},
	}
	o.output = frame.AddOutput(cmd, frame.FormatWide, frame.FormatJSON, frame.FormatYAML)
	return cmd
}

func (o *options) run(ctx context.Context, name, dataSet string) error {
	c, err := o.frame.Client()
	if err != nil {
		return err
	}
	namespace, err := o.frame.Namespace()
	if err != nil {
		return err
	}
	p, err := readPod(ctx, c, types.NamespacedName{Namespace: namespace, Name: name})
	if err != nil {
		return err
	}
	v := View{Namespace: namespace, Pod: name}
	found, err := o.inspectData(ctx, types.NamespacedName{Namespace: namespace, Name: name})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		v = ofRuntime(v, found, dataSet)
	default:
		data, statusErr := readData(ctx, c, namespace, name, p, dataSet)
		if statusErr != nil {
			return statusErr
		}
		v = ofStatus(v, data, errorNote(err))
	}
	if dataSet != "" && len(v.DataSets) == 0 {
		return fmt.Errorf("pod %s has nothing of a DataSet %s", name, dataSet)
	}
	return o.printView(v)
}

func (o *options) printView(v View) error {
	if o.output.Machine() {
		return o.output.Print(o.frame.Out, v)
	}
	if err := renderView(o.frame.Out, o.frame.Screen(), v, o.output.Wide()); err != nil {
		return err
	}
	if v.Note != "" {
		fmt.Fprintln(o.frame.ErrOut, "note: "+v.Note)
	}
	return nil
}

// readPod reads the pod, and nil for one that the user may not read; a pod
// without the runtime has nothing to list.
func readPod(ctx context.Context, c client.Client, key types.NamespacedName) (*corev1.Pod, error) {
	p := &corev1.Pod{}
	switch err := c.Get(ctx, key, p); {
	case apierrors.IsForbidden(err):
		return nil, nil
	case apierrors.IsNotFound(err):
		return nil, frame.NoSuchPod(ctx, c, key)
	case err != nil:
		return nil, fmt.Errorf("reading pod %s: %w", key.Name, err)
	}
	if !podstate.Injected(p) {
		return nil, fmt.Errorf("pod %s does not carry Kuda's runtime; kubectl kuda doctor NAME says why, for the DataSet that is to "+
			"deliver to it", key.Name)
	}
	return p, nil
}

func (o *options) inspectData(ctx context.Context, key types.NamespacedName) ([]inspection.DataSet, error) {
	runner, err := o.connect()
	if err != nil {
		return nil, err
	}
	raw, err := runner.Run(ctx, key, []string{"inspect", "data", "-o", "json"}, nil)
	if err != nil {
		return nil, err
	}
	var found []inspection.DataSet
	if err := json.Unmarshal(raw, &found); err != nil {
		return nil, fmt.Errorf("reading the answer of pod %s: %w", key.Name, err)
	}
	return found, nil
}

// readData reads the Data of the pod as it is now: a predecessor of its name
// may have left one.
func readData(ctx context.Context, c client.Client, namespace, name string, p *corev1.Pod, dataSet string) ([]v1alpha1.Data, error) {
	selector := client.MatchingLabels{v1alpha1.LabelPod: assignment.LabelValue(name)}
	if dataSet != "" {
		selector[v1alpha1.LabelDataSet] = dataSet
	}
	var list v1alpha1.DataList
	if err := c.List(ctx, &list, client.InNamespace(namespace), selector); err != nil {
		return nil, fmt.Errorf("reading what pod %s reported: %w", name, err)
	}
	var own []v1alpha1.Data
	for i := range list.Items {
		if d := &list.Items[i]; d.Spec.PodName == name && (p == nil || assignment.PodUID(d) == p.UID) {
			own = append(own, *d)
		}
	}
	return own, nil
}

// errorNote says why there are no files.
func errorNote(err error) string {
	const instead = "; this is what the pod reported"
	if exit, ok := errors.AsType[*podexec.ExitError](err); ok {
		return exit.Error() + instead
	}
	if apierrors.IsForbidden(err) {
		return "you may not exec into the pod (create pods/exec), so its files are not listed" + instead
	}
	return err.Error() + instead
}
