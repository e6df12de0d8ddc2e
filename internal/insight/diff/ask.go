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
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/convert"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/podexec"
	"github.com/kuda-io/kuda/internal/inspection"
)

// atOnce is how many nodes are asked at the same time: each asks the sources.
const atOnce = 8

// Options say how a comparison is made.
type Options struct {
	// Connect makes what asks the runtimes; nil leaves files and bytes out.
	Connect func() (podexec.Runner, error)
	// Nodes is how many nodes are asked at most; 0: all.
	Nodes int
}

// Compare compares the templates, and asks the nodes for files and bytes where they differ.
func Compare(ctx context.Context, c client.Reader, p Pair, o Options) (*Result, error) {
	r := &Result{Namespace: p.Namespace, DataSet: p.Name, From: p.FromName, To: p.ToName, Spec: p.Spec}
	var err error
	if r.Template, err = compareTemplates(p.From, p.To); err != nil {
		return nil, err
	}
	if o.Connect == nil || r.isEmpty() {
		return r, nil
	}
	var pods corev1.PodList
	switch err := c.List(ctx, &pods, client.InNamespace(p.Namespace), client.MatchingLabels(p.Selector)); {
	case apierrors.IsForbidden(err):
		r.Note = "you may not list the pods of namespace " + p.Namespace + ", so none was asked for files and bytes"
		return r, nil
	case err != nil:
		return nil, fmt.Errorf("listing the pods of DataSet %s, to ask them for files (--no-files leaves that out): %w", p.Name, err)
	}
	q, err := planQuestion(p.Name, p.To)
	if err != nil {
		return nil, err
	}
	runner, err := o.Connect()
	if err != nil {
		return nil, err
	}
	return r, askAll(ctx, runner, r, groupByNode(p.Selector, pods.Items), o.Nodes, q)
}

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
