// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/coalesce"
	"github.com/kuda-io/kuda/internal/gateway/share"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// node is Ready since an hour.
func newNode(uid types.UID) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: uid}}
	n.Status.NodeInfo.BootID = "boot-1"
	n.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-time.Hour)),
	}}
	return n
}

// bench is a queue over an API server that counts.
type bench struct {
	*Queue
	client client.Client
	clock  *clocktesting.FakeClock
	writes chan bool
}

// newBench makes one; before is called ahead of each patch of a status.
func newBench(t *testing.T, before func(*bench), objects ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	b := &bench{clock: clocktesting.NewFakeClock(now), writes: make(chan bool, 100)}
	b.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.NodeStore{}).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
				opts ...client.SubResourcePatchOption) error {
				if before != nil {
					before(b)
				}
				return c.SubResource(sub).Patch(ctx, o, p, opts...)
			},
		}).Build()
	writer := &Writer{Cached: b.client, Live: b.client, Client: b.client, Clock: b.clock}
	b.Queue = NewQueue(writer, share.New(share.Limits{Total: 8, PerPod: 8, PerNamespace: 8}), b.clock, logr.Discard(),
		func(wrote bool, _ error) { b.writes <- wrote })
	t.Cleanup(b.Close)
	return b
}

func (b *bench) submitReport(t *testing.T, namespace string, snapshots ...*gatewayv1alpha1.StoredSnapshot) {
	t.Helper()
	e, err := Entry(namespace, newRequest(snapshots...), b.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(t.Context(), "n1", e); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) getStore(t *testing.T) *v1alpha1.NodeStore {
	t.Helper()
	var s v1alpha1.NodeStore
	if err := b.client.Get(t.Context(), types.NamespacedName{Name: "n1"}, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// look shows what waits for the node, and changes nothing.
func (b *bench) look(see func(*pending, coalesce.Times)) {
	_ = b.queue.Submit(context.Background(), "n1", func(p *pending, at coalesce.Times) (coalesce.Order, bool) {
		see(p, at)
		return coalesce.Order{}, false
	})
}

// submitAsync submits, and returns the channel of the result once the queue has the report.
func (b *bench) submitAsync(t *testing.T, namespace string, snapshots ...*gatewayv1alpha1.StoredSnapshot) <-chan error {
	t.Helper()
	e, err := Entry(namespace, newRequest(snapshots...), b.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	e.BootID = newNode("").Status.NodeInfo.BootID
	ended := make(chan error, 1)
	go func() { ended <- b.Submit(t.Context(), "n1", e) }()
	for {
		queued := false
		b.look(func(p *pending, _ coalesce.Times) {
			waits, ok := p.next[namespace]
			queued = ok && compareEntries(&waits, &e) == nothing
		})
		if queued {
			return ended
		}
		select {
		case err := <-ended:
			t.Fatalf("answered before it was written: %v", err)
		case <-t.Context().Done():
			t.Fatal("not queued")
		default:
		}
	}
}

// await lets time go by until something comes: a timer that is set after a step
// has not seen it.
func awaitResult[T any](b *bench, from <-chan T) T {
	for {
		select {
		case v := <-from:
			return v
		default:
			b.clock.Step(time.Second)
			goruntime.Gosched()
		}
	}
}

func TestTheFirstReportOfANodeCreatesItsNodeStore(t *testing.T) {
	b := newBench(t, nil, newNode("u1"))
	b.submitReport(t, "shop", newSnapshot(1), newSnapshot(2))
	s := b.getStore(t)
	if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != "u1" || s.OwnerReferences[0].Kind != "Node" {
		t.Errorf("owner: %+v", s.OwnerReferences)
	}
	if s.Status.Items != 2 || !s.Status.Stores[0].ObservedTime.Equal(&metav1.Time{Time: now}) {
		t.Errorf("status: %+v", s.Status)
	}
}

func TestReportsOfOneSecondAreWrittenTogether(t *testing.T) {
	b := newBench(t, nil, newNode("u1"))
	b.submitReport(t, "a", newSnapshot(1))
	<-b.writes
	var ended []<-chan error
	for i := range 5 {
		ended = append(ended, b.submitAsync(t, fmt.Sprintf("b-%d", i), newSnapshot(i)))
	}
	ended = append(ended, b.submitAsync(t, "a", newSnapshot(1), newSnapshot(2)), b.submitAsync(t, "a", newSnapshot(3)))
	if len(b.writes) != 0 {
		t.Fatal("written within a second of the last write")
	}
	for _, e := range ended {
		if err := awaitResult(b, e); err != nil {
			t.Error(err)
		}
	}
	<-b.writes
	if s := b.getStore(t).Status; len(b.writes) != 0 || len(s.Stores) != 6 || s.Stores[0].Snapshots[0].ID != snapshotID(3) {
		t.Errorf("%d writes more; %d stores", len(b.writes), len(s.Stores))
	}
}

func TestFiguresAreWrittenAtIntervals(t *testing.T) {
	b := newBench(t, nil, newNode("u1"))
	b.submitReport(t, "shop", newSnapshot(1))
	<-b.writes
	for i := range 5 {
		b.submitReport(t, "shop", newSnapshot(1, func(s *gatewayv1alpha1.StoredSnapshot) { s.Pods = uint32(i + 1) }))
	}
	b.clock.Step(contents.writeInterval())
	if len(b.writes) != 0 {
		t.Fatal("figures were written at once")
	}
	awaitResult(b, b.writes)
	if got := b.getStore(t).Status.Stores[0].Snapshots[0].Pods; got != 5 {
		t.Errorf("%d pods, want the newest report's 5", got)
	}
}

func TestReportEqualToTheLastIsNotWritten(t *testing.T) {
	b := newBench(t, nil, newNode("u1"))
	b.submitReport(t, "shop", newSnapshot(1))
	before := b.getStore(t).ResourceVersion
	for range 10 {
		b.clock.Step(5 * time.Minute)
		b.submitReport(t, "shop", newSnapshot(1))
	}
	b.Close()
	if after := b.getStore(t).ResourceVersion; len(b.writes) != 1 || after != before {
		t.Errorf("%d writes, version %s, want 1 and %s", len(b.writes), after, before)
	}
}

func TestAReportThatGoesBackToTheOldStateIsWritten(t *testing.T) {
	b := newBench(t, nil, newNode("u1"))
	b.submitReport(t, "shop", newSnapshot(1))
	<-b.writes
	// The cache stays at the first report.
	first := b.getStore(t)
	b.writer.Cached = fake.NewClientBuilder().WithScheme(b.client.Scheme()).WithObjects(newNode("u1"), first).Build()
	b.clock.Step(time.Second)
	b.submitReport(t, "shop", newSnapshot(2))
	b.clock.Step(time.Second)
	b.submitReport(t, "shop", newSnapshot(1))
	if got := b.getStore(t).Status.Stores[0].Snapshots[0].ID; got != snapshotID(1) {
		t.Errorf("the node is said to hold %s, want the newest report's %s", got, snapshotID(1))
	}
}

func TestAConflictKeepsEachEntry(t *testing.T) {
	conflicts := 2
	b := newBench(t, func(b *bench) {
		if conflicts == 0 {
			return
		}
		conflicts--
		// Another replica, for another namespace.
		s := b.getStore(t)
		s.Status = Merge(&s.Status, newEntry(t, fmt.Sprint("other-", conflicts), newRequest(newSnapshot(7))))
		if err := b.client.Status().Update(t.Context(), s); err != nil {
			t.Error(err)
		}
	}, newNode("u1"))
	b.submitReport(t, "shop", newSnapshot(1))
	if s := b.getStore(t).Status; len(s.Stores) != 3 || s.Items != 3 {
		t.Errorf("%d stores, %d items", len(s.Stores), s.Items)
	}
}

func TestANewNodeInheritsNothingFromAnEarlierOneOfItsName(t *testing.T) {
	old := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{
		Name: "n1", OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n1", UID: "u0"}},
	}}
	old.Status = Merge(&old.Status, newEntry(t, "old", newRequest(newSnapshot(1))), newEntry(t, "shop", newRequest(newSnapshot(1))))
	b := newBench(t, nil, newNode("u1"), old)
	b.submitReport(t, "shop", newSnapshot(1))
	if s := b.getStore(t); s.OwnerReferences[0].UID != "u1" || len(s.Status.Stores) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTheBootIDIsThatOfTheNode(t *testing.T) {
	n := newNode("u1")
	n.Status.NodeInfo.BootID = "boot-2"
	b := newBench(t, nil, n)
	b.submitReport(t, "shop", newSnapshot(1))
	if got := b.getStore(t).Status.Stores[0].BootID; got != "boot-2" {
		t.Errorf("the entry is of boot %q, the node of boot-2", got)
	}
	if err := b.Submit(t.Context(), "n2", newEntry(t, "shop", newRequest(newSnapshot(1)))); !errors.Is(err, ErrNoNode) {
		t.Errorf("a node that is not there: %v", err)
	}
}

func TestTheObservedTimeIsNotBeforeTheNodeBecameReady(t *testing.T) {
	n := newNode("u1")
	since := now.Add(30 * time.Second)
	n.Status.Conditions[0].LastTransitionTime = metav1.NewTime(since)
	b := newBench(t, nil, n)
	b.submitReport(t, "shop", newSnapshot(1))
	if got := b.getStore(t).Status.Stores[0].ObservedTime; got.Time.Before(since) {
		t.Errorf("observed at %s, before the node became Ready at %s", got, since)
	}
}

func TestQueuesOfIdleNodesAreRemoved(t *testing.T) {
	b := newBench(t, nil, newNode("u1"))
	b.submitReport(t, "shop", newSnapshot(1))
	for known := true; known; b.clock.Step(rest) {
		b.look(func(p *pending, _ coalesce.Times) { known = p.wrote != nil })
	}
	b.Close()
	if err := b.Submit(t.Context(), "n1", newEntry(t, "shop", newRequest(newSnapshot(2)))); err == nil {
		t.Error("a closed queue takes reports")
	}
}

func TestAListThatChangesAllTheTimeIsWrittenSeldom(t *testing.T) {
	b := newBench(t, nil, newNode("u1"))
	b.submitReport(t, "first", newSnapshot(1))
	due := func() (wait time.Duration) {
		b.look(func(_ *pending, at coalesce.Times) { wait = at.Due.Sub(b.clock.Now()) })
		return wait
	}
	b.look(func(*pending, coalesce.Times) {
		if !b.getLimiter("n1", "hog").AllowN(b.clock.Now(), urgentBurst) {
			t.Error("the first changes are held up")
		}
	})
	hog := b.submitAsync(t, "hog", newSnapshot(1))
	if got := due(); got != figures.writeInterval() {
		t.Errorf("a list that changes all the time is written after %s, want %s", got, figures.writeInterval())
	}
	other := b.submitAsync(t, "shop", newSnapshot(1))
	if got := due(); got > contents.writeInterval() {
		t.Errorf("another namespace of the node waits %s, want %s", got, contents.writeInterval())
	}
	for _, ended := range []<-chan error{other, hog} {
		if err := awaitResult(b, ended); err != nil {
			t.Error(err)
		}
	}
}
