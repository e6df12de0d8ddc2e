// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/why"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// defaultNodes is how many nodes are listed.
const defaultNodes = 20

// maxWeight is the most that one dimension may count.
const maxWeight = 100

type command struct {
	*frame.Frame
	output  *frame.Output
	weights map[string]int64
	rack    string
	nodes   int
}

// Command is why.
func Command(f *frame.Frame) *cobra.Command {
	w := &command{Frame: f}
	c := &cobra.Command{
		Use:     "why POD",
		Short:   "Explain where a pod was placed, or why it was not, by the data that nodes hold",
		GroupID: frame.GroupLook,
		Long: `Says what data the pod wants, where it runs or what keeps it from being placed, and
how much each node is worth to it: HELD is what the node has of the data, MISSING
what would be downloaded, DOWNLOADS how many run there, ROOM what a download may
have (? where no runtime reported it), SCORE from 0 to 100 with what each dimension adds
to it, and AGAINST what keeps the pod from the node. The node that the pod is on is
marked by a star.

Scores are computed as kuda-scheduler does, from what is known now: what nodes held
when the pod was placed is not recorded. --weights tries other weights than the
defaults; those that it does not name stay.

What you may not read is left out, and named. Without the nodes, which are of the
whole cluster, it says what the pod, its items and its events show.`,
		Example: `  kubectl kuda why web-0
  kubectl kuda why web-0 --weights node=50,spread=40
  kubectl kuda why web-0 -o json | jq '.nodes[0]'`,
		Args:              f.Args(frame.PodArgument),
		ValidArgsFunction: f.CompletePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.run(cmd.Context(), args[0])
		},
	}
	w.output = frame.AddOutput(c, frame.FormatJSON, frame.FormatYAML, frame.FormatWide)
	flags := c.Flags()
	flags.StringToInt64Var(&w.weights, "weights", nil, "weights to compute scores by, such as node=70,zone=5,downloads=10,spread=10")
	flags.StringVar(&w.rack, "rack-label", "", "label of nodes that names their rack, where kuda-scheduler has one configured")
	flags.IntVar(&w.nodes, "nodes", defaultNodes, "list at most this many nodes; 0 lists all")
	return c
}

func (w *command) run(ctx context.Context, name string) error {
	if w.nodes < 0 {
		return errors.New("--nodes must not be negative")
	}
	weights, err := parseWeights(w.weights, w.rack)
	if err != nil {
		return err
	}
	c, err := w.Client()
	if err != nil {
		return err
	}
	namespace, err := w.Namespace()
	if err != nil {
		return err
	}
	key := types.NamespacedName{Namespace: namespace, Name: name}
	in, err := why.ReadInput(ctx, c, key)
	switch {
	case apierrors.IsNotFound(err):
		return frame.NoSuchPod(ctx, c, key)
	case err != nil:
		return err
	}
	in.Weights, in.Rack, in.Now, in.Program = weights, w.rack, w.Now(), w.Program
	v := why.Build(in)
	if w.output.Machine() {
		return w.output.Print(w.Out, v)
	}
	_, err = fmt.Fprint(w.Out, renderView(&v, look{Screen: w.Screen(), now: w.Now(), nodes: w.nodes, wide: w.output.Wide()}))
	return err
}

// parseWeights puts what the flag names in the place of the scheduler's defaults:
// without a label that names racks, these have no part.
func parseWeights(named map[string]int64, rack string) (index.Weights, error) {
	w := index.DefaultWeights()
	if rack == "" {
		w.Rack = 0
	}
	places := map[string]*int64{"node": &w.Node, "rack": &w.Rack, "zone": &w.Zone, "downloads": &w.Downloads, "cache": &w.Cache,
		"spread": &w.Spread}
	for name, weight := range named {
		place := places[name]
		switch {
		case place == nil:
			return w, fmt.Errorf("--weights: there is no %q; it takes node, rack, zone, downloads, cache and spread", name)
		case weight < 0 || weight > maxWeight:
			return w, fmt.Errorf("--weights: %s=%d is not from 0 to %d", name, weight, maxWeight)
		}
		*place = weight
	}
	if w.Sum(false) == 0 {
		return w, errors.New("--weights: at least one must be more than 0")
	}
	return w, nil
}
