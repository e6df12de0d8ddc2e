// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/dashboard"
	"github.com/kuda-io/kuda/internal/dashboard/page"
	"github.com/kuda-io/kuda/internal/dashboard/session"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const gib = int64(1) << 30

// world is a cluster with a dashboard in front of it.
type world struct {
	client.Client
	// mayNot makes the user a viewer.
	mayNot atomic.Bool
	door   *session.Local
	server *dashboard.Server
	base   string
	stop   func()
}

// newWorld makes a cluster with these objects and serves the dashboard.
func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	if page.Built() == nil {
		t.Fatal("the page is not built: run the tests by \"make browser\"")
	}
	inner := clitest.New(time.Now(), interceptor.Funcs{}, objects...)
	w := &world{Client: inner.Client}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	caller := &session.Caller{Client: interceptor.NewClient(inner.Client, w.hooks()), Config: &rest.Config{Host: "http://127.0.0.1:1"},
		Digest: "test", Cluster: "demo", Namespace: "shop"}
	w.door = session.NewLocal(caller, listener.Addr().(*net.TCPAddr).Port)
	limits := dashboard.DefaultLimits()
	limits.PerSecond, limits.Burst, limits.Streams = 1000, 10000, 1000
	w.server = dashboard.New(dashboard.Options{Door: w.door, Hosts: []string{"127.0.0.1"}, Page: page.Built(), Now: time.Now,
		Limits: limits})
	w.base = "http://" + listener.Addr().String()
	w.serve(t, listener)
	t.Cleanup(func() { w.stop() })
	return w
}

// serve serves until stop.
func (w *world) serve(t *testing.T, listener net.Listener) {
	t.Helper()
	server := &http.Server{Handler: w.server.Handler()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	w.stop = func() {
		_ = server.Close()
		<-done
	}
}

// hooks are what the API server does beside keeping objects.
func (w *world) hooks() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			switch review := o.(type) {
			case *authenticationv1.SelfSubjectReview:
				review.Status.UserInfo.Username = "alice"
				return nil
			case *authorizationv1.SelfSubjectAccessReview:
				review.Status.Allowed = !w.mayNot.Load()
				return nil
			case *v1alpha1.DataSet:
				return errors.New(`admission webhook "datasets.kuda.io" denied the request`)
			}
			return c.Create(ctx, o, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if w.mayNot.Load() {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "datasets"}, o.GetName(), errors.New("only view"))
			}
			return c.Patch(ctx, o, p, options...)
		},
	}
}

func ago(d time.Duration) metav1.Time {
	return metav1.NewTime(time.Now().Add(-d).Truncate(time.Second))
}

func micro(d time.Duration) *metav1.MicroTime {
	at := metav1.NewMicroTime(ago(d).Time)
	return &at
}

func template(version string) v1alpha1.DataTemplateSpec {
	item := func(name, version string) v1alpha1.DataItem {
		return v1alpha1.DataItem{Name: name, Namespace: "default", RemotePath: "models/" + name + "/" + version, LocalPath: name,
			Version:        version,
			DataSourceType: v1alpha1.DataSourceMinIO}
	}
	return v1alpha1.DataTemplateSpec{
		DataItems:   []v1alpha1.DataItem{item("weights", version), item("vocabulary", "2026-05")},
		DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio.storage:9000", Bucket: "models"}},
	}
}

// revisions gives a DataSet a revision of each version, and its spec the last.
func revisions(d *v1alpha1.DataSet, versions ...string) (objects []client.Object, names []string) {
	controller := true
	for i, version := range versions {
		d.Spec.Template = template(version)
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationChangeCause, "weights "+version)
		r, err := revision.New(d, int64(i+1), 0)
		if err != nil {
			panic(err)
		}
		r.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DataSet", Name: d.Name, UID: d.UID,
			Controller: &controller}}
		if i < len(versions)-1 {
			metav1.SetMetaDataAnnotation(&r.ObjectMeta, revision.AnnotationReached, revision.ReachedDelivered)
		}
		objects, names = append(objects, r), append(names, r.Name)
	}
	return objects, names
}

// pod is a pod and its Data at a revision.
type pod struct {
	set, name, node, told, sees string
	phase                       v1alpha1.DataPhase
	reason, message             string
	bytes                       int64
	moved                       bool
	done                        time.Duration
}

func (p pod) objects() []client.Object {
	end := ago(p.done)
	status := func(name string, phase v1alpha1.DataPhase, bytes, total int64) v1alpha1.DataItemStatus {
		s := v1alpha1.DataItemStatus{Namespace: "default", Name: name, Version: "v3", Phase: phase, Bytes: bytes, TotalBytes: total,
			Origin: v1alpha1.OriginSource}
		if phase == v1alpha1.DataSuccess {
			s.CompletionTime = &end
		}
		return s
	}
	weights := status("weights", p.phase, p.bytes, 4*gib)
	weights.Reason, weights.Message = p.reason, p.message
	ready := metav1.ConditionFalse
	d := &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: p.set + "-" + p.name, Labels: map[string]string{
			v1alpha1.LabelDataSet: p.set, v1alpha1.LabelPod: assignment.LabelValue(p.name), v1alpha1.LabelPodUID: "uid-" + p.name}},
		Spec: v1alpha1.DataSpec{PodName: p.name, Revision: p.told, DataItems: template("v3").DataItems},
		Status: v1alpha1.DataStatus{ObservedRevision: p.told, CurrentRevision: p.sees, NodeName: p.node, DataItems: 2,
			DataItemsStatus: []v1alpha1.DataItemStatus{weights, status("vocabulary", v1alpha1.DataSuccess, 1<<20, 1<<20)}},
	}
	if p.moved {
		d.Spec.Baseline = &v1alpha1.PodHealth{}
	}
	switch p.phase {
	case v1alpha1.DataSuccess:
		ready, d.Status.Success = metav1.ConditionTrue, 2
	case v1alpha1.DataFailed:
		d.Status.Failed, d.Status.Success = 1, 1
	}
	d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready, Reason: "Delivered", LastTransitionTime: end}}
	running := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: p.name, UID: types.UID("uid-" + p.name), Labels: map[string]string{"app": p.set},
			Annotations: map[string]string{v1alpha1.AnnotationInjected: "v1"}},
		Spec: corev1.PodSpec{NodeName: p.node, SchedulerName: corev1.DefaultSchedulerName,
			InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}},
			Containers:     []corev1.Container{{Name: "app"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled,
			Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)}}},
	}
	return []client.Object{d, running}
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: 3,
		LastTransitionTime: ago(3 * time.Minute)}
}

// models is a DataSet whose rollout is at a pause, with twelve pods.
func models() []client.Object {
	partition := intstr.FromString("50%")
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models", UID: "uid-models", Generation: 3,
		CreationTimestamp: ago(48 * time.Hour)}}
	d.Spec.WorkloadSelector = map[string]string{"app": "models"}
	d.Spec.UpdateStrategy.Steps = []v1alpha1.RolloutStep{{Partition: &partition}, {Pause: &v1alpha1.PauseStep{}},
		{Analysis: &v1alpha1.AnalysisStep{Count: 5, FailureLimit: 1}}}
	objects, names := revisions(d, "v1", "v2", "v3")
	start, end, before := ago(26*time.Hour), ago(26*time.Hour-4*time.Minute), ago(4*time.Minute)
	oldest, oldestEnd := ago(47*time.Hour), ago(47*time.Hour-9*time.Minute)
	d.Status = v1alpha1.DataSetStatus{
		ObservedGeneration: 3, CurrentRevision: names[1], UpdateRevision: names[2], Replicas: 12, UpdatedReplicas: 5, Success: 10, Ready: "10/12",
		Rollout: &v1alpha1.RolloutStatus{Revision: names[2], Phase: v1alpha1.RolloutProgressing, Step: 1, Reason: v1alpha1.ReasonStepPaused,
			StartTime: micro(4 * time.Minute), ProgressTime: micro(time.Minute), StepStartTime: micro(time.Minute),
			Message: "step 2 of 3 is a pause"},
		History: []v1alpha1.RolloutRecord{
			{Revision: names[0], Number: 1, Outcome: v1alpha1.OutcomeSucceeded, StartTime: &oldest, EndTime: &oldestEnd, ChangedBy: new("alice"),
				ChangeCause: "weights v1", Pods: new(int32(12))},
			{Revision: names[1], Number: 2, Outcome: v1alpha1.OutcomeSucceeded, StartTime: &start, EndTime: &end, ChangedBy: new("bob"),
				ChangeCause: "weights v2", Pods: new(int32(12)), FailedPods: new(int32(1))},
			{Revision: names[2], Number: 3, Outcome: v1alpha1.OutcomeRunning, StartTime: &before, ChangedBy: new("alice"),
				ChangeCause: "weights v3"},
		},
		Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonStepPaused, "10/12 pods have their data"),
			condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonStepPaused, "step 2 of 3 is a pause"),
			condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonStepPaused, "the rollout waits for promote"),
			condition(v1alpha1.ConditionStalled, metav1.ConditionFalse, v1alpha1.ReasonStepPaused, ""),
			condition(v1alpha1.ConditionInjected, metav1.ConditionTrue, v1alpha1.ReasonAllInjected, "all pods carry the runtime"),
			condition(v1alpha1.ConditionSourceDrifted, metav1.ConditionFalse, v1alpha1.ReasonInSync, ""),
		},
	}
	objects = append(objects, d)
	for i := range 12 {
		p := pod{set: "models", name: fmt.Sprintf("web-%d", i), node: fmt.Sprintf("node-%d", i%4), told: names[1], sees: names[1],
			phase: v1alpha1.DataSuccess, bytes: 4 * gib, done: 26 * time.Hour}
		switch {
		case i < 5:
			p.told, p.sees, p.moved, p.done = names[2], names[2], true, time.Duration(200-i*35)*time.Second
		case i == 5:
			p.told, p.moved, p.phase, p.bytes, p.reason, p.message = names[2], true, v1alpha1.DataFailed, gib, v1alpha1.ReasonAccessDenied,
				"s3://models/weights/v3: the server refuses the credentials of Secret minio-credentials (403)"
		case i == 6:
			p.told, p.moved, p.phase, p.bytes = names[2], true, v1alpha1.DataDownloading, 3*gib/2
		}
		objects = append(objects, p.objects()...)
	}
	return append(objects, event("RolloutPaused", "Normal", "step 2 of 3 is a pause; 5 of 12 pods have revision 3", time.Minute),
		event("DeliveryFailed", "Warning", "pod web-5, item default/weights: AccessDenied", 2*time.Minute))
}

func event(reason, kind, message string, at time.Duration) *corev1.Event {
	return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models." + reason}, Type: kind,
		Reason: reason, Message: message,
		InvolvedObject: corev1.ObjectReference{Kind: "DataSet", Namespace: "shop", Name: "models", UID: "uid-models"}, Count: 1,
		LastTimestamp: ago(at)}
}

// simple is a DataSet of that phase.
func simple(namespace, name string, phase v1alpha1.RolloutPhase, replicas int32, change func(*v1alpha1.DataSet)) []client.Object {
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name), Generation: 3,
		CreationTimestamp: ago(12 * time.Hour)}}
	d.Spec.WorkloadSelector = map[string]string{"app": name}
	objects, names := revisions(d, name+"-1", name+"-2")
	d.Status = v1alpha1.DataSetStatus{ObservedGeneration: 3, CurrentRevision: names[1], UpdateRevision: names[1], Replicas: replicas,
		UpdatedReplicas: replicas, Success: replicas, Ready: fmt.Sprintf("%d/%d", replicas, replicas),
		Rollout: &v1alpha1.RolloutStatus{Revision: names[1], Phase: phase, StartTime: micro(time.Hour)},
		History: []v1alpha1.RolloutRecord{{Revision: names[1], Number: 2, Outcome: v1alpha1.OutcomeSucceeded}},
		Conditions: []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDelivered, ""),
			condition(v1alpha1.ConditionReconciling, metav1.ConditionFalse, v1alpha1.ReasonDelivered, "")},
	}
	if change != nil {
		change(d)
	}
	return append(objects, d)
}

// shop is a cluster with DataSets in several states, and nodes that hold their data.
func shop() []client.Object {
	objects := models()
	objects = append(objects, simple("shop", "rules", v1alpha1.RolloutCompleted, 8, nil)...)
	objects = append(objects, simple("shop", "images", v1alpha1.RolloutStopped, 6, func(d *v1alpha1.DataSet) {
		d.Status.Rollout.Reason = v1alpha1.ReasonPodsFailed
		d.Status.Rollout.Message = "2 pods failed: HookFailed: web-1: the hook ended with exit code 1"
		d.Status.UpdatedReplicas = 2
	})...)
	objects = append(objects, simple("lab", "words", v1alpha1.RolloutCompleted, 0, nil)...)
	for i := range 6 {
		name := fmt.Sprintf("node-%d", i)
		objects = append(objects, readyNode(name))
		if i < 5 {
			objects = append(objects, nodeStore(name, i))
		}
	}
	return objects
}

func readyNode(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
		Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{BootID: "boot"}, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady,
			Status: corev1.ConditionTrue, LastTransitionTime: ago(48 * time.Hour)}}},
	}
}

func nodeStore(name string, i int) *v1alpha1.NodeStore {
	e := v1alpha1.NamespaceStore{Namespace: "shop", StoreID: "store-" + name, BootID: "boot", ObservedTime: ago(time.Minute),
		UsedBytes: int64(i+1) * 3 * gib, QuotaBytes: 20 * gib, CapacityBytes: 100 * gib, FreeBytes: 40 * gib, AvailableBytes: 45 * gib}
	if i == 4 {
		e.BootID = "an earlier one"
	}
	for j, version := range []string{"v2", "v3"} {
		phase := v1alpha1.SnapshotComplete
		if i == 2 && j == 0 {
			phase = v1alpha1.SnapshotDownloading
		}
		if i != 3 {
			e.Snapshots = append(e.Snapshots, v1alpha1.StoredSnapshot{ID: version, Marks: placement.Marks(template(version)), Version: version,
				Bytes: 4 * gib, Phase: phase, Pods: int32(j + 1)})
		}
	}
	return &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: name,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node",
			Name: name, UID: types.UID("uid-" + name)}}}, Status: v1alpha1.NodeStoreStatus{Stores: []v1alpha1.NamespaceStore{e}}}
}
