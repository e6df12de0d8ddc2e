// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/nodes"
)

type command struct {
	*frame.Frame
	output *frame.Output
	// everywhere is -A, all is --all.
	everywhere, all bool
	// unlisted: the user may not list the DataSets.
	unlisted bool
}

// Command is nodes.
func Command(f *frame.Frame) *cobra.Command {
	n := &command{Frame: f}
	c := &cobra.Command{
		Use:     "nodes [DATASET...]",
		Short:   "Show which nodes hold which data, and how much room they have",
		GroupID: frame.GroupLook,
		Long: `Shows the nodes that have a store of the namespace, and what they hold of the items
that new pods of its DataSets get: bytes, how many pods of the node are at them or
can go back to them, whether they are preheated, or when they were last used.

SIZE is what the namespace's store has, of its quota; FREE what the file system
has; AVAILABLE what a download may have once everything unused is evicted;
OTHER what the store has besides the items shown, such as old versions.

Where the items do not fit beside each other, with -A and with -o wide there is a
line per node and item. --all lists every snapshot.

NOTE says, too, what the node's keeper could not read, and what it found last not to
be what was delivered.

What runtimes said before their node was started again or was away, and what is
said of a node that is not Ready, is marked as stale: no decision uses it.`,
		Example: `  kubectl kuda nodes
  kubectl kuda nodes models -o wide
  kubectl kuda nodes --all`,
		Args:              f.Args(frame.DataSetArgument.Many()),
		ValidArgsFunction: n.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return n.run(cmd.Context(), args)
		},
	}
	n.output = frame.AddOutput(c, frame.FormatJSON, frame.FormatYAML, frame.FormatWide)
	c.Flags().BoolVarP(&n.everywhere, "all-namespaces", "A", false, "show the stores and DataSets of all namespaces")
	c.Flags().BoolVar(&n.all, "all", false, "list every snapshot, not only what new pods get")
	return c
}

// completeNames completes names of DataSets that are not there yet.
func (n *command) completeNames(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	names, directive := n.CompleteDataSets(c, nil, typed)
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), directive
}

func (n *command) run(ctx context.Context, names []string) error {
	switch {
	case len(names) > 0 && n.everywhere:
		return errors.New("a name does not go with -A; leave one of them out")
	case len(names) > 0 && n.all:
		return errors.New("--all lists what nodes have of every DataSet; leave out it or the names")
	}
	c, err := n.Client()
	if err != nil {
		return err
	}
	namespace, err := n.Namespace()
	if err != nil {
		return err
	}
	if n.everywhere {
		namespace = ""
	}
	cluster, err := nodes.ReadCluster(ctx, c)
	if err != nil {
		return err
	}
	sets, err := n.readWanted(ctx, c, namespace, names)
	if err != nil {
		return err
	}
	v := nodes.BuildView(cluster, namespace, sets, n.all)
	if n.output.Machine() {
		return n.output.Print(n.Out, v)
	}
	return n.printView(&v, namespace, len(sets))
}

// readWanted returns what new pods get of these DataSets, or of all.
func (n *command) readWanted(ctx context.Context, c client.Client, namespace string, names []string) ([]nodes.Wanted, error) {
	var list v1alpha1.DataSetList
	if len(names) == 0 {
		switch err := c.List(ctx, &list, client.InNamespace(namespace)); {
		case apierrors.IsForbidden(err):
			n.note("you may not list the DataSets, so what belongs to their items is under OTHER")
			n.unlisted = true
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("reading the DataSets: %w", err)
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		d, err := n.DataSet(ctx, name)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, *d)
	}
	sets, notes, err := nodes.ReadWanted(ctx, c, list.Items)
	for _, note := range notes {
		n.note(note)
	}
	return sets, err
}

// note says what is left out; it is no part of the output.
func (n *command) note(text string) { fmt.Fprintln(n.ErrOut, "note: "+text) }

func (n *command) printView(v *nodes.View, namespace string, sets int) error {
	if len(v.Stores) > 0 {
		look := look{Screen: n.Screen(), now: n.Now(), namespaces: n.everywhere, wide: n.output.Wide(), all: n.all}
		if _, err := fmt.Fprintln(n.Out, strings.Join(renderView(v, look), "\n")); err != nil {
			return err
		}
	}
	where := "any namespace"
	if namespace != "" {
		where = "namespace " + namespace
	}
	switch {
	case len(v.Stores) == 0:
		fmt.Fprintf(n.ErrOut, "no node has a store of %s yet: a store comes with the first pod that gets data there, or with spec.preheat; "+
			"where pods have data, see %s doctor\n", where, n.Program)
	case v.OtherNodes > 0:
		fmt.Fprintf(n.ErrOut, "%s without a store of %s\n", frame.Count(v.OtherNodes, "more node"), where)
	}
	if sets == 0 && !n.unlisted {
		fmt.Fprintf(n.ErrOut, "there are no DataSets in %s\n", where)
	}
	return nil
}
