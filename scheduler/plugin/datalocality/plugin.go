// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/internal/placement/index"
	"github.com/kuda-io/kuda/scheduler/apis/config"
	"github.com/kuda-io/kuda/scheduler/apis/config/load"
)

// Name of the plugin in a scheduler's configuration.
const Name = "DataLocality"

// Plugin is DataLocality in one profile of a scheduler.
type Plugin struct {
	args     config.DataLocalityArgs
	handle   fwk.Handle
	log      klog.Logger
	index    *index.Index
	catalog  *catalog
	answers  *answers
	places   *places
	spread   *spread
	waiting  *waiting
	attempts *attempts
	// outweighs reports whether the data wins over any one other score (see
	// dataOutweighs); the profile is not complete before the first pod.
	outweighs func() bool
	// readDataSet reads one that the caches do not know yet.
	readDataSet readDataSet
	// ready is closed when the caches are filled, or that took too long.
	ready <-chan struct{}
	// scored is the cycle whose nodes are scored now.
	scored atomic.Pointer[scored]
}

var (
	_ fwk.PreFilterPlugin   = (*Plugin)(nil)
	_ fwk.FilterPlugin      = (*Plugin)(nil)
	_ fwk.PreScorePlugin    = (*Plugin)(nil)
	_ fwk.ScorePlugin       = (*Plugin)(nil)
	_ fwk.PostBindPlugin    = (*Plugin)(nil)
	_ fwk.SignPlugin        = (*Plugin)(nil)
	_ fwk.EnqueueExtensions = (*Plugin)(nil)
)

// New makes the plugin and starts what it watches, until the context ends: the
// framework has no other moment for it.
func New(ctx context.Context, arguments runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	args, err := load.Args(arguments)
	if err != nil {
		return nil, err
	}
	p := newPlugin(*args, handle, klog.FromContext(ctx).WithName(Name))
	s, err := newSources(p)
	if err != nil {
		return nil, fmt.Errorf("making the watches of %s: %w", Name, err)
	}
	registerMetrics()
	p.ready = s.startCaches(ctx)
	return p, nil
}

func newPlugin(args config.DataLocalityArgs, handle fwk.Handle, log klog.Logger) *Plugin {
	p := &Plugin{
		args: args, handle: handle, log: log,
		index: index.NewIndex(index.Options{CheckNodes: true}), catalog: newCatalog(),
		answers: newAnswers(args.RoomCheck, args.Weights), places: newPlaces(), spread: newSpread(), attempts: newAttempts(),
		outweighs: sync.OnceValue(func() bool { return dataOutweighs(handle, args.Weights) }),
	}
	p.waiting = newWaiting(p)
	return p
}

// Name is that in the configuration.
func (p *Plugin) Name() string { return Name }
