// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestChangesOfAThousandNodesMakeFewPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		passes := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				request, shutdown := q.Get()
				if shutdown {
					return
				}
				passes++
				q.Done(request)
			}
		}()
		h := gatherRequests(func(context.Context, client.Object) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "models"}}}
		})
		for n := range 1000 {
			s := &v1alpha1.NodeStore{}
			s.Name = fmt.Sprint("node-", n)
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: s, ObjectNew: s}, q)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * gatherTime)
		q.ShutDown()
		<-done
		if passes < 1 || passes > 4 {
			t.Errorf("%d passes", passes)
		}
	})
}
