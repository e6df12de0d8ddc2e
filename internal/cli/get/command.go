// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package get

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/files"
	"github.com/kuda-io/kuda/internal/insight/podexec"
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
	key := types.NamespacedName{Namespace: namespace, Name: name}
	v, err := files.Read(ctx, c, o.connect, key, dataSet)
	switch {
	case apierrors.IsNotFound(err):
		return frame.NoSuchPod(ctx, c, key)
	case err != nil:
		return err
	}
	return o.printView(v)
}

func (o *options) printView(v files.View) error {
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
