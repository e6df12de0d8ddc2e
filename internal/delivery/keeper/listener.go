// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// preheats are the DataSets of a namespace whose data is to stay, as the gateway said.
type preheats struct {
	datasets map[string]bool
	at       time.Time
}

// listener keeps a stream of the gateway open, and remembers what it said.
type listener struct {
	options   Options
	connected func(bool)
	changed   func()

	renew chan struct{}
	mu    sync.Mutex
	// places are those that the gateway is asked about.
	places []census.Place
	asked  bool
	// gone are stores whose namespace is gone: a UID never comes back.
	gone     map[census.Place]bool
	preheats map[census.Place]preheats
}

func newListener(o Options, connected func(bool), changed func()) *listener {
	return &listener{options: o, connected: connected, changed: changed, renew: make(chan struct{}, 1), gone: map[census.Place]bool{},
		preheats: map[census.Place]preheats{}}
}

// setPlaces says which stores there are. Another list is asked about in a new stream.
func (l *listener) setPlaces(places []census.Place) {
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b census.Place) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.UID, b.UID))
	})
	l.mu.Lock()
	same := l.asked && slices.Equal(l.places, places)
	l.places, l.asked = places, true
	if !same {
		for place := range l.gone {
			if !slices.Contains(places, place) {
				delete(l.gone, place)
			}
		}
	}
	l.mu.Unlock()
	if !same {
		select {
		case l.renew <- struct{}{}:
		default:
		}
	}
}

func (l *listener) isGone(place census.Place) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone[place]
}

// preheatsOf returns what is to stay in a store; false: the gateway has not said.
func (l *listener) preheatsOf(place census.Place) (preheats, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.preheats[place]
	return p, ok
}

// streamsApart is the shortest time between two streams: places that come in a row are
// asked about together.
const streamsApart = 2 * time.Second

// run keeps a stream open until the context ends.
func (l *listener) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-l.renew:
	}
	for ctx.Err() == nil {
		stream, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { l.options.Gateway.WatchNode(stream, l.request(), l) })
		apart := time.NewTimer(streamsApart)
		select {
		case <-ctx.Done():
		case <-apart.C:
			select {
			case <-ctx.Done():
			case <-l.renew:
			}
		}
		apart.Stop()
		cancel()
		wg.Wait()
	}
}

func (l *listener) request() *gatewayv1alpha1.WatchNodeRequest {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &gatewayv1alpha1.WatchNodeRequest{KeeperVersion: l.options.Version}
	for _, place := range l.places {
		r.Directories = append(r.Directories, directoryOf(place))
	}
	return r
}

func directoryOf(p census.Place) *gatewayv1alpha1.StoreDirectory {
	return &gatewayv1alpha1.StoreDirectory{Namespace: p.Namespace, Uid: p.UID}
}

func placeOf(d *gatewayv1alpha1.StoreDirectory) census.Place {
	return census.Place{Namespace: d.GetNamespace(), UID: d.GetUid()}
}

// Told implements uplink.NodeHandler.
func (l *listener) Told(m *gatewayv1alpha1.WatchNodeResponse) {
	now := l.options.Now()
	l.mu.Lock()
	for _, d := range m.GetGone() {
		l.gone[placeOf(d)] = true
	}
	clear(l.preheats)
	for _, n := range m.GetPreheats() {
		p := preheats{datasets: map[string]bool{}, at: now}
		for _, name := range n.GetPreheats().GetDatasets() {
			p.datasets[name] = true
		}
		l.preheats[placeOf(n.GetDirectory())] = p
	}
	l.mu.Unlock()
	l.changed()
}

// Connected implements uplink.NodeHandler.
func (l *listener) Connected(yes bool) {
	l.options.Metrics.setConnected(yes)
	l.connected(yes)
}
