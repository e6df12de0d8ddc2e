// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// firstLine is the first that status -w prints of a DataSet that was applied.
const firstLine = "dataset/models: waiting for the delivery of generation 1"

// applied is a DataSet as a script sees it after kubectl apply.
func applied() *v1alpha1.DataSet {
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop", UID: "1", Generation: 1},
		Spec:       v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": "web"}, Template: template("v1")},
		Status:     v1alpha1.DataSetStatus{ObservedGeneration: -1},
	}
}

// observe is what the manager writes of a first delivery to two pods.
func observe(d *v1alpha1.DataSet, phase v1alpha1.RolloutPhase, success int32, ready metav1.ConditionStatus, reason string) {
	d.Status = v1alpha1.DataSetStatus{
		ObservedGeneration: 1, CurrentRevision: "models-1", UpdateRevision: "models-1", Replicas: 2, Success: success,
		UpdatedReplicas: success, Ready: map[int32]string{0: "0/2", 2: "2/2"}[success],
		Rollout: &v1alpha1.RolloutStatus{Revision: "models-1", Phase: phase},
		History: []v1alpha1.RolloutRecord{{Revision: "models-1", Number: 1, Outcome: v1alpha1.OutcomeRunning}},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: ready, Reason: reason, Message: "x", ObservedGeneration: 1},
			{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: reason, ObservedGeneration: 1},
		},
	}
}

func failedPod(reason string) *v1alpha1.Data {
	return &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Name: "models-web-0", Namespace: "shop", Labels: map[string]string{v1alpha1.LabelDataSet: "models"}},
		Spec:       v1alpha1.DataSpec{PodName: "web-0", Revision: "models-1"},
		Status: v1alpha1.DataStatus{ObservedRevision: "models-1", Failed: 1, DataItemsStatus: []v1alpha1.DataItemStatus{
			{Namespace: "default", Name: "weights", Phase: v1alpha1.DataFailed, Reason: reason, Message: "s3://models/v9: look there"},
		}},
	}
}

func TestAScriptThatAppliesAndWaitsLearnsTheOutcome(t *testing.T) {
	running := func(d *v1alpha1.DataSet) {
		observe(d, v1alpha1.RolloutDelivering, 0, metav1.ConditionFalse, v1alpha1.ReasonDelivering)
	}
	failing := func(d *v1alpha1.DataSet) {
		observe(d, v1alpha1.RolloutDelivering, 0, metav1.ConditionFalse, v1alpha1.ReasonDeliveryFailed)
	}
	empty := func(d *v1alpha1.DataSet) {
		running(d)
		d.Status.Replicas, d.Status.Ready = 0, "0/0"
	}
	for name, test := range map[string]struct {
		// seconds is when the manager writes each status.
		seconds []int
		writes  []func(*v1alpha1.DataSet)
		pods    []client.Object
		args    []string
		code    int
		takes   time.Duration
		last    string
	}{
		"delivered": {[]int{2, 20}, []func(*v1alpha1.DataSet){running, func(d *v1alpha1.DataSet) {
			observe(d, v1alpha1.RolloutCompleted, 2, metav1.ConditionTrue, v1alpha1.ReasonDelivered)
		}}, nil, nil, frame.ExitDone, 20 * time.Second, "dataset/models: delivered: revision 1: 2 of 2 pods have it"},
		"a wrong path": {[]int{2}, []func(*v1alpha1.DataSet){failing}, []client.Object{failedPod(v1alpha1.ReasonNotFound)}, nil,
			frame.ExitNegative, 32 * time.Second,
			"dataset/models: failed: revision 1: NotFound: pod web-0, item default/weights: s3://models/v9: look there"},
		"a wrong Secret": {[]int{2}, []func(*v1alpha1.DataSet){failing}, []client.Object{failedPod(v1alpha1.ReasonAccessDenied)}, nil,
			frame.ExitNegative, 122 * time.Second,
			"dataset/models: failed: revision 1: AccessDenied: pod web-0, item default/weights: s3://models/v9: look there"},
		"a wrong path, v0.1.0": {[]int{2}, []func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) {
			observe(d, v1alpha1.RolloutCompleted, 0, metav1.ConditionFalse, v1alpha1.ReasonDeliveryFailed)
			d.Status.Conditions = d.Status.Conditions[:1]
			d.Status.History[0].Outcome = v1alpha1.OutcomeSucceeded
		}}, []client.Object{failedPod(v1alpha1.ReasonNotFound)}, nil, frame.ExitNegative, 32 * time.Second,
			"dataset/models: failed: revision 1: NotFound: pod web-0, item default/weights: s3://models/v9: look there"},
		"no pods": {[]int{2}, []func(*v1alpha1.DataSet){empty}, nil, nil, frame.ExitTimeout, 10 * time.Minute,
			"error: DataSet models was not delivered within 10m0s: revision 1 is Delivering: NoPods: no running pod of namespace shop carries all " +
				"labels of spec.workloadSelector"},
		"no pods, and none needed": {[]int{2}, []func(*v1alpha1.DataSet){empty}, nil, []string{"--allow-no-pods"}, frame.ExitDone,
			2 * time.Second, "dataset/models: no pods: no running pod of namespace shop carries all labels of spec.workloadSelector"},
		"no manager": {nil, nil, nil, []string{"--allow-no-pods"}, frame.ExitTimeout, 10 * time.Minute,
			"error: DataSet models was not delivered within 10m0s: Pending: the manager has not looked at the DataSet yet"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := cluster(t, interceptor.Funcs{}, append([]client.Object{applied()}, test.pods...)...)
				f, p := x.Frame()
				f.Now = time.Now
				began := time.Now()
				done := make(chan int, 1)
				go func() {
					done <- cli.Run(t.Context(), f, append([]string{"kuda", "-n", "shop", "status", "-w", "models", "--timeout", "10m"}, test.args...))
				}()
				for i, second := range test.seconds {
					time.Sleep(time.Until(began.Add(time.Duration(second) * time.Second)))
					d := x.dataset(t)
					test.writes[i](d)
					if err := x.Client.Status().Update(t.Context(), d); err != nil {
						t.Fatal(err)
					}
				}
				code := <-done
				lines := strings.Split(strings.TrimSpace(p.Both.String()), "\n")
				if took := time.Since(began); code != test.code || lines[0] != firstLine || lines[len(lines)-1] != test.last ||
					took < test.takes || took > test.takes+2*time.Second {
					t.Errorf("exit code %d after %s, printed:\n%s", code, took, &p.Both)
				}
			})
		})
	}
}

func TestAnOldListOfTheServerEndsNothing(t *testing.T) {
	for name, list := range map[string]func(*v1alpha1.DataSetList){
		"without the DataSet": func(l *v1alpha1.DataSetList) { l.Items = nil },
		"with the one before": func(l *v1alpha1.DataSetList) {
			if len(l.Items) > 0 {
				observe(&l.Items[0], v1alpha1.RolloutCompleted, 2, metav1.ConditionTrue, v1alpha1.ReasonDelivered)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := cluster(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList,
					o ...client.ListOption) error {
					err := c.List(ctx, l, o...)
					if sets, ok := l.(*v1alpha1.DataSetList); ok && err == nil {
						for i := range sets.Items {
							sets.Items[i].Generation = 1
						}
						list(sets)
					}
					return err
				}}, func() *v1alpha1.DataSet {
					d := applied()
					observe(d, v1alpha1.RolloutCompleted, 2, metav1.ConditionTrue, v1alpha1.ReasonDelivered)
					d.Generation = 2
					return d
				}())
				f, p := x.Frame()
				code := cli.Run(t.Context(), f, []string{"kuda", "-n", "shop", "status", "-w", "models", "--timeout", "30s"})
				if code != frame.ExitTimeout {
					t.Errorf("exit code %d, printed:\n%s", code, &p.Both)
				}
			})
		})
	}
}

func TestWithoutARightTheRestIsShown(t *testing.T) {
	forbid := func(resource string) interceptor.Funcs {
		return interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, o ...client.ListOption) error {
			what := ""
			switch l.(type) {
			case *v1alpha1.DataList:
				what = "datas"
			case *appsv1.ControllerRevisionList:
				what = "controllerrevisions"
			case *corev1.PodList:
				what = "pods"
			}
			if what == resource {
				return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no right"))
			}
			return c.List(ctx, l, o...)
		}}
	}
	for name, test := range map[string]struct {
		resource string
		args     []string
		code     int
		says     []string
	}{
		"status": {"datas", []string{"status", "models"}, frame.ExitDone,
			[]string{"Progressing", "Left out", "datas.data.kuda.io", "not listed; 4/4"}},
		"following": {"datas", []string{"status", "-w", "models", "--timeout", "5s"}, frame.ExitTimeout, []string{"step 1 of 2 is a pause"}},
		"history": {"controllerrevisions", []string{"history", "models"}, frame.ExitDone,
			[]string{"alice", "note: you may not list controllerrevisions"}},
		"a template": {"controllerrevisions", []string{"history", "models", "--revision", "1"}, frame.ExitError,
			[]string{"ask for that right"}},
		"diff": {"pods", []string{"diff", "models"}, frame.ExitNegative,
			[]string{"version:", "note: you may not list the pods"}},
		"diff of what is not known": {"controllerrevisions", []string{"diff", "models"}, frame.ExitError, []string{"ask for that right"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := cluster(t, forbid(test.resource), rollout(t)...)
				out, errOut, code := x.run(t, test.args...)
				for _, want := range test.says {
					if code != test.code || !strings.Contains(out+errOut, want) {
						t.Errorf("exit code %d, no %q in:\n%s%s", code, want, out, errOut)
					}
				}
			})
		})
	}
}
