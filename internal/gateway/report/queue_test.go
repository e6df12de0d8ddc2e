// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/coalesce"
	"github.com/kuda-io/kuda/internal/gateway/share"
)

var (
	key   = types.NamespacedName{Namespace: "shop", Name: "d"}
	about = Subject{key, "d-1"}
)

// bench is a queue over an API server that counts.
type bench struct {
	*Queue
	client client.Client
	clock  *clocktesting.FakeClock
	writes chan bool
}

func newBench(t *testing.T, d *v1alpha1.Data, before func()) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(d).WithStatusSubresource(d).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
			opts ...client.SubResourcePatchOption) error {
			if before != nil {
				before()
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	}).Build()
	fakeClock := clocktesting.NewFakeClock(now)
	b := &bench{client: c, clock: fakeClock, writes: make(chan bool, 100)}
	writer := &Writer{Cached: c, Live: c, Status: c.Status(), Clock: fakeClock}
	b.Queue = NewQueue(writer, share.New(share.Limits{Total: 8, PerPod: 8, PerNamespace: 8}), fakeClock, logr.Discard(),
		func(wrote bool, err error) {
			if err != nil {
				t.Errorf("writing: %v", err)
			}
			b.writes <- wrote
		})
	return b
}

func (b *bench) submitReport(t *testing.T, r Report) {
	t.Helper()
	if err := b.Submit(t.Context(), about, r); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) readStatus(t *testing.T) v1alpha1.DataStatus {
	t.Helper()
	var d v1alpha1.Data
	if err := b.client.Get(t.Context(), key, &d); err != nil {
		t.Fatal(err)
	}
	return d.Status
}

func TestProgressIsWrittenAtIntervals(t *testing.T) {
	b := newBench(t, newData("a"), nil)
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", downloading))})
	if wrote := <-b.writes; !wrote || b.readStatus(t).Downloading != 1 {
		t.Fatalf("the answered report is not written: %+v", b.readStatus(t))
	}
	for n := range 4 {
		further := newItemStatus("a", downloading)
		further.Bytes = uint64(6 + n)
		b.submitReport(t, Report{Request: newRequest(further)})
	}
	if len(b.writes) != 0 {
		t.Fatal("progress was written at once")
	}
	b.clock.Step(bytes.writeInterval())
	<-b.writes
	if got := b.readStatus(t).DataItemsStatus[0].Bytes; got != 9 {
		t.Errorf("%d bytes, want the newest report's 9", got)
	}
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	if b.readStatus(t).Success != 1 {
		t.Error("the answered report is not written")
	}
	b.Close()
	if len(b.writes) != 1 {
		t.Errorf("%d writes, want one for the success", len(b.writes))
	}
}

func TestReportEqualToTheLastIsNotWritten(t *testing.T) {
	b := newBench(t, newData("a"), nil)
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	before := b.readStatus(t)
	b.clock.Step(time.Hour)
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	b.Close()
	if len(b.writes) != 1 || b.readStatus(t).Conditions[0] != before.Conditions[0] {
		t.Errorf("%d writes, want 1", len(b.writes))
	}
}

func TestAReportOnAnEarlierRevisionIsNotWritten(t *testing.T) {
	d := newData("a")
	d.Spec.Revision = "r2"
	b := newBench(t, d, nil)
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	b.Close()
	if s := b.readStatus(t); s.ObservedRevision != "" || s.Success != 0 {
		t.Errorf("status: %+v", s)
	}
}

// replaceData makes the Data of another pod take the name, as after the pod of a
// StatefulSet was replaced.
func (b *bench) replaceData(t *testing.T) {
	t.Helper()
	d := newData("a")
	if err := b.client.Delete(t.Context(), d); err != nil {
		t.Error(err)
	}
	d.UID = "d-2"
	if err := b.client.Create(t.Context(), d); err != nil {
		t.Error(err)
	}
}

func TestAReportThatWaitsIsNotWrittenIntoTheNextDataOfTheName(t *testing.T) {
	b := newBench(t, newData("a"), nil)
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", downloading))})
	further := newItemStatus("a", downloading)
	further.Bytes = 9
	b.submitReport(t, Report{Request: newRequest(further)})
	b.replaceData(t)
	b.Close() // writes what waits
	if s := b.readStatus(t); s.ObservedRevision != "" || len(s.DataItemsStatus) > 0 {
		t.Errorf("the new pod's Data has the status of the dead one's: %+v", s)
	}
}

func TestAReportOfADataThatIsGoneIsDropped(t *testing.T) {
	b := newBench(t, newData("a"), nil)
	b.replaceData(t)
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", failed))})
	if s := b.readStatus(t); s.ObservedRevision != "" {
		t.Errorf("status: %+v", s)
	}
	if err := b.Submit(t.Context(), Subject{key, "d-2"}, Report{Request: newRequest(newItemStatus("a", success))}); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if s := b.readStatus(t); s.Success != 1 {
		t.Errorf("the new pod's own report is not written: %+v", s)
	}
}

func TestAReportDoesNotTakeThePlaceOfTheNextPods(t *testing.T) {
	b := newBench(t, newData("a"), nil)
	next := Subject{key, "d-2"}
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	b.replaceData(t)
	if err := b.Submit(t.Context(), next, Report{Request: newRequest(newItemStatus("a", downloading))}); err != nil {
		t.Fatal(err)
	}
	further := newItemStatus("a", downloading)
	further.Bytes = 9
	if err := b.Submit(t.Context(), next, Report{Request: newRequest(further)}); err != nil {
		t.Fatal(err)
	}
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", failed))}) // a last word of the dead pod
	b.Close()
	if s := b.readStatus(t); s.Failed != 0 || len(s.DataItemsStatus) != 1 || s.DataItemsStatus[0].Bytes != 9 {
		t.Errorf("status: %+v", s)
	}
}

func TestADataThatIsReplacedDuringTheWriteIsLeftAlone(t *testing.T) {
	var b *bench
	replaced := false
	b = newBench(t, newData("a"), func() {
		if !replaced {
			replaced = true
			b.replaceData(t)
		}
	})
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	b.Close()
	if s := b.readStatus(t); s.ObservedRevision != "" {
		t.Errorf("status: %+v", s)
	}
}

func TestAReportIsWrittenAfterConflicts(t *testing.T) {
	var b *bench
	conflicts := 2
	b = newBench(t, newData("a"), func() {
		if conflicts == 0 {
			return
		}
		conflicts--
		var d v1alpha1.Data
		if err := b.client.Get(t.Context(), key, &d); err != nil {
			t.Error(err)
		}
		d.Labels = map[string]string{"n": string(rune('a' + conflicts))}
		if err := b.client.Update(t.Context(), &d); err != nil {
			t.Error(err)
		}
	})
	b.submitReport(t, Report{Request: newRequest(newItemStatus("a", success))})
	if b.readStatus(t).Success != 1 {
		t.Errorf("status: %+v", b.readStatus(t))
	}
	b.Close()
	if err := b.Submit(t.Context(), about, Report{Request: newRequest(newItemStatus("a", failed))}); err == nil {
		t.Error("a closed queue takes reports")
	}
}

func TestAPodThatAlternatesIsWrittenOnceASecond(t *testing.T) {
	b := newBench(t, newData("a"), nil)
	written := 0
	for n := range urgentBurst {
		phase := success
		if n%2 == 0 {
			phase = failed
		}
		b.submitReport(t, Report{Request: newRequest(newItemStatus("a", phase))})
		written++
	}
	late := make(chan error, 1)
	go func() { late <- b.Submit(t.Context(), about, Report{Request: newRequest(newItemStatus("a", failed))}) }()
	for waits := false; !waits; goruntime.Gosched() {
		_ = b.queue.Submit(t.Context(), about, func(_ *pending, at coalesce.Times) (coalesce.Order, bool) {
			waits = at.Waiting
			return coalesce.Order{}, false
		})
	}
	if len(b.writes) != written {
		t.Errorf("%d writes at once, want %d", len(b.writes), written)
	}
	b.clock.Step(time.Second)
	if err := <-late; err != nil || b.readStatus(t).Failed != 1 {
		t.Errorf("the newest report is not written: %v", err)
	}
	b.Close()
}

func TestMessagesOfManyItemsTogetherAreBounded(t *testing.T) {
	for items, want := range map[int]int{0: maxItemMessage, 1: maxItemMessage, 32: maxItemMessage, 128: 768, 1000: leastItemMessage} {
		if got := messageLength(items); got != want {
			t.Errorf("%d items: %d bytes each, want %d", items, got, want)
		}
	}
}

// frozen is a cache that shows a Data as it once was.
type frozen struct {
	client.Reader
	data *v1alpha1.Data
}

func (f frozen) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	f.data.DeepCopyInto(o.(*v1alpha1.Data))
	return nil
}

// unasked fails the test when it is asked.
type unasked struct {
	client.Reader
	t *testing.T
}

func (u unasked) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	u.t.Error("the API server was asked for a Data")
	return nil
}

func TestAWriteBeginsFromWhatWasWrittenLast(t *testing.T) {
	tries := 0
	b := newBench(t, newData("a"), func() { tries++ })
	var d v1alpha1.Data
	if err := b.client.Get(t.Context(), key, &d); err != nil {
		t.Fatal(err)
	}
	b.writer.Cached, b.writer.Live = frozen{data: &d}, unasked{t: t}
	reports := []Report{
		{Request: newRequest(newItemStatus("a", downloading))},
		{Request: newRequest(newItemStatus("a", success))},
		{Request: newRequest(newItemStatus("a", success))},
	}
	for n, want := range []bool{true, true, false} {
		b.submitReport(t, reports[n])
		if wrote := <-b.writes; wrote != want {
			t.Errorf("report %d: wrote %v", n, wrote)
		}
	}
	if tries != 2 || b.readStatus(t).Success != 1 {
		t.Errorf("%d writes led to %+v", tries, b.readStatus(t))
	}
}
