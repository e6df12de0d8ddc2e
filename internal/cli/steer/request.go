// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

const (
	tokenLength = 8
	// How long, and how often, the manager's answer is looked for.
	honourPatience = 15 * time.Second
	honourGlance   = 250 * time.Millisecond
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
	var failed failing
	if verb == v1alpha1.RequestRetry && !retriesRollout(d.Status.Rollout) {
		if failed, err = findFailing(ctx, c, d); err != nil {
			return err
		}
	}
	if err := checkRequest(d, verb, failed, f.Program); err != nil {
		return err
	}
	before := d.Status.Rollout.DeepCopy()
	request := strings.Join([]string{verb, before.Revision, strings.ToLower(rand.Text()[:tokenLength])}, " ")
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{v1alpha1.AnnotationRolloutRequest: request},
	}})
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	if err := c.Patch(ctx, d, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(frame.Manager)); err != nil {
		return fmt.Errorf("changing DataSet %s: %w", name, err)
	}
	if !waits {
		_, err := fmt.Fprintf(f.Out, "dataset/%s: asked to %s\n", name, describeRequest(verb))
		return err
	}
	if err := waitForResponse(ctx, c, d, request); err != nil {
		return err
	}
	if verb == v1alpha1.RequestRetry && !retriesRollout(before) {
		_, err = fmt.Fprintf(f.Out, "dataset/%s: %s\n", name, failed.describe())
		return err
	}
	_, err = fmt.Fprintf(f.Out, "dataset/%s %s\n", name, describeOutcome(verb, d))
	return err
}

// waitForResponse waits for the manager's answer, and leaves it in d.
func waitForResponse(ctx context.Context, c client.Client, d *v1alpha1.DataSet, request string) error {
	revision := d.Status.Rollout.Revision
	replaced := false
	err := wait.PollUntilContextTimeout(ctx, honourGlance, honourPatience, true, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return false, fmt.Errorf("reading DataSet %s: %w", d.Name, err)
		}
		r := d.Status.Rollout
		replaced = d.Status.UpdateRevision != revision || r == nil || r.Revision != revision
		return replaced || r.Request == request, nil
	})
	switch {
	case replaced:
		return fmt.Errorf("the template of DataSet %s changed meanwhile, and another rollout began; the request was about revision %s", d.Name,
			revision)
	case wait.Interrupted(err) && ctx.Err() == nil:
		return &frame.Exit{Code: frame.ExitTimeout, Cause: fmt.Errorf(
			"the manager has not taken up the request within %s; it will once it runs (kubectl -n kuda-system get pods)", honourPatience)}
	}
	return err
}
