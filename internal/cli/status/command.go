// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/status"
)

// defaultPods is how many pods are listed where nothing is drawn again.
const defaultPods = 50

type command struct {
	*frame.Frame
	output   *frame.Output
	watch    bool
	all      bool
	selector string
	timeout  time.Duration
	keep     bool
	noPods   bool
	pods     int
}

// Command is status.
func Command(f *frame.Frame) *cobra.Command {
	s := &command{Frame: f}
	c := &cobra.Command{
		Use:     "status [NAME]",
		Short:   "Show how far DataSets and their rollouts are",
		GroupID: frame.GroupLook,
		Long: `Without a name shows all DataSets in a table; with one its rollout, what it waits
for, what needs attention, and its pods: those that failed first, then those that
move. -o wide adds the items of each pod.

With -w it waits until what the present spec asks for is delivered: on a terminal
it draws progress, rate and time left in place, elsewhere it prints a line per
change; the last line is the result. It ends with exit code 0 when every matching
pod has its data, or the rollout went as far as partition or OnDelete let it; with
1 when the rollout failed, or when pods of a first delivery failed and have not
come further for 30 seconds, or 2 minutes where a Secret can help; and with 3 when
--timeout is over. Without a matching pod it waits for one, unless
--allow-no-pods is given. The rate is that of the last 15 seconds.`,
		Example: `  kubectl kuda status -A
  kubectl kuda status models -o wide
  kubectl apply -f models.yaml && kubectl kuda status -w models --timeout 10m`,
		Args:              f.Args(frame.DataSetArgument.Optional()),
		ValidArgsFunction: f.CompleteDataSets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd.Context(), args)
		},
	}
	s.output = frame.AddOutput(c, frame.FormatJSON, frame.FormatYAML, frame.FormatWide, frame.FormatName)
	flags := c.Flags()
	flags.BoolVarP(&s.watch, "watch", "w", false, "follow the rollout until it ends")
	flags.BoolVarP(&s.all, "all-namespaces", "A", false, "show the DataSets of all namespaces")
	flags.StringVarP(&s.selector, "selector", "l", "", "show only DataSets with these labels")
	flags.DurationVar(&s.timeout, "timeout", 0, "with -w: give up after this time, with exit code 3; 0 waits for ever")
	flags.BoolVar(&s.keep, "keep", false, "with -w: go on when the rollout has ended, until interrupted")
	flags.BoolVar(&s.noPods, "allow-no-pods", false, "with -w: end with exit code 0 when no pod matches")
	flags.IntVar(&s.pods, "pods", defaultPods, "list at most this many pods; 0 lists all")
	return c
}

func (s *command) run(ctx context.Context, args []string) error {
	if err := s.validate(args); err != nil {
		return err
	}
	switch {
	case len(args) == 0:
		return s.listDataSets(ctx)
	case s.watch:
		return s.followRollout(ctx, args[0])
	}
	in, err := s.readInput(ctx, args[0])
	if err != nil {
		return err
	}
	view := status.Build(*in)
	switch {
	case s.output.Machine():
		return s.output.Print(s.Out, view)
	case s.output.Format == frame.FormatName:
		return s.printNames([]status.View{view})
	}
	return s.printView(&view, s.Screen())
}

func (s *command) validate(args []string) error {
	switch {
	case len(args) > 0 && (s.all || s.selector != ""):
		return errors.New("a name does not go with -A or -l; leave one of them out")
	case s.watch && len(args) == 0:
		return errors.New("-w follows one DataSet; name it")
	case s.watch && s.output.Format != frame.FormatTable && !s.output.Wide():
		return errors.New("-w goes with -o wide only")
	case !s.watch && (s.keep || s.noPods || s.timeout != 0):
		return errors.New("--keep, --allow-no-pods and --timeout go with -w")
	case s.timeout < 0 || s.pods < 0:
		return errors.New("--timeout and --pods must not be negative")
	}
	return nil
}

// readInput returns what a view of one DataSet is computed from.
func (s *command) readInput(ctx context.Context, name string) (*status.Input, error) {
	d, err := s.DataSet(ctx, name)
	if err != nil {
		return nil, err
	}
	c, err := s.Client()
	if err != nil {
		return nil, err
	}
	in, err := status.ReadInput(ctx, c, d)
	if err != nil {
		return nil, err
	}
	in.Now, in.Program = s.Now(), s.Program
	return in, nil
}

func (s *command) printView(v *status.View, screen frame.Screen) error {
	for _, line := range Render(v, Look{Screen: screen, Now: s.Now(), Pods: s.pods, Wide: s.output.Wide()}) {
		if _, err := fmt.Fprintln(s.Out, line); err != nil {
			return err
		}
	}
	return nil
}

func (s *command) listDataSets(ctx context.Context) error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	namespace, err := s.Namespace()
	if err != nil {
		return err
	}
	if s.all {
		namespace = ""
	}
	selector, err := labels.Parse(s.selector)
	if err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	var list v1alpha1.DataSetList
	if err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return fmt.Errorf("reading the DataSets: %w", err)
	}
	views := status.Summaries(list.Items, s.Now(), s.Program)
	switch {
	case s.output.Machine():
		return s.output.Print(s.Out, views)
	case s.output.Format == frame.FormatName:
		return s.printNames(views)
	case len(views) == 0:
		fmt.Fprintln(s.ErrOut, noDataSets(namespace))
		return nil
	}
	ages := make(map[string]time.Duration, len(list.Items))
	for i := range list.Items {
		d := &list.Items[i]
		ages[d.Namespace+"/"+d.Name] = s.Now().Sub(d.CreationTimestamp.Time)
	}
	return summaryTable(views, ages, s.all, s.output.Wide()).Write(s.Out, s.Screen())
}

func (s *command) printNames(views []status.View) error {
	for i := range views {
		if _, err := fmt.Fprintf(s.Out, "dataset.%s/%s\n", v1alpha1.GroupVersion.Group, views[i].Name); err != nil {
			return err
		}
	}
	return nil
}

func noDataSets(namespace string) string {
	if namespace == "" {
		return "there are no DataSets"
	}
	return fmt.Sprintf("there are no DataSets in namespace %s; -A looks in all", namespace)
}
