// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/cli/dashboard"
	"github.com/kuda-io/kuda/internal/cli/diff"
	"github.com/kuda-io/kuda/internal/cli/doctor"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/get"
	"github.com/kuda-io/kuda/internal/cli/history"
	"github.com/kuda-io/kuda/internal/cli/nodes"
	"github.com/kuda-io/kuda/internal/cli/status"
	"github.com/kuda-io/kuda/internal/cli/steer"
	"github.com/kuda-io/kuda/internal/cli/why"
	"github.com/kuda-io/kuda/internal/version"
)

const about = `Looks at DataSets, follows their rollouts and steers them.

It finds the cluster as kubectl does (KUBECONFIG, --context, -n) and acts with
your own rights.

Exit codes: 0 it was done; 1 it worked, but the answer is not the good one (the
rollout failed, there are differences, something is wrong); 2 an error; 3 the
time of --timeout was over; 130 interrupted.`

// The names that the binary goes by.
const (
	pluginName     = "kubectl-kuda"
	completionName = "kubectl_complete-kuda"
)

// Run runs the command line and returns the exit code. The first argument is
// the name by which it was called, and decides what it shows itself as.
func Run(ctx context.Context, f *frame.Frame, args []string) int {
	called := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	args = args[1:]
	switch called {
	case pluginName:
		f.Program = "kubectl kuda"
	case completionName:
		// kubectl passes on what was typed after "kubectl kuda".
		f.Program = "kubectl kuda"
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	root := New(f)
	root.SetArgs(args)
	err := frame.ExplainCommand(root, root.ExecuteContext(ctx))
	if line := frame.Line(err); line != "" {
		fmt.Fprintln(f.ErrOut, "error: "+line)
	}
	return frame.Code(err)
}

// New makes the root command.
func New(f *frame.Frame) *cobra.Command {
	root := &cobra.Command{
		Use:           "kuda",
		Short:         "Look at DataSets and steer their rollouts",
		Long:          about,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: f.Program},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(f.In)
	root.SetOut(f.Out)
	root.SetErr(f.ErrOut)
	root.SetFlagErrorFunc(frame.ExplainFlag)
	f.AddFlags(root.PersistentFlags())
	f.CompleteFlags(root)
	root.AddGroup(
		&cobra.Group{ID: frame.GroupLook, Title: "Look:"},
		&cobra.Group{ID: frame.GroupSteer, Title: "Steer:"},
	)
	root.AddCommand(status.Command(f), history.Command(f))
	root.AddCommand(steer.Commands(f)...)
	root.AddCommand(diff.Command(f), get.Command(f), nodes.Command(f), why.Command(f), doctor.Command(f), dashboard.Command(f))
	root.AddCommand(versionCommand(f), optionsCommand(f))
	for _, c := range root.Commands() {
		c.SetUsageTemplate(usageTemplate(f, c))
	}
	root.SetUsageTemplate(usageTemplate(f, root))
	return root
}

// usageTemplate leaves the two dozen flags that choose a cluster to one place, as
// kubectl does.
func usageTemplate(f *frame.Frame, c *cobra.Command) string {
	own, global, found := strings.Cut(c.UsageTemplate(), "{{if .HasAvailableInheritedFlags}}")
	if !found {
		return own
	}
	_, rest, _ := strings.Cut(global, "{{end}}")
	if c.Name() == "kuda" {
		own = strings.Replace(own, "{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}", "  -h, --help   help for {{.DisplayName}}", 1)
	}
	return own + "\n\nUse \"" + f.Program + " options\" for the flags that choose cluster, user and namespace (-n, --context ...)." + rest
}

func optionsCommand(f *frame.Frame) *cobra.Command {
	return &cobra.Command{
		Use:   "options",
		Short: "Print the flags that every command has",
		Args:  frame.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(f.Out, "These flags choose a cluster, a user and a namespace, as kubectl's do:\n\n",
				c.Root().PersistentFlags().FlagUsages())
			return err
		},
	}
}

func versionCommand(f *frame.Frame) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  frame.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(f.Out, version.Version)
			return err
		},
	}
}
