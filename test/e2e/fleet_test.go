// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// sampled is where a fleet's pods read their version.
const sampled = "/kuda/data/x/version"

// fleet is a Deployment whose pods record every 20 ms which version they read,
// and its DataSet.
type fleet struct {
	t      *testing.T
	ns     string
	name   string
	prefix string
	ds     *v1alpha1.DataSet
	eyes   *observer
}

// samplesOf is what "app sample" answers.
type samplesOf struct {
	Count     int
	LongestMs int64
	Files     map[string][]struct {
		Time    time.Time
		Version string
	}
}

// newFleet starts n pods with version v1 and waits until they are all Ready.
func newFleet(t *testing.T, name string, n int32, edit func(*v1alpha1.DataSetSpec, *appsv1.Deployment)) *fleet {
	t.Helper()
	f := &fleet{t: t, ns: newNamespace(t, nil), name: name, prefix: "rollout/" + name + "/"}
	f.put(t, "v1")
	f.ds = dataSet(f.ns, name, item("x", f.prefix+"v1/", "v1"))
	d := deployment(f.ns, name, n, "sample", "--unready-on=unready", sampled)
	container := &d.Spec.Template.Spec.Containers[0]
	container.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 1, ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}}}
	if edit != nil {
		edit(&f.ds.Spec, d)
	}
	create(t, f.ds)
	create(t, d)
	waitDelivered(t, f.ds, n, 5*time.Minute)
	f.waitReady(t, n)
	f.eyes = observe(t, f.ns, name)
	return f
}

// put stores a version: a file that tells its name, and some bytes beside it.
func (f *fleet) put(t *testing.T, version string) {
	t.Helper()
	store.put(t, f.prefix+version+"/version", versionFile(version, 1<<10))
	store.put(t, f.prefix+version+"/payload.bin", versionFile(version, 1<<20))
}

// versionFile is a file that "app sample" knows to be whole.
func versionFile(version string, size int) []byte {
	return []byte(version + "\n" + strings.Repeat("x", size) + "\n" + version + "\n")
}

// edit rolls a version out, with whatever else is changed.
func (f *fleet) edit(t *testing.T, version string, more ...func(*v1alpha1.DataSetSpec)) {
	t.Helper()
	f.put(t, version)
	update(t, f.ds, func() {
		i := &f.ds.Spec.Template.DataItems[0]
		i.Version, i.RemotePath = version, f.prefix+version+"/"
		i.Digest, i.Lifecycle = "", nil
		for _, change := range more {
			change(&f.ds.Spec)
		}
	})
}

func (f *fleet) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	return pods(t, f.ns, f.name)
}

func (f *fleet) waitReady(t *testing.T, n int32) {
	t.Helper()
	eventually(t, 3*time.Minute, func(ctx context.Context) error {
		var d appsv1.Deployment
		if err := kube.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: f.name}, &d); err != nil {
			return err
		}
		if d.Status.ReadyReplicas != n || d.Status.Replicas != n {
			return fmt.Errorf("%d of %d pods are Ready, want %d", d.Status.ReadyReplicas, d.Status.Replicas, n)
		}
		return nil
	})
}

func (f *fleet) scale(t *testing.T, n int32) {
	t.Helper()
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = f.ns, f.name
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n))
	if err := kube.Patch(t.Context(), d, patch); err != nil {
		t.Fatal(err)
	}
}

// get reads the DataSet as it is now.
func (f *fleet) get(ctx context.Context) (*v1alpha1.DataSet, error) {
	var ds v1alpha1.DataSet
	return &ds, kube.Get(ctx, client.ObjectKeyFromObject(f.ds), &ds)
}

// waitPhase waits until the rollout of the spec as it is now is in a phase.
func (f *fleet) waitPhase(t *testing.T, phase v1alpha1.RolloutPhase, timeout time.Duration) *v1alpha1.DataSet {
	t.Helper()
	return f.waitStatus(t, timeout, func(s *v1alpha1.DataSetStatus) error {
		if s.Rollout.Phase != phase {
			return fmt.Errorf("phase %s (%s: %s), want %s", s.Rollout.Phase, s.Rollout.Reason, s.Rollout.Message, phase)
		}
		return nil
	})
}

func (f *fleet) waitStatus(t *testing.T, timeout time.Duration, check func(*v1alpha1.DataSetStatus) error) *v1alpha1.DataSet {
	t.Helper()
	var last *v1alpha1.DataSet
	eventually(t, timeout, func(ctx context.Context) error {
		ds, err := f.get(ctx)
		if err != nil {
			return err
		}
		last = ds
		if ds.Status.ObservedGeneration != ds.Generation || ds.Status.Rollout == nil || ds.Status.Rollout.Revision != ds.Status.UpdateRevision {
			return errors.New("the controller has not seen the spec yet")
		}
		return check(&ds.Status)
	})
	return last
}

// samples asks every pod what it has read.
func (f *fleet) samples(t *testing.T) map[string]samplesOf {
	t.Helper()
	all := map[string]samplesOf{}
	for _, p := range f.pods(t) {
		var s samplesOf
		eventually(t, time.Minute, func(ctx context.Context) error {
			if p.Status.PodIP == "" { // it is new
				if err := kube.Get(ctx, client.ObjectKeyFromObject(&p), &p); err != nil {
					return err
				}
			}
			if err := getJSON(ctx, p, "/samples", &s); err != nil {
				return err
			}
			if len(s.Files[sampled]) == 0 {
				return fmt.Errorf("the application of pod %s has not looked yet", p.Name)
			}
			return nil
		})
		all[p.Name] = s
	}
	return all
}

// versions counts the pods by the version that they read now.
func (f *fleet) versions(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, s := range f.samples(t) {
		seen := s.Files[sampled]
		found[seen[len(seen)-1].Version]++
	}
	return found
}

// waitVersions waits until the pods read these versions.
func (f *fleet) waitVersions(t *testing.T, want map[string]int, timeout time.Duration) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		got := f.versions(t)
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s the pods read %v, want %v", timeout, got, want)
		}
		pause(t, 200*time.Millisecond)
	}
}

// checkSamples holds that no application ever read something incomplete, or
// nothing, and that none was restarted.
func (f *fleet) checkSamples(t *testing.T) {
	t.Helper()
	var longest int64
	looks := 0
	for pod, s := range f.samples(t) {
		longest, looks = max(longest, s.LongestMs), looks+s.Count
		for _, seen := range s.Files[sampled] {
			if seen.Version == "" || seen.Version == "partial" || strings.HasPrefix(seen.Version, "error") {
				t.Errorf("pod %s read %q at %s", pod, seen.Version, seen.Time.Format(time.StampMilli))
			}
		}
	}
	if n := restarts(f.pods(t)); n != 0 {
		t.Errorf("applications were restarted %d times", n)
	}
	t.Logf("%d looks of the applications, the longest time between two %d ms", looks, longest)
}

// lastSeen is when the last pod began to read a version, and how many read it.
func (f *fleet) lastSeen(t *testing.T, version string, since time.Time) (last time.Time, n int) {
	t.Helper()
	for _, s := range f.samples(t) {
		for _, seen := range s.Files[sampled] {
			if seen.Version == version && seen.Time.After(since) {
				n++
				if seen.Time.After(last) {
					last = seen.Time
				}
				break
			}
		}
	}
	return last, n
}

// move is a Data that was told to have a revision.
type move struct {
	pod, revision string
	at            time.Time
}

// observer watches the pods, Data and DataSet of a fleet and keeps account.
type observer struct {
	mu sync.Mutex
	// ready and delivered by pod; a pod counts when it was both once.
	ready, delivered, counted map[string]bool
	// worst is the largest number of counted pods that were not both.
	worst  int
	moves  []move
	phases map[v1alpha1.RolloutPhase]time.Time
	told   map[string]string
}

func observe(t *testing.T, namespace, app string) *observer {
	t.Helper()
	o := &observer{}
	o.forget()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	watchAll(ctx, t, &corev1.PodList{}, o.pod, client.InNamespace(namespace), client.MatchingLabels{"app": app})
	watchAll(ctx, t, &v1alpha1.DataList{}, o.data, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelDataSet: app})
	watchAll(ctx, t, &v1alpha1.DataSetList{}, o.dataSet, client.InNamespace(namespace))
	return o
}

// watchAll hands every state of the listed objects on, as it comes.
func watchAll(ctx context.Context, t *testing.T, list client.ObjectList, seen func(o client.Object, gone bool), opts ...client.ListOption) {
	t.Helper()
	watcher, err := kube.Watch(ctx, list, opts...)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer watcher.Stop()
		for e := range watcher.ResultChan() {
			if o, ok := e.Object.(client.Object); ok {
				seen(o, e.Type == "DELETED")
			}
		}
	}()
}

// forget begins a new account; what pods are stays known.
func (o *observer) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ready == nil {
		o.ready, o.delivered, o.counted, o.told = map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]string{}
	}
	o.worst, o.moves, o.phases = 0, nil, map[v1alpha1.RolloutPhase]time.Time{}
}

func (o *observer) pod(object client.Object, gone bool) {
	p := object.(*corev1.Pod)
	o.mu.Lock()
	defer o.mu.Unlock()
	if gone || p.DeletionTimestamp != nil {
		delete(o.ready, p.Name)
		delete(o.counted, p.Name)
		return
	}
	o.ready[p.Name] = podReady(p)
	o.count(p.Name)
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (o *observer) data(object client.Object, gone bool) {
	d := object.(*v1alpha1.Data)
	o.mu.Lock()
	defer o.mu.Unlock()
	if gone {
		return
	}
	s := &d.Status
	o.delivered[d.Spec.PodName] = s.ObservedRevision == d.Spec.Revision && s.Success == s.DataItems &&
		int(s.DataItems) == len(d.Spec.DataItems)
	if was := o.told[d.Spec.PodName]; was != d.Spec.Revision {
		if was != "" {
			o.moves = append(o.moves, move{pod: d.Spec.PodName, revision: d.Spec.Revision, at: time.Now()})
		}
		o.told[d.Spec.PodName] = d.Spec.Revision
	}
	o.count(d.Spec.PodName)
}

func (o *observer) dataSet(object client.Object, _ bool) {
	ds := object.(*v1alpha1.DataSet)
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := ds.Status.Rollout; r != nil && r.Revision == ds.Status.UpdateRevision {
		if _, ok := o.phases[r.Phase]; !ok {
			o.phases[r.Phase] = time.Now()
		}
	}
}

// count is called with the lock held.
func (o *observer) count(pod string) {
	if o.ready[pod] && o.delivered[pod] {
		o.counted[pod] = true
	}
	away := 0
	for name := range o.counted {
		if !o.ready[name] || !o.delivered[name] {
			away++
		}
	}
	o.worst = max(o.worst, away)
}

func (o *observer) mostAway() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.worst
}

// since returns when a phase was first seen since the account began.
func (o *observer) since(phase v1alpha1.RolloutPhase) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.phases[phase]
}

// movesTo lists the moves to a revision since the account began.
func (o *observer) movesTo(revision string) []move {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []move
	for _, m := range o.moves {
		if m.revision == revision {
			found = append(found, m)
		}
	}
	return found
}

// atMost is a maxUnavailable.
func atMost(value string) *v1alpha1.RollingUpdate {
	return &v1alpha1.RollingUpdate{MaxUnavailable: ptr.To(intstr.Parse(value))}
}
