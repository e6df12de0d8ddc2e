//go:build scale

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager/managertest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// parallel bounds what the test itself asks the API server for.
	parallel = 16
	// patience bounds each step.
	patience = 20 * time.Minute
)

// fleet is the played runtimes.
type fleet struct {
	world    *world
	dir      string
	sets     []*v1alpha1.DataSet
	runtimes []*playedRuntime

	mu sync.Mutex
	// since is when the step began whose times are taken, and back those of the runtimes that
	// are connected since then.
	since time.Time
	back  map[*playedRuntime]time.Duration
	// told are the times from an edit to each runtime that heard of the version.
	edited time.Time
	told   map[string][]time.Duration
}

// playedRuntime plays one runtime behind its connection.
type playedRuntime struct {
	fleet    *fleet
	pod, set string
	reporter *uplink.Reporter
	known    map[string]string
}

func newFleet(t *testing.T, w *world) *fleet {
	t.Helper()
	f := &fleet{world: w, dir: t.TempDir(), told: map[string][]time.Duration{}}
	all := intstr.FromString("100%")
	for n := range *dataSets {
		f.sets = append(f.sets, cluster.DataSet(t, w.namespace, setName(n), setName(n), func(d *v1alpha1.DataSet) {
			d.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{RollingUpdate: &v1alpha1.RollingUpdate{MaxUnavailable: &all}}
		}))
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for n := range *pods {
		r := &playedRuntime{fleet: f, pod: fmt.Sprintf("pod-%05d", n), set: setName(n % *dataSets), known: map[string]string{}}
		f.runtimes = append(f.runtimes, r)
		group.Go(func() error { return f.makePod(t.Context(), r) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return f
}

func setName(n int) string { return fmt.Sprintf("set-%03d", n) }

// makePod makes a running pod, and its token as the kubelet does.
func (f *fleet) makePod(ctx context.Context, r *playedRuntime) error {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: r.pod, Namespace: f.world.namespace, Labels: map[string]string{"app": r.set},
			Annotations: map[string]string{v1alpha1.AnnotationInjected: r.set, v1alpha1.AnnotationStore: v1alpha1.StorePod},
		},
		Spec: corev1.PodSpec{
			NodeName: "n1", ServiceAccountName: "default",
			InitContainers: []corev1.Container{{Name: sidecar.ContainerName, Image: "runtime", RestartPolicy: &always}},
			Containers:     []corev1.Container{{Name: "app", Image: "app"}},
		},
	}
	if err := cluster.Client.Create(ctx, p); err != nil {
		return err
	}
	managertest.Unready(p)
	p.Status.Phase, p.Status.Conditions[0].Status = corev1.PodRunning, corev1.ConditionTrue
	if err := cluster.Client.Status().Update(ctx, p); err != nil {
		return err
	}
	lifetime := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{sidecar.TokenAudience}, ExpirationSeconds: &lifetime,
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID},
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: f.world.namespace}}
	if err := cluster.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.dir, r.pod), []byte(request.Status.Token), 0o600)
}

// connect starts all runtimes at the same instant, and returns after which time each has
// heard from the gateway.
func (f *fleet) connect(t *testing.T) []time.Duration {
	t.Helper()
	_, port, err := net.SplitHostPort(f.world.gateway)
	if err != nil {
		t.Fatal(err)
	}
	f.expectReturn()
	f.edited = time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for _, r := range f.runtimes {
		c, err := uplink.New(uplink.Options{
			Address: net.JoinHostPort("localhost", port), CA: f.world.ca, TokenFile: filepath.Join(f.dir, r.pod), Log: logr.Discard(),
		})
		if err != nil {
			t.Fatal(err)
		}
		r.reporter = uplink.NewReporter(c.Report, logr.Discard())
		running.Go(func() { r.reporter.Run(ctx) })
		running.Go(func() { c.Watch(ctx, &gatewayv1alpha1.WatchRequest{Datasets: []string{r.set}}, r) })
	}
	return f.awaitConnected(t)
}

// expectReturn begins to count the runtimes that connect.
func (f *fleet) expectReturn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since, f.back = time.Now(), map[*playedRuntime]time.Duration{}
}

// awaitConnected waits until all runtimes are connected, and returns after which times.
func (f *fleet) awaitConnected(t *testing.T) []time.Duration {
	t.Helper()
	var took []time.Duration
	await(t, "all runtimes are connected", func() (done bool, state string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		took = took[:0]
		for _, d := range f.back {
			took = append(took, d)
		}
		return len(took) == len(f.runtimes), fmt.Sprintf("%d of %d", len(took), len(f.runtimes))
	})
	return took
}

// edit gives all DataSets a new version.
func (f *fleet) edit(t *testing.T, version string) {
	t.Helper()
	f.mu.Lock()
	f.edited = time.Now()
	f.mu.Unlock()
	for _, d := range f.sets {
		managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Template.DataItems[0].Version = version })
	}
}

// awaitVersion waits until the status of every Data says that it has the version, and
// returns after which times the runtimes heard of it.
func (f *fleet) awaitVersion(t *testing.T, version string) []time.Duration {
	t.Helper()
	await(t, "all have "+version, func() (bool, string) {
		var list v1alpha1.DataList
		if err := cluster.Client.List(t.Context(), &list, client.InNamespace(f.world.namespace),
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}); err != nil {
			return false, err.Error()
		}
		have := 0
		for i := range list.Items {
			d := &list.Items[i]
			if d.Status.Success == 1 && d.Status.ObservedRevision == d.Spec.Revision && d.Spec.DataItems[0].Version == version {
				have++
			}
		}
		return have == len(f.runtimes), fmt.Sprintf("%d of %d", have, len(f.runtimes))
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told[version]
}

// await waits until done says so.
func await(t *testing.T, what string, done func() (bool, string)) {
	t.Helper()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(patience)
	for {
		ok, state := done()
		if ok {
			return
		}
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("waiting until %s: %s", what, state)
		}
	}
}

// Connected notes when a runtime is connected.
func (r *playedRuntime) Connected(connected bool) {
	f := r.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if !connected {
		delete(f.back, r)
		return
	}
	f.back[r] = time.Since(f.since)
	r.reporter.Resend()
}

// Unreached is of no interest: what counts is when a runtime is connected.
func (r *playedRuntime) Unreached(error) {}

// Desired plays the delivery of what is new.
func (r *playedRuntime) Desired(m *gatewayv1alpha1.WatchResponse) {
	for _, a := range m.GetAssignments() {
		if r.known[a.GetData()] == a.GetRevision() {
			continue
		}
		r.known[a.GetData()] = a.GetRevision()
		version := a.GetItems()[0].GetVersion()
		r.fleet.mu.Lock()
		r.fleet.told[version] = append(r.fleet.told[version], time.Since(r.fleet.edited))
		r.fleet.mu.Unlock()
		r.reporter.Put(reportOf(a, gatewayv1alpha1.Phase_PHASE_DOWNLOADING), true)
		time.AfterFunc(*delivery, func() { r.reporter.Put(reportOf(a, gatewayv1alpha1.Phase_PHASE_SUCCESS), true) })
	}
}

func reportOf(a *gatewayv1alpha1.Assignment, phase gatewayv1alpha1.Phase) *gatewayv1alpha1.ReportRequest {
	report := &gatewayv1alpha1.ReportRequest{Data: a.GetData(), Revision: a.GetRevision()}
	if phase == gatewayv1alpha1.Phase_PHASE_SUCCESS {
		report.CurrentRevision = a.GetRevision()
	}
	for _, item := range a.GetItems() {
		report.Items = append(report.Items, &gatewayv1alpha1.ItemStatus{
			Namespace: item.GetNamespace(), Name: item.GetName(), Version: item.GetVersion(), Phase: phase, Bytes: 1 << 20, TotalBytes: 1 << 20,
			Digest: "xxh3:" + strings.Repeat("0", 16),
		})
	}
	return report
}
