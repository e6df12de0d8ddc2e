// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/podexec"
	"github.com/kuda-io/kuda/internal/delivery/inspect/answer"
	"github.com/kuda-io/kuda/internal/gateway/wire"
)

// atOnce is how many nodes are asked at the same time: each asks the sources.
const atOnce = 8

// question is what the runtimes are asked: what giving a pod these contents
// would take.
func question(dataSet string, template *v1alpha1.DataTemplateSpec) ([]byte, error) {
	items, sources := wire.Contents(template.DataItems, &template.DataSources)
	q := answer.Question{DataSet: dataSet, Items: []json.RawMessage{}, Sources: []json.RawMessage{}}
	add := func(list *[]json.RawMessage, message proto.Message) error {
		raw, err := protojson.Marshal(message)
		*list = append(*list, raw)
		return err
	}
	for _, item := range items {
		if err := add(&q.Items, item); err != nil {
			return nil, fmt.Errorf("writing item %s: %w", item.GetName(), err)
		}
	}
	for _, source := range sources {
		if err := add(&q.Sources, source); err != nil {
			return nil, fmt.Errorf("writing source %s: %w", source.GetName(), err)
		}
	}
	return json.Marshal(q)
}

// errNoRuntime is a node's whose pods' runtimes do not run.
var errNoRuntime = errors.New("no runtime runs in its pods")

// askAll asks one pod per node, at most `most` nodes; 0 is all. A node that does
// not answer is a line of the result, not the end.
func askAll(ctx context.Context, runner podexec.Runner, r *Result, at []station, most int, question []byte) error {
	if most > 0 && len(at) > most {
		r.NotAsked, at = len(at)-most, at[:most]
	}
	plans, errs := make([]*answer.Plan, len(at)), make([]error, len(at))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, s := range at {
		group.Go(func() error {
			plans[i], errs[i] = ask(ctx, runner, types.NamespacedName{Namespace: r.Namespace, Name: s.ask}, question)
			return nil
		})
	}
	_ = group.Wait() // no function fails
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, s := range at {
		r.take(s, plans[i], short(errs[i]))
	}
	return nil
}

func ask(ctx context.Context, runner podexec.Runner, pod types.NamespacedName, question []byte) (*answer.Plan, error) {
	if pod.Name == "" {
		return nil, errNoRuntime
	}
	raw, err := runner.Run(ctx, pod, []string{"inspect", "plan"}, question)
	if err != nil {
		return nil, err
	}
	plan := &answer.Plan{}
	if err := json.Unmarshal(raw, plan); err != nil {
		return nil, fmt.Errorf("reading the answer of pod %s: %w", pod.Name, err)
	}
	return plan, nil
}

// short is what a table has room for.
func short(err error) error {
	if exit, ok := errors.AsType[*podexec.ExitError](err); ok {
		return exit
	}
	if apierrors.IsForbidden(err) {
		return errors.New("you may not exec into its pods (create pods/exec)")
	}
	return err
}
