// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/inspection"
)

// question is one that was asked, read.
type question struct {
	dataset string
	want    *gatewayv1alpha1.Prefetch
}

// readQuestions reads a list of them.
func readQuestions(r io.Reader) ([]question, error) {
	var asked []inspection.Question
	if err := json.NewDecoder(r).Decode(&asked); err != nil {
		return nil, fmt.Errorf("reading what is asked about: %w", err)
	}
	questions := make([]question, 0, len(asked))
	for _, q := range asked {
		want := &gatewayv1alpha1.Prefetch{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(q.Prefetch, want); err != nil {
			return nil, fmt.Errorf("reading what is asked about of DataSet %s: %w", q.DataSet, err)
		}
		questions = append(questions, question{q.DataSet, want})
	}
	return questions, nil
}

// planner computes the plans.
type planner struct {
	store   *store.Store
	engine  *transfer.Engine
	sources *sourceconfig.Opener
	// told are the sources that the pod was told of.
	told []*gatewayv1alpha1.Source
	// names is how many files are named of each kind.
	names int
}

func (p *planner) planRevision(ctx context.Context, q question, delivered []podstate.Delivered) inspection.Plan {
	out := inspection.Plan{DataSet: q.dataset, Revision: q.want.GetRevision(), Items: []inspection.PlannedItem{}}
	current := map[string]podstate.DeliveredItem{}
	for _, d := range delivered {
		if d.DataSet == q.dataset {
			out.CurrentRevision = d.Revision
			for _, i := range d.Items {
				current[i.Namespace+"/"+i.Name] = i
			}
		}
	}
	for _, i := range q.want.GetItems() {
		key := i.GetNamespace() + "/" + i.GetName()
		var have *podstate.DeliveredItem
		if c, ok := current[key]; ok {
			have = &c
			delete(current, key)
		}
		out.Items = append(out.Items, p.planItem(ctx, q.want, i, have))
	}
	out.Items = append(out.Items, p.removedItems(ctx, current)...)
	return out
}

// planItem looks at one item; have is what the pod has of it, or nil.
func (p *planner) planItem(ctx context.Context, want *gatewayv1alpha1.Prefetch, i *gatewayv1alpha1.Item,
	have *podstate.DeliveredItem) inspection.PlannedItem {
	out := inspection.PlannedItem{Namespace: i.GetNamespace(), Name: i.GetName(), Version: i.GetVersion(),
		Path: strings.Trim(i.GetLocalPath(), "/")}
	var old *snapshot.Manifest
	at := ""
	if have != nil {
		out.CurrentVersion, at = have.Version, have.Path
		// Without it, everything counts as added.
		old, _, _ = p.store.Peek(ctx, have.Snapshot)
	}
	failed := out
	c := newComparison(&out, p.names, old, at)
	err := p.plannedFiles(ctx, want, i, func(f transfer.Planned) { c.add(f, i.GetRemotePath()) })
	if err != nil {
		failed.Reason, failed.Error = status.ReasonOf(err), err.Error()
		return failed
	}
	c.countRemoved()
	return out
}

// plannedFiles calls each for those that a delivery would bring.
func (p *planner) plannedFiles(ctx context.Context, want *gatewayv1alpha1.Prefetch, i *gatewayv1alpha1.Item,
	each func(transfer.Planned)) error {
	var s *gatewayv1alpha1.Source
	if n := slices.IndexFunc(want.GetSources(), func(s *gatewayv1alpha1.Source) bool { return s.GetName() == i.GetSource() }); n >= 0 {
		s = want.GetSources()[n]
	}
	if err := checkTold(p.told, s); err != nil {
		return err
	}
	src, err := p.sources.Open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	request, err := sourceconfig.NewRequest(ctx, p.store, i, src, nil)
	if err != nil {
		return err
	}
	m, _, err := p.store.Peek(ctx, request.Key.ID())
	if err == nil {
		presentFiles(m, each)
		return nil
	}
	if !errors.Is(err, store.ErrNotStored) && !errors.Is(err, snapshot.ErrDamaged) {
		return err
	}
	return p.engine.Plan(ctx, request, each)
}

// presentFiles plans a snapshot of which nothing is missing.
func presentFiles(m *snapshot.Manifest, each func(transfer.Planned)) {
	for e := range m.Packed.All() {
		each(transfer.Planned{Path: e.Path, Single: m.File, Size: e.Size, Link: e.Link, Identity: e.Identity, Digest: e.Digest, Here: true})
	}
}

// removedItems are the items that the revision does not have any more.
func (p *planner) removedItems(ctx context.Context, items map[string]podstate.DeliveredItem) []inspection.PlannedItem {
	var out []inspection.PlannedItem
	for _, key := range sortedKeys(items) {
		have := items[key]
		i := inspection.PlannedItem{Namespace: have.Namespace, Name: have.Name, CurrentVersion: have.Version, Path: have.Path}
		m, _, err := p.store.Peek(ctx, have.Snapshot)
		if err != nil {
			i.Reason, i.Error = status.ReasonOf(err), err.Error()
		} else {
			newComparison(&i, p.names, m, have.Path).countRemoved()
		}
		out = append(out, i)
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
