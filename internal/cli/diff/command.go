// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/diff"
	"github.com/kuda-io/kuda/internal/insight/podexec"
)

const long = `Shows what changes between two revisions of a DataSet: items, sources, hooks; the
files behind them; and for each node what it has already and how many bytes it
would have to move.

Without flags it compares the stable revision with the one that is rolled out;
where those are the same, the revision before with the present one. Revisions are
named by number or name, as "history" lists them. With -f it compares what the
cluster has with a file, as the API server would take it (a dry run).

Files and bytes are asked of one pod per node, by exec with your own rights; it
asks the sources and moves nothing. --no-files leaves that out.

  kubectl kuda diff models
  kubectl kuda diff models --from 3 --to 5 --no-files
  kubectl kuda diff -f models.yaml

Exit codes, as those of diff: 0 no difference, 1 differences, 2 an error. With
--exit-code=false differences are 0, too.`

type options struct {
	frame    *frame.Frame
	output   *frame.Output
	connect  func() (podexec.Runner, error)
	from, to string
	file     string
	nodes    int
	noFiles  bool
	exitCode bool
}

// Command makes the command diff.
func Command(f *frame.Frame) *cobra.Command {
	return newCommand(f, func() (podexec.Runner, error) { return podexec.Connect(f.RESTConfig) })
}

func newCommand(f *frame.Frame, connect func() (podexec.Runner, error)) *cobra.Command {
	o := &options{frame: f, connect: connect}
	cmd := &cobra.Command{
		Use:               "diff NAME | diff -f FILE",
		Short:             "Show what changes between revisions, or from the cluster to a file, and what would be moved",
		Long:              long,
		GroupID:           frame.GroupLook,
		Args:              f.Args(frame.DataSetArgument.Optional()),
		ValidArgsFunction: f.CompleteDataSets,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), append(args, "")[0]) },
	}
	o.output = frame.AddOutput(cmd, frame.FormatJSON, frame.FormatYAML)
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "revision to compare, by number or name")
	flags.StringVar(&o.to, "to", "", "revision to compare it with")
	flags.StringVarP(&o.file, "filename", "f", "", "file with DataSets to compare the cluster with; - is the standard input")
	flags.IntVar(&o.nodes, "nodes", 0, "ask at most so many nodes; 0: all")
	flags.BoolVar(&o.noFiles, "no-files", false, "do not ask the nodes for files and bytes")
	flags.BoolVar(&o.exitCode, "exit-code", true, "end with 1 where there are differences")
	return cmd
}

func (o *options) validate(name string) error {
	switch {
	case name == "" && o.file == "":
		return fmt.Errorf("name a DataSet, or a file by -f")
	case o.file != "" && (o.from != "" || o.to != ""):
		return fmt.Errorf("-f compares a file with what the cluster has; leave out --from and --to")
	case o.nodes < 0:
		return fmt.Errorf("--nodes: must not be negative")
	}
	return nil
}

func (o *options) run(ctx context.Context, name string) error {
	if err := o.validate(name); err != nil {
		return err
	}
	pairs, err := o.readPairs(ctx, name)
	if err != nil {
		return err
	}
	results := make([]*diff.Result, 0, len(pairs))
	differs := false
	for _, p := range pairs {
		r, err := o.comparePair(ctx, p)
		if err != nil {
			return err
		}
		results = append(results, r)
		differs = differs || r.HasChanges()
	}
	if err := o.printResults(results); err != nil {
		return err
	}
	if differs && o.exitCode {
		return frame.Negative()
	}
	return nil
}

// comparePair compares the templates, and asks the nodes where they differ.
func (o *options) comparePair(ctx context.Context, p diff.Pair) (*diff.Result, error) {
	c, err := o.frame.Client()
	if err != nil {
		return nil, err
	}
	options := diff.Options{Connect: o.connect, Nodes: o.nodes}
	if o.noFiles {
		options.Connect = nil
	}
	return diff.Compare(ctx, c, p, options)
}

func (o *options) printResults(results []*diff.Result) error {
	if o.output.Machine() {
		if len(results) == 1 {
			return o.output.Print(o.frame.Out, results[0])
		}
		return o.output.Print(o.frame.Out, results)
	}
	for i, r := range results {
		if i > 0 {
			fmt.Fprintln(o.frame.Out)
		}
		if err := renderResult(o.frame.Out, o.frame.Screen(), r); err != nil {
			return err
		}
		if r.Note != "" {
			fmt.Fprintln(o.frame.ErrOut, "note: "+r.Note)
		}
	}
	return nil
}
