// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/verdict"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

// The values of --dry-run.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

type undo struct {
	*frame.Frame
	output *frame.Output
	number int64
	cause  string
	dryRun string
}

func undoCommand(f *frame.Frame) *cobra.Command {
	u := &undo{Frame: f}
	command := &cobra.Command{
		Use:   "undo NAME",
		Short: "Set the template back to an earlier revision",
		Long: `Sets spec.template to that of an earlier revision: the one before, which is the
stable revision while a rollout runs and else the last that succeeded, or the one
that --to-revision names. A revision has succeeded when at least one pod had all
of it and none failed because of it; where none has, there is nothing to go back
to, and the exit code is 1. This is an edit of the spec like any other and rolls
out like any other, mostly from what is on the nodes' disks. It is refused when
the DataSet was changed meanwhile.`,
		Example: `  kubectl kuda undo models
  kubectl kuda undo models --to-revision 4 --dry-run=server -o yaml`,
		RunE: func(command *cobra.Command, args []string) error {
			return u.run(command.Context(), args[0])
		},
	}
	u.output = frame.AddOutput(command, frame.FormatJSON, frame.FormatYAML, frame.FormatName)
	command.Flags().Int64Var(&u.number, "to-revision", 0, "the number of the revision, as history shows it; 0 is the one before")
	command.Flags().StringVar(&u.cause, "cause", "", "the change cause to note; without it that of the revision")
	command.Flags().StringVar(&u.dryRun, "dry-run", dryRunNone,
		"client: only say what would be done; server: let the API server check it too, and change nothing")
	command.Flags().Lookup("dry-run").NoOptDefVal = dryRunClient
	_ = command.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{dryRunNone, dryRunClient, dryRunServer},
		cobra.ShellCompDirectiveNoFileComp))
	_ = command.RegisterFlagCompletionFunc("to-revision", f.CompleteRevisions)
	return command
}

func (u *undo) run(ctx context.Context, name string) error {
	var options []client.PatchOption
	switch u.dryRun {
	case dryRunNone, dryRunClient:
	case dryRunServer:
		options = append(options, client.DryRunAll)
	default:
		return fmt.Errorf("--dry-run: must be none, client or server, not %q", u.dryRun)
	}
	if u.number < 0 {
		return fmt.Errorf("--to-revision: must not be negative")
	}
	d, err := u.DataSet(ctx, name)
	if err != nil {
		return err
	}
	revisions, err := u.Revisions(ctx, d)
	if err != nil {
		return err
	}
	back, err := steer.TargetRevision(d, revisions, u.number, sayCommand(u.Program, d.Name))
	if err != nil {
		return exitNegative(err)
	}
	if !verdict.HasSucceeded(d, back) {
		fmt.Fprintf(u.ErrOut, "warning: revision %d has not succeeded: no pod ever had all of it, or its rollout failed\n", back.Revision)
	}
	template, err := revision.Template(back)
	if err != nil {
		return err
	}
	changed := steer.DescribeChanges(d.Spec.Template, template)
	if tool := steer.ManagingTool(d); tool != "" {
		fmt.Fprintf(u.ErrOut, "warning: %s keeps this template and may set it forward again; change it at its source too, or suspend %s for "+
			"this DataSet\n", tool, tool)
	}
	if err := u.applyTemplate(ctx, d, back, template, options); err != nil {
		return err
	}
	return u.printResult(d, back, changed)
}

// applyTemplate changes the template, or in d alone with --dry-run=client.
func (u *undo) applyTemplate(ctx context.Context, d *v1alpha1.DataSet, back *appsv1.ControllerRevision, template v1alpha1.DataTemplateSpec,
	options []client.PatchOption) error {
	cause := u.cause
	if cause == "" {
		cause = back.Annotations[v1alpha1.AnnotationChangeCause]
	}
	if u.dryRun == dryRunClient {
		d.Spec.Template = template
		delete(d.Annotations, v1alpha1.AnnotationChangeCause)
		if cause != "" {
			metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationChangeCause, cause)
		}
		return nil
	}
	c, err := u.Client()
	if err != nil {
		return err
	}
	if err := steer.Undo(ctx, c, d, back.Data.Raw, cause, append(options, client.FieldOwner(frame.Manager))...); err != nil {
		return err
	}
	d.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSet"))
	return nil
}

func (u *undo) printResult(d *v1alpha1.DataSet, back *appsv1.ControllerRevision, changed []string) error {
	switch {
	case u.output.Machine():
		d.ManagedFields = nil
		return u.output.Print(u.Out, d)
	case u.output.Format == frame.FormatName:
		_, err := fmt.Fprintf(u.Out, "dataset.%s/%s\n", v1alpha1.GroupVersion.Group, d.Name)
		return err
	}
	how := ""
	if u.dryRun != dryRunNone {
		how = " (dry run, nothing was changed)"
	}
	fmt.Fprintf(u.Out, "dataset/%s: template set back to that of revision %d%s\n", d.Name, back.Revision, how)
	for _, line := range changed {
		fmt.Fprintln(u.Out, "  "+line)
	}
	switch {
	case u.dryRun != dryRunNone:
	case d.Spec.Paused:
		fmt.Fprintf(u.Out, "it is paused: no pod is moved before %s resume %s\n", u.Program, d.Name)
	default:
		fmt.Fprintf(u.Out, "follow it by: %s status -w %s\n", u.Program, d.Name)
	}
	return nil
}
