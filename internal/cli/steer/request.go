// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

func promoteCommand(f *frame.Frame) *cobra.Command {
	var full bool
	command := &cobra.Command{
		Use:   "promote NAME",
		Short: "End the step that the rollout is at, or all of them",
		Long: `Ends the step that is being taken: a pause is over, a measurement is waived, a
partition counts as reached. With --full all further steps are left out, and the
rollout goes on to its end within maxUnavailable.`,
		Example: `  # go on after looking at the first pods
  kubectl kuda promote models`,
	}
	command.Flags().BoolVar(&full, "full", false, "leave out all further steps")
	return withWait(f, command, func() string {
		if full {
			return v1alpha1.RequestPromoteFull
		}
		return v1alpha1.RequestPromote
	})
}

func abortCommand(f *frame.Frame) *cobra.Command {
	return withWait(f, &cobra.Command{
		Use:   "abort NAME",
		Short: "End the rollout and move its pods back",
		Long: `Fails the rollout, whatever failurePolicy says: the pods that it moved go back to
the stable revision, from what is on their disks. The spec is not changed: it
still asks for the new revision, which is not tried again until the template
changes or retry is requested. Use undo to change the template back.`,
	}, func() string { return v1alpha1.RequestAbort })
}

func retryCommand(f *frame.Frame) *cobra.Command {
	return withWait(f, &cobra.Command{
		Use:   "retry NAME",
		Short: "Try again now what failed",
		Long: `Tries the revision of a stopped, aborted or rolled back rollout again, from its
first step. Whatever the rollout does, items that failed are tried now instead of
after their pause, in every pod, and so are downloads ahead and the preheating of
nodes. What is on its way is not interrupted.`,
		Example: `  # the Secret, the path or the server is corrected
  kubectl kuda retry models`,
	}, func() string { return v1alpha1.RequestRetry })
}

// withWait makes a command that asks something of the rollout.
func withWait(f *frame.Frame, command *cobra.Command, verb func() string) *cobra.Command {
	waits := command.Flags().Bool("wait", true, "wait until the manager has taken it up")
	command.RunE = func(command *cobra.Command, args []string) error {
		return sendRequest(command.Context(), f, args[0], verb(), *waits)
	}
	return command
}

// sendRequest puts the request down and waits until status.rollout.request repeats it.
func sendRequest(ctx context.Context, f *frame.Frame, name, verb string, waits bool) error {
	d, err := f.DataSet(ctx, name)
	if err != nil {
		return err
	}
	c, err := f.Client()
	if err != nil {
		return err
	}
	var failed steer.Failing
	if verb == v1alpha1.RequestRetry && !steer.RetriesRollout(d.Status.Rollout) {
		if failed, err = steer.FindFailing(ctx, c, d); err != nil {
			return err
		}
	}
	if err := steer.CheckRequest(d, verb, failed, sayCommand(f.Program, name)); err != nil {
		return err
	}
	before := d.Status.Rollout.DeepCopy()
	request, err := steer.Request(ctx, c, d, verb, client.FieldOwner(frame.Manager))
	if err != nil {
		return err
	}
	if !waits {
		_, err := fmt.Fprintf(f.Out, "dataset/%s: asked to %s\n", name, steer.DescribeRequest(verb))
		return err
	}
	if err := steer.Await(ctx, c, d, request); errors.Is(err, steer.ErrUnheard) {
		return &frame.Exit{Code: frame.ExitTimeout, Cause: err}
	} else if err != nil {
		return err
	}
	if verb == v1alpha1.RequestRetry && !steer.RetriesRollout(before) {
		_, err = fmt.Fprintf(f.Out, "dataset/%s: %s\n", name, failed.Describe())
		return err
	}
	_, err = fmt.Fprintf(f.Out, "dataset/%s %s\n", name, steer.DescribeOutcome(verb, d))
	return err
}

// sayCommand names a verb by its command.
func sayCommand(program, name string) steer.Say {
	return func(verb string) string { return program + " " + verb + " " + name }
}

// exitNegative gives the refusal of an undo that has nothing to go back to the exit code of
// an answer that is not the good one.
func exitNegative(err error) error {
	if r, ok := errors.AsType[*steer.Refusal](err); ok && r.Code == steer.NothingToGoBackTo {
		return &frame.Exit{Code: frame.ExitNegative, Cause: err}
	}
	return err
}
