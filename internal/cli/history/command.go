// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/insight/history"
)

type command struct {
	*frame.Frame
	output *frame.Output
	number int64
}

// Command is history.
func Command(f *frame.Frame) *cobra.Command {
	h := &command{Frame: f}
	c := &cobra.Command{
		Use:     "history NAME",
		Short:   "Show what was rolled out when, by whom, why, and how it ended",
		GroupID: frame.GroupLook,
		Long: `Lists the rollouts of a DataSet, the newest last, and the older revisions that are
kept. With --revision prints the template of one as YAML. CAUSE is the annotation
kubernetes.io/change-cause; BY is the user who changed the DataSet or, in brackets
where the user is not known, the program that wrote it. -o wide adds how many pods
had the revision, how many failed, its bytes, and the step at which it ended.`,
		Example: `  kubectl kuda history models
  kubectl kuda history models --revision 4`,
		Args:              f.Args(frame.DataSetArgument),
		ValidArgsFunction: f.CompleteDataSets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return h.run(cmd.Context(), args[0])
		},
	}
	h.output = frame.AddOutput(c, frame.FormatJSON, frame.FormatYAML, frame.FormatWide)
	c.Flags().Int64Var(&h.number, "revision", 0, "print the template of this revision")
	_ = c.RegisterFlagCompletionFunc("revision", f.CompleteRevisions)
	return c
}

func (h *command) run(ctx context.Context, name string) error {
	d, err := h.DataSet(ctx, name)
	if err != nil {
		return err
	}
	revisions, err := h.Revisions(ctx, d)
	known := !apierrors.IsForbidden(err)
	switch {
	case err != nil && (known || h.number != 0):
		return err
	case h.number != 0:
		return h.printTemplate(d, revisions)
	}
	list := history.Entries(d, revisions, known)
	if !known {
		fmt.Fprintln(h.ErrOut, "note: you may not list controllerrevisions, so older revisions, and which are kept, are left out")
	}
	switch {
	case h.output.Machine():
		return h.output.Print(h.Out, list)
	case len(list) == 0:
		fmt.Fprintf(h.ErrOut, "DataSet %s has no revisions yet\n", name)
		return nil
	}
	return entryTable(list, h.Now(), h.output.Wide()).Write(h.Out, h.Screen())
}

// printTemplate prints what one revision holds.
func (h *command) printTemplate(d *v1alpha1.DataSet, revisions []*appsv1.ControllerRevision) error {
	r := revision.Numbered(revisions, d, h.number)
	if r == nil {
		return fmt.Errorf("DataSet %s has no revision %d (any more); see %s history %s", d.Name, h.number, h.Program, d.Name)
	}
	t, err := revision.Template(r)
	if err != nil {
		return err
	}
	o := *h.output
	if !o.Machine() {
		o.Format = frame.FormatYAML
	}
	return o.Print(h.Out, t)
}
