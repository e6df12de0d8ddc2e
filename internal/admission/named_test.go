// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// naming is a replica that names DataSets, with the label that makes it wait for them.
func naming(names string) *corev1.Pod {
	pod := replica()
	pod.Annotations = map[string]string{v1alpha1.AnnotationDataSets: names}
	pod.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionRequired
	return pod
}

func TestAPodIsRefusedUntilItsDataSetsDeliverToIt(t *testing.T) {
	for name, c := range map[string]struct {
		pod  func(*corev1.Pod)
		want []string // of the refusal; none: it is injected
	}{
		"all there":     {func(*corev1.Pod) {}, nil},
		"named twice":   {annotated(" model ,model,index"), nil},
		"one missing":   {annotated("model,absent"), []string{"there is no DataSet absent in namespace shop", "tries again by itself"}},
		"of another":    {annotated("elsewhere"), []string{"there is no DataSet elsewhere in namespace shop"}},
		"two missing":   {annotated("x,model,y"), []string{"no DataSet x", "no DataSet y"}},
		"being deleted": {annotated("leaving"), []string{"DataSet leaving is being deleted"}},
		"not selected": {annotated("model,other"), []string{"DataSet other does not select it: the pod has the label app=search " +
			"and not app=other, lacks the label tier=front"}},
		"of a preheat pod": {func(p *corev1.Pod) { p.Labels[v1alpha1.LabelPreheat] = "index" },
			[]string{"DataSet model does not select it: the pod carries the label kuda.io/preheat"}},
		"empty":        {annotated(" "), []string{"its annotation kuda.io/datasets is empty", `such as "model,index"`}},
		"a comma":      {annotated("model,,index"), []string{"has a comma without a name beside it"}},
		"no name":      {annotated("Model_1"), []string{`has "Model_1", which is no name of a DataSet`}},
		"a control":    {annotated("mod\x1b[31mel"), []string{`has "mod[31mel"`}},
		"a long one":   {annotated(strings.Repeat("x", 200<<10)), []string{"which is no name"}},
		"many":         {annotated(strings.Repeat("x,", 100<<10)), []string{"names more than 32 DataSets"}},
		"many missing": {annotated(numbered(32)), []string{"no DataSet x0 ", "and 27 more"}},
		"that cannot be injected": {func(p *corev1.Pod) { p.Spec.HostNetwork = true },
			[]string{"it requires injection (label kuda.io/injection=required)", "hostNetwork"}},
		"with no names, selected": {func(p *corev1.Pod) { p.Annotations = nil }, nil},
		"with no names, not selected": {func(p *corev1.Pod) { p.Annotations, p.Labels["app"] = nil, "x" },
			[]string{"it requires injection (label kuda.io/injection=required), and no DataSet of namespace shop selects it"}},
	} {
		t.Run(name, func(t *testing.T) {
			index, other, leaving, elsewhere := dataSet(), dataSet(), dataSet(), dataSet()
			index.Namespace, index.Name = "shop", "index"
			other.Namespace, other.Name, other.Spec.WorkloadSelector = "shop", "other", map[string]string{"app": "other", "tier": "front"}
			leaving.Namespace, leaving.Name, leaving.Finalizers = "shop", "leaving", []string{v1alpha1.FinalizerWithdraw}
			leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
			elsewhere.Namespace, elsewhere.Name = "bank", "elsewhere"
			h := handler(t, append(shop("shop"), index, other, leaving, elsewhere)...)
			pod := naming("model,index")
			c.pod(pod)
			resp := h.Handle(t.Context(), create(t, pod))
			if len(c.want) == 0 {
				if !resp.Allowed || !strings.Contains(string(resp.Patch), sidecar.ContainerName) || len(resp.Warnings) > 0 {
					t.Fatalf("got %+v", resp)
				}
				return
			}
			if resp.Allowed || len(resp.Patch) > 0 {
				t.Fatalf("got %+v", resp)
			}
			for _, want := range c.want {
				if !strings.Contains(resp.Result.Message, want) {
					t.Errorf("got %q, want %q", resp.Result.Message, want)
				}
			}
			if len(resp.Result.Message) > 1024 {
				t.Errorf("the message has %d bytes", len(resp.Result.Message))
			}
			if strings.ContainsAny(resp.Result.Message, "\x1b\n") {
				t.Errorf("the message has control characters: %q", resp.Result.Message)
			}
			// Without the label it is refused as well, and told what it lacks.
			if _, names := pod.Annotations[v1alpha1.AnnotationDataSets]; !names {
				return
			}
			delete(pod.Labels, v1alpha1.LabelInjection)
			resp = h.Handle(t.Context(), create(t, pod))
			if resp.Allowed || !slices.Equal(resp.Warnings, []string{openWarning}) {
				t.Errorf("without the label: got %+v", resp)
			}
		})
	}
}

func annotated(names string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationDataSets] = names }
}

func numbered(n int) string {
	names := make([]string, 0, n)
	for i := range n {
		names = append(names, fmt.Sprint("x", i))
	}
	return strings.Join(names, ",")
}

func TestAPodThatNamesItsDataSetsWithoutTheLabelIsWarned(t *testing.T) {
	h := handler(t, shop("shop")...)
	pod := naming("model")
	delete(pod.Labels, v1alpha1.LabelInjection)
	resp := h.Handle(t.Context(), create(t, pod))
	if !resp.Allowed || len(resp.Patch) == 0 || !slices.Equal(resp.Warnings, []string{openWarning}) {
		t.Errorf("got %+v", resp)
	}
	h.Required = true // its namespace has the label
	if resp := h.Handle(t.Context(), create(t, pod)); !resp.Allowed || len(resp.Warnings) > 0 {
		t.Errorf("got %+v", resp)
	}
}

func TestAPodThatNamesItsDataSetsIsRefusedWhileTheyAreNotKnown(t *testing.T) {
	for name, label := range map[string]bool{"with the label": true, "without": false} {
		h := handler(t, shop("shop")...)
		h.Live = blind{}
		pod := naming("model")
		if !label {
			delete(pod.Labels, v1alpha1.LabelInjection)
		}
		if resp := h.Handle(t.Context(), create(t, pod)); resp.Allowed || !strings.Contains(resp.Result.Message, errBlind.Error()) {
			t.Errorf("%s: got %+v", name, resp)
		}
	}
}

// Older versions of kubectl debug --copy-to keep the annotations and not the labels.
func TestACopyWithTheAnnotationAndWithoutLabelsLosesTheRuntime(t *testing.T) {
	h := handler(t, shop("shop")...)
	pod := naming("model")
	pod.Labels = nil
	pod.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeToken, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: sidecar.TokenAudience}}}}}}}
	resp := h.Handle(t.Context(), create(t, pod))
	if !resp.Allowed || !slices.Contains(resp.Warnings, copyWarning) {
		t.Errorf("got %+v", resp)
	}
}

// late is an API server that has DataSets of which its own cache has only the first ones,
// and that takes its time.
type late struct {
	client.Reader
	dataSets []*v1alpha1.DataSet
	// cached is how many of them its cache has.
	cached int
	takes  time.Duration

	mu           sync.Mutex
	lists, reads int
}

func (l *late) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var options client.ListOptions
	for _, o := range opts {
		o.ApplyToList(&options)
	}
	l.mu.Lock()
	l.lists++
	l.mu.Unlock()
	there := l.dataSets
	if options.Raw != nil && options.Raw.ResourceVersion == "0" {
		there = there[:l.cached]
	}
	metadata, ok := list.(*metav1.PartialObjectMetadataList)
	if !ok {
		return fmt.Errorf("a list of %T", list)
	}
	for _, d := range there {
		metadata.Items = append(metadata.Items, metav1.PartialObjectMetadata{ObjectMeta: d.ObjectMeta})
	}
	return l.wait(ctx)
}

func (l *late) Get(ctx context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	l.mu.Lock()
	l.reads++
	l.mu.Unlock()
	for _, d := range l.dataSets {
		if into, ok := o.(*v1alpha1.DataSet); ok && d.Name == key.Name {
			d.DeepCopyInto(into)
		}
	}
	return l.wait(ctx)
}

func (l *late) wait(ctx context.Context) error {
	timer := time.NewTimer(l.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// emptyCache has heard of no DataSet.
type emptyCache struct{ client.Reader }

func (emptyCache) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func several(n int, created time.Time) []*v1alpha1.DataSet {
	all := make([]*v1alpha1.DataSet, 0, n)
	for i := range n {
		d := dataSet()
		d.Namespace, d.Name, d.Generation, d.CreationTimestamp = "shop", fmt.Sprint("model-", i), 1, metav1.Time{Time: created}
		all = append(all, d)
	}
	return all
}

func TestEveryDataSetOfAnApplyIsFoundThoughTheAPIServerIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The API server's own cache has the first of them only, and each answer takes longer
		// than a pod is held up where there is no news.
		api := &late{dataSets: several(5, time.Now()), cached: 1, takes: briefLimit - time.Millisecond}
		h := &Pods{Cache: emptyCache{}, Live: api, looks: newLooks()}
		started := time.Now()
		got, err := h.dataSets(t.Context(), "shop", false)
		if err != nil || len(got) != 5 || time.Since(started) > longLimit {
			t.Errorf("found %d in %s, %v", len(got), time.Since(started), err)
		}
	})
}

func TestDataSetsThatTheWebhookWasAskedAboutAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The API server's own cache has none of them yet.
		api := &late{dataSets: several(2, time.Now())}
		h := &Pods{Cache: emptyCache{}, Live: api, looks: newLooks()}
		users := &Users{Changed: h.noteChange}
		users.Handle(t.Context(), changeBy("alice", "", `{"metadata":{},"spec":{}}`))
		if got, err := h.dataSets(t.Context(), "shop", false); err != nil || len(got) != 2 {
			t.Errorf("found %d, %v", len(got), err)
		}
		time.Sleep(youngFor)
		if got, err := h.dataSets(t.Context(), "shop", false); err != nil || len(got) != 0 {
			t.Errorf("the store is asked for ever: found %d, %v", len(got), err)
		}
	})
}

func TestADryRunIsNotRememberedAsAChange(t *testing.T) {
	var told []string
	users := &Users{Changed: func(_ context.Context, namespace string) { told = append(told, namespace) }}
	for _, dry := range []bool{true, false} {
		req := changeBy("alice", "", `{"metadata":{},"spec":{}}`)
		req.DryRun = &dry
		users.Handle(t.Context(), req)
	}
	if len(told) != 1 {
		t.Errorf("told %d times", len(told))
	}
}

func TestRecentNamespacesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recent
		for i := range 2 * maxRecent {
			r.note(fmt.Sprint("n", i))
		}
		r.note("n0")
		if len(r.at) != maxRecent || !r.has("n0") || r.has(fmt.Sprint("n", maxRecent)) {
			t.Errorf("remembers %d", len(r.at))
		}
		time.Sleep(youngFor)
		if r.note("new"); len(r.at) != 1 || !r.has("new") || r.has("n0") {
			t.Errorf("remembers %d after a while", len(r.at))
		}
	})
}

func TestAnOldDataSetHoldsNoPodUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := several(2, time.Now().Add(-time.Hour))
		known := v1alpha1.DataSetList{}
		for _, d := range old {
			known.Items = append(known.Items, *d)
		}
		api := &late{dataSets: old, cached: 2, takes: time.Hour}
		h := &Pods{Cache: &memory{dataSets: known}, Live: api, looks: newLooks()}
		started := time.Now()
		got, err := h.dataSets(t.Context(), "shop", false)
		if err != nil || len(got) != 2 || time.Since(started) != briefLimit {
			t.Errorf("found %d after %s, %v", len(got), time.Since(started), err)
		}
	})
}

// TestPodsOfOneNamespaceHoldFewPlaces: the DataSets of a namespace may be slow to list, by
// their number; the pods of other namespaces must find places all the same.
func TestPodsOfOneNamespaceHoldFewPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &late{dataSets: several(1, time.Now()), cached: 1, takes: time.Hour}
		h := &Pods{Cache: emptyCache{}, Live: api, looks: newLooks()}
		var mu sync.Mutex
		waited := map[time.Duration]int{}
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				started := time.Now()
				if _, err := h.dataSets(t.Context(), "shop", true); err == nil {
					t.Error("there was an answer")
				}
				mu.Lock()
				defer mu.Unlock()
				waited[time.Since(started)]++
			})
		}
		group.Wait()
		if waited[briefLimit] != 50-patientPodsOfNamespace || waited[longLimit] != patientPodsOfNamespace {
			t.Errorf("pods by how long they waited: %v", waited)
		}
		time.Sleep(2 * longLimit) // for the questions to end that have no caller any more
		if api.lists > 2 {
			t.Errorf("50 pods made %d lists", api.lists)
		}
	})
}
