// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"context"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func injected(pod *corev1.Pod) bool {
	return pod.Annotations[v1alpha1.AnnotationInjected] == "model" && len(pod.Spec.InitContainers) > 0 &&
		pod.Spec.InitContainers[0].Name == sidecar.ContainerName
}

// prepare creates the DataSet and waits until the webhook knows it.
func prepare(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns := namespace(t, labels)
	if err := admin.Create(t.Context(), dataSet(ns)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the webhook knows the DataSet", func(ctx context.Context) (bool, error) {
		pod := replica(ns)
		err := admin.Create(ctx, pod, client.DryRunAll)
		return injected(pod), err
	})
	return ns
}

func TestAReplicaIsInjectedInEveryKindOfNamespace(t *testing.T) {
	startWebhook(t)
	for name, c := range map[string]struct {
		labels map[string]string
		store  string
	}{
		"plain":      {nil, v1alpha1.StoreNode},
		"restricted": {map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, v1alpha1.StorePod},
		"required":   {map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired}, v1alpha1.StoreNode},
	} {
		t.Run(name, func(t *testing.T) {
			ns := prepare(t, c.labels)
			pod := replica(ns)
			if err := admin.Create(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
			if !injected(pod) || pod.Annotations[v1alpha1.AnnotationStore] != c.store {
				t.Fatalf("got annotations %v", pod.Annotations)
			}
			app := pod.Spec.Containers[0]
			mounted := 0
			for _, m := range app.VolumeMounts {
				if m.Name == sidecar.VolumeStore && m.MountPath == "/kuda/data" && m.ReadOnly {
					mounted++
				}
			}
			if mounted != 1 {
				t.Errorf("the application has %d mounts of its view: %v", mounted, app.VolumeMounts)
			}
			for _, m := range pod.Spec.InitContainers[0].VolumeMounts {
				if strings.HasPrefix(m.Name, "kube-api-access") {
					t.Errorf("the runtime has a token for the Kubernetes API: %v", m)
				}
			}
			other := replica(ns)
			other.Labels = map[string]string{"app": "other"}
			if err := admin.Create(t.Context(), other); err != nil || len(other.Spec.InitContainers) != 0 {
				t.Errorf("a pod that no DataSet selects: %v, %v", err, other.Spec.InitContainers)
			}
		})
	}
}

func TestAPodThatCannotBeInjectedIsAdmittedUnchangedOrRefused(t *testing.T) {
	startWebhook(t)
	inTheWay := func(ns string) *corev1.Pod {
		pod := replica(ns)
		pod.Spec.Volumes = []corev1.Volume{{Name: "scratch"}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/kuda/data"}}
		return pod
	}
	open := inTheWay(prepare(t, nil))
	if err := admin.Create(t.Context(), open); err != nil || len(open.Spec.InitContainers) != 0 || len(open.Annotations) != 0 {
		t.Errorf("got %v, %v", err, open.Annotations)
	}
	required := prepare(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired})
	if err := admin.Create(t.Context(), inTheWay(required)); !apierrors.IsForbidden(err) ||
		!strings.Contains(err.Error(), "container app mounts volume scratch") {
		t.Errorf("got %v", err)
	}
}

// The API server gives a pod without pull secrets those of its service account, before
// it asks webhooks.
func TestKudasPullSecretsAreAddedToThoseOfTheServiceAccount(t *testing.T) {
	startWebhook(t, "runtimeImagePullSecrets: [{name: kuda-key}, {name: account-key}]")
	ns := prepare(t, nil)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "puller"},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "account-key"}}}
	if err := admin.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod has both", func(ctx context.Context) (bool, error) {
		pod := replica(ns)
		pod.Spec.ServiceAccountName = account.Name
		if err := admin.Create(ctx, pod, client.DryRunAll); err != nil {
			return false, err
		}
		want := []corev1.LocalObjectReference{{Name: "account-key"}, {Name: "kuda-key"}}
		return injected(pod) && slices.Equal(pod.Spec.ImagePullSecrets, want), nil
	})
}

// With kuda-node the labels and annotations of the namespace say what they say of stores.
func TestAReplicaGetsTheStoreThatItsNamespaceIsToHave(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy(), "nodeDriver: data.kuda.io")
	for name, c := range map[string]struct {
		labels map[string]string
		uids   string
		store  string
		user   int64
	}{
		"plain":       {nil, "", v1alpha1.StoreNode, sidecar.RuntimeUser},
		"restricted":  {map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, "", v1alpha1.StoreNode, sidecar.RuntimeUser},
		"opted out":   {map[string]string{v1alpha1.LabelStore: v1alpha1.StorePod}, "", v1alpha1.StorePod, sidecar.RuntimeUser},
		"OpenShift's": {nil, "1000650000/10000", v1alpha1.StoreNode, 1000650000},
	} {
		t.Run(name, func(t *testing.T) {
			ns := prepare(t, c.labels)
			if c.uids != "" {
				var n corev1.Namespace
				if err := admin.Get(t.Context(), client.ObjectKey{Name: ns}, &n); err != nil {
					t.Fatal(err)
				}
				n.Annotations = map[string]string{"openshift.io/sa.scc.uid-range": c.uids}
				if err := admin.Update(t.Context(), &n); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "a replica has the store", func(ctx context.Context) (bool, error) {
				p := replica(ns)
				if err := admin.Create(ctx, p, client.DryRunAll); err != nil || !injected(p) {
					return false, err
				}
				return p.Annotations[v1alpha1.AnnotationStore] == c.store && *p.Spec.InitContainers[0].SecurityContext.RunAsUser == c.user, nil
			})
		})
	}
}

// The policies for stores see a copy as the webhook leaves it.
func TestACopyOfAnInjectedPodIsCreatedWithDataOrWithout(t *testing.T) {
	startWebhook(t)
	for store, labels := range map[string]map[string]string{
		v1alpha1.StoreNode: nil,
		v1alpha1.StorePod:  {"pod-security.kubernetes.io/enforce": "baseline"},
	} {
		ns := prepare(t, labels)
		original := replica(ns)
		if err := admin.Create(t.Context(), original); err != nil {
			t.Fatal(err)
		}
		debug := func(name string, change func(*corev1.Pod)) *corev1.Pod {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: original.Labels}, Spec: *original.Spec.DeepCopy()}
			p.Spec.ShareProcessNamespace = new(true)
			change(p)
			return p
		}
		for name, change := range map[string]func(*corev1.Pod){
			"plain": func(p *corev1.Pod) { p.Labels = nil }, "no-init": func(p *corev1.Pod) { p.Labels, p.Spec.InitContainers = nil, nil },
		} {
			p := debug(name, change)
			if err := admin.Create(t.Context(), p); err != nil || len(p.Spec.InitContainers) != 0 ||
				slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, "kuda-") }) {
				t.Errorf("%s store, %s: %v, %v", store, name, err, p.Spec.Volumes)
			}
		}
		for name, change := range map[string]func(*corev1.Pod){
			"labels": func(*corev1.Pod) {}, "labels-no-init": func(p *corev1.Pod) { p.Spec.InitContainers = nil },
		} {
			p := debug(name, change)
			if err := admin.Create(t.Context(), p); err != nil || !injected(p) || p.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod {
				t.Errorf("%s store, %s: %v, %v", store, name, err, p.Annotations)
			}
		}
	}
}

func TestAnAbsentWebhookStopsOnlyPodsThatRequireIt(t *testing.T) {
	w := startWebhook(t)
	open := prepare(t, nil)
	required := prepare(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired})
	disabled := namespace(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled})
	w.stop()
	for _, ns := range []string{open, disabled} {
		pod := replica(ns)
		if err := admin.Create(t.Context(), pod); err != nil || injected(pod) {
			t.Errorf("got %v", err)
		}
	}
	if err := admin.Create(t.Context(), replica(required)); err == nil {
		t.Error("a pod slipped into a namespace that requires injection")
	}
	optedOut := replica(required)
	optedOut.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
	if err := admin.Create(t.Context(), optedOut); err == nil {
		t.Error("a pod slipped into a namespace that requires injection by a label of its own")
	}
}

func TestABadDataSetIsRefusedWithTheField(t *testing.T) {
	startWebhook(t)
	ds := dataSet(namespace(t, nil))
	inner := ds.Spec.Template.DataItems[0]
	inner.Name, inner.LocalPath = "inner", "weights/inner"
	ds.Spec.Template.DataItems = append(ds.Spec.Template.DataItems, inner)
	if err := admin.Create(t.Context(), ds); !apierrors.IsInvalid(err) ||
		!strings.Contains(err.Error(), "spec.template.dataItems[1].localPath") {
		t.Errorf("got %v", err)
	}
}

func TestFinalizersCanChangeWhileTheWebhookIsDown(t *testing.T) {
	w := startWebhook(t)
	ds := dataSet(namespace(t, nil))
	if err := admin.Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	w.stop()
	ds.Finalizers = []string{v1alpha1.FinalizerWithdraw}
	if err := admin.Update(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	ds.Finalizers = nil
	if err := admin.Update(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
}

func TestAResetCABundleIsPutBack(t *testing.T) {
	startWebhook(t)
	key := types.NamespacedName{Name: "kuda"}
	current := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: key.Name}}
	if err := admin.Get(t.Context(), key, current); err != nil {
		t.Fatal(err)
	}
	want := string(current.Webhooks[0].ClientConfig.CABundle)
	reset := current.DeepCopy()
	for i := range reset.Webhooks {
		reset.Webhooks[i].ClientConfig.CABundle = nil
	}
	if err := admin.Patch(t.Context(), reset, client.MergeFrom(current)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bundle is back", func(ctx context.Context) (bool, error) {
		if err := admin.Get(ctx, key, current); err != nil {
			return false, err
		}
		for i := range current.Webhooks {
			if string(current.Webhooks[i].ClientConfig.CABundle) != want {
				return false, nil
			}
		}
		return true, nil
	})
}
