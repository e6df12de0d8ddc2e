// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// inventory keeps an index of what nodes hold. It has a cache of its own, for
// which nothing waits: where NodeStores cannot be read, as before their
// CustomResourceDefinition is there, pods are injected all the same, without
// preferences for nodes. It is a manager.Runnable.
type inventory struct {
	cache cache.Cache
	index *index.Index
	log   logr.Logger
	// synced is that of the index's registration, once there is one.
	synced atomic.Pointer[func() bool]
}

// retryEvery is how long after a failure NodeStores are asked for again.
const retryEvery = 10 * time.Second

func newInventory(restConfig *rest.Config, opts cache.Options, log logr.Logger) (*inventory, error) {
	c, err := cache.New(restConfig, opts)
	if err != nil {
		return nil, fmt.Errorf("making the cache of NodeStores: %w", err)
	}
	// The NodeStore controller takes out what can no longer be believed.
	return &inventory{cache: c, index: index.NewIndex(index.Options{}), log: log}, nil
}

// Start follows the NodeStores until the context ends.
func (i *inventory) Start(ctx context.Context) error {
	go func() {
		if err := i.cache.Start(ctx); err != nil {
			i.log.Error(err, "stopped following the NodeStores; pods get no preferences for nodes until a restart")
		}
	}()
	// An error here is the end of the context's: the condition has none.
	_ = wait.PollUntilContextCancel(ctx, retryEvery, true, func(ctx context.Context) (bool, error) {
		if err := i.watchNodeStores(ctx); err != nil {
			i.log.Error(err, "left pods without preferences for nodes; trying again")
			return false, nil
		}
		return true, nil
	})
	<-ctx.Done()
	return nil
}

// NeedLeaderElection reports whether only the leader has an index: every replica has.
func (i *inventory) NeedLeaderElection() bool { return false }

// Ready reports whether the index has what there was at the start.
func (i *inventory) Ready() bool {
	synced := i.synced.Load()
	return synced != nil && (*synced)()
}

func (i *inventory) watchNodeStores(ctx context.Context) error {
	informer, err := i.cache.GetInformer(ctx, &v1alpha1.NodeStore{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("following the NodeStores: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    i.setStore,
		UpdateFunc: func(_, object any) { i.setStore(object) },
		DeleteFunc: i.removeStore,
	})
	if err != nil {
		return fmt.Errorf("following the NodeStores: %w", err)
	}
	synced := registration.HasSynced
	i.synced.Store(&synced)
	return nil
}

func (i *inventory) setStore(object any) {
	if s, ok := object.(*v1alpha1.NodeStore); ok {
		i.index.Set(s)
	}
}

func (i *inventory) removeStore(object any) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	if s, ok := object.(*v1alpha1.NodeStore); ok {
		i.index.Delete(s.Name)
	}
}

// marksOnly leaves out what is for people; the index is of marks.
func marksOnly(object any) (any, error) {
	if s, ok := object.(*v1alpha1.NodeStore); ok {
		s.ManagedFields = nil
		for i := range s.Status.Stores {
			for j := range s.Status.Stores[i].Snapshots {
				have := &s.Status.Stores[i].Snapshots[j]
				*have = v1alpha1.StoredSnapshot{Marks: have.Marks, Bytes: have.Bytes, Phase: have.Phase}
			}
		}
	}
	return object, nil
}
