// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// uid is that of the namespaces.
const uid = "6f0b1c52-4d0f-4c8e-9d55-0f4a2b7f1c11"

// blind is a cache that has heard of nothing.
type blind struct{ client.Reader }

var errBlind = errors.New("the cache is not filled")

func (blind) List(context.Context, client.ObjectList, ...client.ListOption) error { return errBlind }

func handler(t testing.TB, objects ...client.Object) *Pods {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	counts, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(nil, "kuda-runtime:v0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	return &Pods{
		Cache: c, Live: c, Metrics: counts, Log: logr.Discard(),
		Settings: func() inject.Settings { return cfg.Settings(nil) },
	}
}

// create is the request for a pod of a ReplicaSet: its object has neither name nor namespace.
func create(t testing.TB, pod *corev1.Pod) admission.Request {
	t.Helper()
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Namespace: "shop", Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: raw},
	}}
}

func replica() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "search-", Labels: map[string]string{"app": "search"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "search:1"}}},
	}
}

func shop(name string) []client.Object {
	ds := dataSet()
	ds.Namespace, ds.Name = name, "model"
	return []client.Object{ds, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid}}}
}

func counted(t *testing.T, h *Pods, outcome string) float64 {
	t.Helper()
	m := &dto.Metric{}
	if err := h.Metrics.pods.WithLabelValues(outcome).Write(m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestTheNamespaceIsTheRequestsNotThePods(t *testing.T) {
	for name, want := range map[string]string{"shop": injected, "other": unmatched} {
		h := handler(t, shop(name)...)
		resp := h.Handle(t.Context(), create(t, replica()))
		if !resp.Allowed || (len(resp.Patch) > 0) != (want == injected) || counted(t, h, want) != 1 {
			t.Errorf("with a DataSet in %s: got %+v", name, resp)
		}
		for _, part := range []string{`"/var/lib/kuda/shop"`, `"/var/lib/kuda/` + uid + `"`, `"` + uid + `/pods/$(KUDA_POD_UID)/view"`} {
			if want == injected && !strings.Contains(string(resp.Patch), part) {
				t.Errorf("the store is not the namespace's: no %s in %s", part, resp.Patch)
			}
		}
	}
}

func TestAFailureAdmitsWithAWarningOrRefusesButNeverChangesThePod(t *testing.T) {
	unreadable := create(t, replica())
	unreadable.Object.Raw = []byte("{")
	conflict := replica()
	conflict.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "x", MountPath: "/kuda/data"}}
	hostNetwork := replica()
	hostNetwork.Spec.HostNetwork = true
	crowded := replica()
	crowded.Spec.EphemeralContainers = make([]corev1.EphemeralContainer, inject.MaxContainers)
	many := replica()
	many.Spec.Volumes = make([]corev1.Volume, inject.MaxVolumes+1)
	small := replica()
	small.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "tight"}, Spec: corev1.LimitRangeSpec{
		Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Max: small.Spec.Containers[0].Resources.Limits}},
	}}
	for name, c := range map[string]struct {
		request admission.Request
		cache   client.Reader
		want    string
	}{
		"the cache fails":        {create(t, replica()), blind{}, errBlind.Error()},
		"the pod does not parse": {unreadable, nil, "reading the pod"},
		"the pod is in the way":  {create(t, conflict), nil, "container app mounts volume x"},
		"the pod is left alone":  {create(t, hostNetwork), nil, "hostNetwork"},
		"the pod is crowded":     {create(t, crowded), nil, "257 containers"},
		"many volumes":           {create(t, many), nil, "1025 volumes"},
		"a LimitRange is tight":  {create(t, small), nil, "LimitRange tight"},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, append(shop("shop"), limits)...)
			if c.cache != nil {
				h.Cache = c.cache
			}
			resp := h.Handle(t.Context(), c.request)
			// What the pod does not show itself is written into it.
			var ops []inject.Operation
			if len(resp.Patch) > 0 {
				if err := json.Unmarshal(resp.Patch, &ops); err != nil {
					t.Fatal(err)
				}
			}
			marked := len(ops) == 1 && ops[0].Path == "/metadata/annotations" &&
				strings.Contains(string(resp.Patch), v1alpha1.AnnotationNotInjected) &&
				strings.Contains(string(resp.Patch), c.want)
			if marked != (name == "a LimitRange is tight") || len(ops) > 0 && !marked {
				t.Errorf("failing open: patch %s", resp.Patch)
			}
			if !resp.Allowed || len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], c.want) {
				t.Errorf("failing open: got %+v", resp)
			}
			h.Required = true
			resp = h.Handle(t.Context(), c.request)
			if resp.Allowed || len(resp.Patch) != 0 || resp.Result == nil || !strings.Contains(resp.Result.Message, c.want) {
				t.Errorf("failing closed: got %+v", resp)
			}
		})
	}
}

func TestANamespaceThatTheCacheHasNotSeenIsAskedFor(t *testing.T) {
	h := handler(t, shop("shop")[0])
	h.Live = handler(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "shop", UID: uid, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}).Cache
	resp := h.Handle(t.Context(), create(t, replica()))
	if !resp.Allowed || !strings.Contains(string(resp.Patch), "emptyDir") {
		t.Errorf("got %+v", resp)
	}
}

func TestADataSetThatTheCacheHasNotSeenIsAskedFor(t *testing.T) {
	h := handler(t, shop("shop")...)
	full := h.Cache
	namespaceOnly := handler(t, shop("shop")[0]).Cache
	h.Cache, h.Live = namespaceOnly, full
	resp := h.Handle(t.Context(), create(t, replica()))
	if !resp.Allowed || !strings.Contains(string(resp.Patch), sidecar.ContainerName) {
		t.Errorf("a pod that follows its DataSet within milliseconds is not injected: %+v", resp)
	}
	h.Cache, h.Live = full, blind{}
	resp = h.Handle(t.Context(), create(t, replica()))
	if !resp.Allowed || !strings.Contains(string(resp.Patch), sidecar.ContainerName) {
		t.Errorf("with the API server silent the cache does not decide: %+v", resp)
	}
}

// memory is a cache without the copies of the fake client.
type memory struct {
	client.Reader
	dataSets v1alpha1.DataSetList
}

func (m *memory) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *v1alpha1.DataSetList:
		l.Items = m.dataSets.Items
	case *metav1.PartialObjectMetadataList:
		for i := range m.dataSets.Items {
			l.Items = append(l.Items, metav1.PartialObjectMetadata{ObjectMeta: m.dataSets.Items[i].ObjectMeta})
		}
	}
	return nil
}

func (m *memory) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	o.SetUID(uid)
	return nil
}

// BenchmarkHandle handles a pod that one of a hundred DataSets of its namespace selects.
func BenchmarkHandle(b *testing.B) {
	h := handler(b)
	m := &memory{}
	for range 100 {
		m.dataSets.Items = append(m.dataSets.Items, *dataSet(func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector["app"] = "other" }))
	}
	m.dataSets.Items = append(m.dataSets.Items, *dataSet())
	h.Cache, h.Live = m, m
	req := create(b, replica())
	b.ReportAllocs()
	for b.Loop() {
		if resp := h.Handle(b.Context(), req); len(resp.Patch) == 0 {
			b.Fatal("not injected")
		}
	}
}
