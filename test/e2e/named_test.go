// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// loadWebhook has the webhook answer for many pods at once that are never created, until
// the test ends.
func loadWebhook(t *testing.T) {
	t.Helper()
	const callers = 32
	ns := newNamespace(t, nil)
	create(t, dataSet(ns, "load", item("x", "load/x.txt", "v1")))
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			for ctx.Err() == nil {
				_ = kube.Create(ctx, pod(ns, fmt.Sprint("load-", i), "load", "wait"), client.DryRunAll)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
}

// applyInOneFile applies the objects as one file, in their order.
func applyInOneFile(t *testing.T, namespace string, objects ...client.Object) {
	t.Helper()
	var content bytes.Buffer
	for _, o := range objects {
		switch o.(type) {
		case *appsv1.Deployment:
			o.GetObjectKind().SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
		case *v1alpha1.DataSet:
			o.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSet"))
		default:
			t.Fatalf("%T has no kind here", o)
		}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		content.Write(text)
		content.WriteString("\n---\n")
	}
	file := filepath.Join(t.TempDir(), "release.yaml")
	if err := os.WriteFile(file, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", namespace, "apply", "-f", file)
}

// release is a Deployment and two DataSets of its pods, one with a Secret and one with a
// claim, in the order in which Helm applies them.
func release(ns, name string, replicas int32) (*appsv1.Deployment, []*v1alpha1.DataSet) {
	d := deployment(ns, name, replicas, "wait")
	secret := dataSet(ns, name+"-secret", item("fromsecret", "named/secret.txt", "v1"))
	claim := dataSet(ns, name+"-claim", item("fromclaim", "named/claim.txt", "v1"))
	claim.Spec.Template.DataItems[0].DataSourceType = v1alpha1.DataSourcePVC
	claim.Spec.Template.DataSources = v1alpha1.DataSources{PVC: &v1alpha1.PVCDataSource{ClaimName: "published-data"}}
	sets := []*v1alpha1.DataSet{secret, claim}
	for _, ds := range sets {
		ds.Spec.WorkloadSelector = map[string]string{"app": name}
	}
	return d, sets
}

func TestPodsThatNameTheirDataSetsAreAllServedThoughTheyComeFirst(t *testing.T) {
	volume := pvcOrigin(t)
	ns := newNamespace(t, nil)
	volume.prepare(t, ns)
	volume.put(t, "named/claim.txt", []byte(delivered))
	store.put(t, "named/secret.txt", []byte(delivered))
	loadWebhook(t)
	for round := range 5 {
		d, sets := release(ns, fmt.Sprint("named", round), 3)
		d.Spec.Template.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionRequired
		d.Spec.Template.Annotations = map[string]string{v1alpha1.AnnotationDataSets: sets[0].Name + "," + sets[1].Name}
		applyInOneFile(t, ns, d, sets[0], sets[1])
		for _, ds := range sets {
			waitDelivered(t, ds, 3, 3*time.Minute)
			wantInjected(t, ds, 0)
		}
		all := pods(t, ns, d.Name)
		if len(all) != 3 {
			t.Errorf("round %d: %d pods, want 3", round, len(all))
		}
		for i := range all {
			for _, name := range []string{"fromsecret", "fromclaim"} {
				if got := reads(t, &all[i], name); got != delivered {
					t.Errorf("round %d: pod %s reads %q", round, all[i].Name, got)
				}
			}
		}
		kubectl(t, "-n", ns, "delete", "deployment", d.Name, "--wait=false")
	}
}

// wantInjected compares what a DataSet says of pods without the runtime.
func wantInjected(t *testing.T, ds *v1alpha1.DataSet, uninjected int32) {
	t.Helper()
	eventually(t, time.Minute, func(ctx context.Context) error {
		var got v1alpha1.DataSet
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), &got); err != nil {
			return err
		}
		return injectedTruth(&got, uninjected)
	})
}

func injectedTruth(ds *v1alpha1.DataSet, uninjected int32) error {
	s := &ds.Status
	want, reason := metav1.ConditionTrue, v1alpha1.ReasonAllInjected
	if uninjected > 0 {
		want, reason = metav1.ConditionFalse, v1alpha1.ReasonPodsNotInjected
	}
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionInjected)
	switch {
	case s.UninjectedReplicas != uninjected:
		return fmt.Errorf("%d pods lack the runtime, want %d", s.UninjectedReplicas, uninjected)
	case c == nil || c.Status != want || c.Reason != reason:
		return fmt.Errorf("with %d pods without the runtime Injected is %+v", uninjected, c)
	case s.Ready != fmt.Sprintf("%d/%d", s.Success, s.Replicas+s.UninjectedReplicas):
		return fmt.Errorf("READY is %s with success %d, replicas %d, uninjected %d", s.Ready, s.Success, s.Replicas, s.UninjectedReplicas)
	}
	return nil
}

func TestWithoutNamesReadyCountsThePodsThatCameFirst(t *testing.T) {
	volume := pvcOrigin(t)
	ns := newNamespace(t, nil)
	volume.prepare(t, ns)
	volume.put(t, "named/claim.txt", []byte(delivered))
	store.put(t, "named/secret.txt", []byte(delivered))
	loadWebhook(t)
	for round := range 5 {
		d, sets := release(ns, fmt.Sprint("bare", round), 3)
		applyInOneFile(t, ns, d, sets[0], sets[1])
		for _, ds := range sets {
			eventually(t, 3*time.Minute, func(ctx context.Context) error {
				// A pod that was injected for the other DataSet alone has the runtime, and not
				// the volume of this one: it is one that fails.
				bare, served := int32(0), int32(0)
				all := pods(t, ns, d.Name)
				for i := range all {
					switch injected := all[i].Annotations[v1alpha1.AnnotationInjected]; {
					case injected == "":
						bare++
					case strings.Contains(","+injected+",", ","+ds.Name+","):
						served++
					}
				}
				var got v1alpha1.DataSet
				if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), &got); err != nil {
					return err
				}
				if len(all) != 3 || got.Status.Replicas != 3-bare || got.Status.Success != served {
					return fmt.Errorf("%d pods, %d without the runtime and %d with what they need; the DataSet says %+v", len(all), bare, served,
						got.Status)
				}
				return injectedTruth(&got, bare)
			})
		}
		kubectl(t, "-n", ns, "delete", "deployment", d.Name, "--wait=false")
	}
}

// The way of examples/one-file/README.md, in a namespace of its own.
func TestExampleOneFileServesThePodsThatCameFirst(t *testing.T) {
	o := minioOrigin()
	ns := newNamespace(t, nil)
	local := filepath.Join(t.TempDir(), "v1")
	if err := command("../../examples/model/make-model.sh", "v1", local, "4", "8"); err != nil {
		t.Fatal(err)
	}
	o.putTree(t, "models/demo/v1", local)
	const file = "../../examples/one-file/release.yaml"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	deploymentOnly, _, ok := strings.Cut(string(content), "\n---\n")
	if !ok {
		t.Fatal("the example has one document")
	}
	first := filepath.Join(t.TempDir(), "deployment.yaml")
	if err := os.WriteFile(first, []byte(deploymentOnly), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", ns, "apply", "-f", first)
	eventually(t, 30*time.Second, func(context.Context) error {
		messages, err := eventMessages(ns, "ReplicaSet", "FailedCreate")
		if err != nil {
			return err
		}
		if !strings.Contains(strings.Join(messages, "\n"), "there is no DataSet catalog in namespace "+ns) {
			return fmt.Errorf("the ReplicaSet says %q", messages)
		}
		return nil
	})
	if n := len(pods(t, ns, "catalog")); n != 0 {
		t.Errorf("%d pods run without their data", n)
	}
	kubectl(t, "-n", ns, "apply", "-f", file)
	kubectl(t, "-n", ns, "rollout", "status", "deployment/catalog", "--timeout=120s")
	waitDelivered(t, dataSet(ns, "catalog"), 2, time.Minute)
	wantInjected(t, dataSet(ns, "catalog"), 0)
	for _, p := range pods(t, ns, "catalog") {
		eventually(t, 30*time.Second, func(ctx context.Context) error {
			var model struct{ Version string }
			if err := getJSON(ctx, p, "/version", &model); err != nil || model.Version != "v1" {
				return errors.Join(fmt.Errorf("pod %s holds %q", p.Name, model.Version), err)
			}
			return nil
		})
	}
}
