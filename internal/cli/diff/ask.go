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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/podexec"
	"github.com/kuda-io/kuda/internal/domain/convert"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/inspection"
)

// atOnce is how many nodes are asked at the same time: each asks the sources.
const atOnce = 8

// planQuestion is what the runtimes are asked: what giving a pod these contents
// would take.
func planQuestion(dataSet string, template *v1alpha1.DataTemplateSpec) ([]byte, error) {
	items, sources := convert.Contents(template.DataItems, &template.DataSources)
	prefetch, err := protojson.Marshal(&gatewayv1alpha1.Prefetch{Items: items, Sources: sources})
	if err != nil {
		return nil, fmt.Errorf("writing the contents: %w", err)
	}
	return json.Marshal([]inspection.Question{{DataSet: dataSet, Prefetch: prefetch}})
}

// errNoRuntime is a node's whose pods' runtimes do not run.
var errNoRuntime = errors.New("no runtime runs in its pods")

// askAll asks one pod per node, at most `most` nodes; 0 is all. A node that does
// not answer is a line of the result, not the end.
func askAll(ctx context.Context, runner podexec.Runner, r *Result, at []station, most int, question []byte) error {
	if most > 0 && len(at) > most {
		r.NotAsked, at = len(at)-most, at[:most]
	}
	plans, errs := make([]*inspection.Plan, len(at)), make([]error, len(at))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, s := range at {
		group.Go(func() error {
			plans[i], errs[i] = inspectPlan(ctx, runner, types.NamespacedName{Namespace: r.Namespace, Name: s.ask}, question)
			return nil
		})
	}
	_ = group.Wait() // no function fails
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, s := range at {
		r.addNode(s, plans[i], shortError(errs[i]))
	}
	return nil
}

func inspectPlan(ctx context.Context, runner podexec.Runner, pod types.NamespacedName, question []byte) (*inspection.Plan, error) {
	if pod.Name == "" {
		return nil, errNoRuntime
	}
	raw, err := runner.Run(ctx, pod, []string{"inspect", "plan"}, question)
	if err != nil {
		return nil, err
	}
	var plans []inspection.Plan
	if err := json.Unmarshal(raw, &plans); err != nil {
		return nil, fmt.Errorf("reading the answer of pod %s: %w", pod.Name, err)
	}
	if len(plans) != 1 {
		return nil, fmt.Errorf("pod %s answered one question with %d answers", pod.Name, len(plans))
	}
	return &plans[0], nil
}

// shortError is what a table has room for.
func shortError(err error) error {
	if exit, ok := errors.AsType[*podexec.ExitError](err); ok {
		return exit
	}
	if apierrors.IsForbidden(err) {
		return errors.New("you may not exec into its pods (create pods/exec)")
	}
	return err
}
