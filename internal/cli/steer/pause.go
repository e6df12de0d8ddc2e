// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

func pauseCommand(f *frame.Frame) *cobra.Command {
	return &cobra.Command{
		Use:   "pause NAME",
		Short: "Hold the rollout where it is",
		Long: `Sets spec.paused: no further pod is moved until resume. Pods that were moved
keep what they have, new pods get the stable revision. Without a running rollout
it holds the next one before its first pod.`,
		RunE: func(command *cobra.Command, args []string) error {
			return setPaused(command.Context(), f, args[0], true)
		},
	}
}

func resumeCommand(f *frame.Frame) *cobra.Command {
	return &cobra.Command{
		Use:   "resume NAME",
		Short: "Let a paused rollout go on",
		Long: `Clears spec.paused. A pause that is a step of the rollout is ended by promote,
and a rollout that failed is tried again by retry.`,
		RunE: func(command *cobra.Command, args []string) error {
			return setPaused(command.Context(), f, args[0], false)
		},
	}
}

func setPaused(ctx context.Context, f *frame.Frame, name string, paused bool) error {
	d, err := f.DataSet(ctx, name)
	if err != nil {
		return err
	}
	c, err := f.Client()
	if err != nil {
		return err
	}
	if err := steer.CheckPause(d, paused, sayCommand(f.Program, name)); err != nil {
		return err
	}
	if err := steer.SetPaused(ctx, c, d, paused, client.FieldOwner(frame.Manager)); err != nil {
		return err
	}
	word := "resumed"
	if paused {
		word = "paused"
	}
	_, err = fmt.Fprintf(f.Out, "dataset/%s %s%s\n", name, word, steer.PauseEffect(d, paused))
	return err
}
