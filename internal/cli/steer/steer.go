// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/cli/frame"
)

// Commands are pause, resume, promote, abort, retry and undo.
func Commands(f *frame.Frame) []*cobra.Command {
	commands := []*cobra.Command{
		pauseCommand(f), resumeCommand(f), promoteCommand(f), abortCommand(f), retryCommand(f), undoCommand(f),
	}
	for _, c := range commands {
		c.GroupID = frame.GroupSteer
		c.Args = f.Args(frame.DataSetArgument)
		c.ValidArgsFunction = f.CompleteDataSets
	}
	return commands
}
