// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/manager/managertest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

var cluster *managertest.Cluster

func TestMain(m *testing.M) {
	var err error
	if cluster, err = managertest.NewCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// status waits until the DataSet's status is as wanted.
func status(t *testing.T, d *v1alpha1.DataSet, what string, wanted func(v1alpha1.DataSetStatus) bool) v1alpha1.DataSetStatus {
	t.Helper()
	var now v1alpha1.DataSet
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last status of %s: %+v", d.Name, now.Status)
		}
	})
	managertest.Eventually(t, what, func(ctx context.Context) (bool, error) {
		err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(d), &now)
		return err == nil && now.Status.ObservedGeneration == now.Generation && wanted(now.Status), client.IgnoreNotFound(err)
	})
	return now.Status
}

func ready(want string) func(v1alpha1.DataSetStatus) bool {
	return func(s v1alpha1.DataSetStatus) bool { return s.Ready == want }
}

func reason(s v1alpha1.DataSetStatus, kind string) string {
	if c := meta.FindStatusCondition(s.Conditions, kind); c != nil {
		return c.Reason
	}
	return ""
}

func version(v string) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Spec.Template.DataItems[0].Version = v }
}

// resourceVersions returns those of all objects of Kuda in the namespace.
func resourceVersions(t *testing.T, namespace string) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, list := range []client.ObjectList{&v1alpha1.DataSetList{}, &v1alpha1.DataList{}, &appsv1.ControllerRevisionList{}} {
		if err := cluster.Client.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		if err := meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(client.Object)
			versions[fmt.Sprintf("%T %s", object, object.GetName())] = object.GetResourceVersion()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return versions
}

func TestTwoDataSetsOfAPodAreDeliveredIndependently(t *testing.T) {
	cluster.StartManager(t)
	// The runtimes go to a replica that does not lead.
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	one, two := cluster.DataSet(t, ns, "one", "web"), cluster.DataSet(t, ns, "two", "web")
	other := cluster.DataSet(t, ns, "other", "db")
	for _, name := range []string{"web", strings.Repeat("a", 63), strings.Repeat("b", 253), strings.Repeat("c.", 126) + "c"} {
		p := cluster.Pod(t, ns, name, "web")
		r := m.StartRuntime(t, cluster, p, "one", "two", "other", "nothing")
		managertest.Eventually(t, "both are streamed", func(context.Context) (bool, error) {
			return len(r.Newest().GetAssignments()) == 2, nil
		})
		newest := r.Newest()
		if a := newest.GetAssignments(); a[0].GetDataset() != "one" || a[1].GetDataset() != "two" {
			t.Errorf("assignments: %v", a)
		}
		if diff := cmp.Diff([]string{"nothing", "other"}, newest.GetGone()); diff != "" {
			t.Errorf("gone (-want +got):\n%s", diff)
		}
		if len(newest.GetCaBundle()) == 0 {
			t.Error("no certificates to trust")
		}
	}
	status(t, one, "one is delivered", ready("4/4"))
	s := status(t, two, "two is delivered", ready("4/4"))
	if got := reason(s, v1alpha1.ConditionReady); got != v1alpha1.ReasonDelivered {
		t.Errorf("Ready: %s", got)
	}
	status(t, other, "other has no pods", func(s v1alpha1.DataSetStatus) bool {
		return s.Replicas == 0 && reason(s, v1alpha1.ConditionReady) == v1alpha1.ReasonNoPods
	})
	datas, err := cluster.Datas(t.Context(), ns)
	if err != nil || len(datas) != 8 {
		t.Fatalf("%d Data, %v", len(datas), err)
	}
	for _, d := range datas {
		if d.Status.NodeName != "n1" || !assignment.Delivered(&d) || d.Status.Progress != "100%" {
			t.Errorf("status of %s: %+v", d.Name, d.Status)
		}
	}
}

func TestPodsWithoutTheRuntimeAreShown(t *testing.T) {
	cluster.StartManager(t)
	ns := cluster.Namespace(t)
	cluster.Pod(t, ns, "early", "web", managertest.Uninjected)
	d := cluster.DataSet(t, ns, "one", "web")
	s := status(t, d, "the pod is counted", func(s v1alpha1.DataSetStatus) bool { return s.UninjectedReplicas == 1 })
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionInjected)
	if c.Reason != v1alpha1.ReasonPodsNotInjected || !strings.Contains(c.Message, "early") {
		t.Errorf("Injected: %+v", c)
	}
	if datas, err := cluster.Datas(t.Context(), ns); err != nil || len(datas) != 0 {
		t.Errorf("Data for a pod that cannot use it: %v, %v", datas, err)
	}
}

func TestDataIsRemovedWithItsPodOrDataSet(t *testing.T) {
	cluster.StartManager(t)
	ns := cluster.Namespace(t)
	d := cluster.DataSet(t, ns, "one", "web")
	stays, leaves, ends := cluster.Pod(t, ns, "stays", "web"), cluster.Pod(t, ns, "leaves", "web"), cluster.Pod(t, ns, "ends", "web")
	status(t, d, "all are counted", ready("0/3"))
	managertest.Edit(t, cluster, leaves, func(p *corev1.Pod) { p.Labels["app"] = "other" })
	cluster.Delete(t, ends)
	left := func(want int) {
		t.Helper()
		managertest.Eventually(t, fmt.Sprintf("%d Data are left", want), func(ctx context.Context) (bool, error) {
			datas, err := cluster.Datas(ctx, ns)
			return len(datas) == want, err
		})
	}
	left(1)
	status(t, d, "only one is counted", ready("0/1"))
	cluster.Delete(t, d)
	left(0)
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(stays), stays); err != nil {
		t.Errorf("the pod was touched: %v", err)
	}
}

func TestDeletionWithRemoveWaitsForEachPodThatHoldsData(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	d := cluster.DataSet(t, ns, "one", "web", func(d *v1alpha1.DataSet) { d.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRemove })
	p, silent := cluster.Pod(t, ns, "p", "web"), cluster.Pod(t, ns, "silent", "web")
	notStarted := cluster.Pod(t, ns, "not-started", "web") // holds nothing
	cluster.EditPodStatus(t, notStarted, func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodPending} })
	r := m.StartRuntime(t, cluster, p, "one")
	status(t, d, "one pod has it", ready("1/3"))
	cluster.Delete(t, d)
	managertest.Eventually(t, "the other pod is shown as the holder", func(ctx context.Context) (bool, error) {
		if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionReady)
		return c.Reason == v1alpha1.ReasonWithdrawing && strings.Contains(c.Message, "1 pods") && strings.Contains(c.Message, "silent"), nil
	})
	cluster.Delete(t, silent)
	managertest.Eventually(t, "the DataSet is gone", func(ctx context.Context) (bool, error) {
		err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(d), d)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	managertest.Eventually(t, "the runtime hears that nothing will come", func(context.Context) (bool, error) {
		return len(r.Newest().GetAssignments()) == 0 && len(r.Newest().GetGone()) == 1, nil
	})
}

func TestPromise10ABrokenRevisionReachesNoMoreThanMaxUnavailable(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	two := intstr.FromInt32(2)
	d := cluster.DataSet(t, ns, "one", "web", func(d *v1alpha1.DataSet) {
		d.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{
			Type: v1alpha1.RollingUpdateStrategyType, RollingUpdate: &v1alpha1.RollingUpdate{MaxUnavailable: &two},
		}
	})
	for i := range 6 {
		m.StartRuntime(t, cluster, cluster.Pod(t, ns, fmt.Sprintf("p-%d", i), "web"), "one")
	}
	first := status(t, d, "v1 is delivered", ready("6/6")).UpdateRevision
	managertest.Edit(t, cluster, d, version(managertest.BrokenVersion))
	s := status(t, d, "the broken version stops", func(s v1alpha1.DataSetStatus) bool {
		return s.UnavailableReplicas == 2 && reason(s, v1alpha1.ConditionProgressing) == v1alpha1.ReasonPodsFailed
	})
	if s.CurrentRevision != first || s.UpdateRevision == first {
		t.Errorf("revisions: %+v", s)
	}
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); !strings.Contains(c.Message, "NotFound") {
		t.Errorf("the message does not say why: %s", c.Message)
	}

	fresh := cluster.Pod(t, ns, "p-new", "web")
	m.StartRuntime(t, cluster, fresh, "one")
	status(t, d, "a new pod gets the stable revision", ready("5/7"))

	managertest.Edit(t, cluster, d, version("v2"))
	second := status(t, d, "v2 is everywhere", func(s v1alpha1.DataSetStatus) bool {
		return s.UpdatedReplicas == 7 && s.CurrentRevision == s.UpdateRevision
	}).UpdateRevision
	managertest.Edit(t, cluster, d, version("v1"))
	s = status(t, d, "v1 is back", func(s v1alpha1.DataSetStatus) bool {
		return s.UpdatedReplicas == 7 && s.CurrentRevision == s.UpdateRevision && s.UpdateRevision != second
	})
	if s.UpdateRevision != first {
		t.Errorf("going back made revision %s, want %s again", s.UpdateRevision, first)
	}
}

func TestPromise5ARestartOfTheManagerWritesNothing(t *testing.T) {
	ns := cluster.Namespace(t)
	m := cluster.StartManager(t)
	half := intstr.FromString("50%")
	d := cluster.DataSet(t, ns, "one", "web", func(d *v1alpha1.DataSet) {
		d.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{
			Type: v1alpha1.RollingUpdateStrategyType, RollingUpdate: &v1alpha1.RollingUpdate{Partition: &half},
		}
	})
	cluster.Pod(t, ns, "bare", "web", managertest.Uninjected)
	for i := range 4 {
		m.StartRuntime(t, cluster, cluster.Pod(t, ns, fmt.Sprintf("p-%d", i), "web"), "one")
	}
	status(t, d, "v1 is delivered", ready("4/5"))
	managertest.Edit(t, cluster, d, version("v2"))
	status(t, d, "half have v2", func(s v1alpha1.DataSetStatus) bool {
		return s.UpdatedReplicas == 2 && reason(s, v1alpha1.ConditionProgressing) == v1alpha1.ReasonHeldBack
	})
	m.Stop()
	before := resourceVersions(t, ns)
	again := cluster.StartManager(t)
	// When a later DataSet and its pod have been worked on, so was the first.
	later := cluster.DataSet(t, cluster.Namespace(t), "later", "x")
	again.StartRuntime(t, cluster, cluster.Pod(t, later.Namespace, "x", "x"), "later")
	status(t, later, "the manager works", ready("1/1"))
	if diff := cmp.Diff(before, resourceVersions(t, ns)); diff != "" {
		t.Errorf("the restart wrote (-before +after):\n%s", diff)
	}
}

func TestPromise9ATokenOpensOnlyTheDataOfItsPod(t *testing.T) {
	m := cluster.StartManager(t, func(o *manager.Options) { o.ExecHooks = false })
	ns, elsewhere := cluster.Namespace(t), cluster.Namespace(t)
	cluster.DataSet(t, ns, "one", "web")
	mine, other := cluster.Pod(t, ns, "mine", "web"), cluster.Pod(t, ns, "other", "web")
	stranger := cluster.Pod(t, elsewhere, "mine", "web")
	name := assignment.Name("one", "mine", mine.UID, 0)
	managertest.Eventually(t, "the Data is made", func(ctx context.Context) (bool, error) {
		datas, err := cluster.Datas(ctx, ns)
		return len(datas) == 2, err
	})
	var data v1alpha1.Data
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, &data); err != nil {
		t.Fatal(err)
	}
	request := func() *connect.Request[gatewayv1alpha1.ReportRequest] {
		return connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: name, Revision: data.Spec.Revision, Items: []*gatewayv1alpha1.ItemStatus{
			{Namespace: "default", Name: "model", Phase: gatewayv1alpha1.Phase_PHASE_SUCCESS},
		}})
	}
	for what, c := range map[string]struct {
		token string
		want  connect.Code
	}{
		"no token":              {"", connect.CodeUnauthenticated},
		"nonsense":              {"nonsense", connect.CodeUnauthenticated},
		"another audience":      {cluster.Token(t, ns, mine, "vault"), connect.CodeUnauthenticated},
		"the API's audience":    {cluster.Token(t, ns, mine, "https://kubernetes.default.svc.cluster.local"), connect.CodeUnauthenticated},
		"expired":               {cluster.Expired(t, cluster.Token(t, ns, mine, sidecar.TokenAudience)), connect.CodeUnauthenticated},
		"bound to no pod":       {cluster.Token(t, ns, nil, sidecar.TokenAudience), connect.CodeUnauthenticated},
		"another pod":           {cluster.Token(t, ns, other, sidecar.TokenAudience), connect.CodePermissionDenied},
		"same name, other home": {cluster.Token(t, elsewhere, stranger, sidecar.TokenAudience), connect.CodeNotFound},
	} {
		if _, err := m.Gateway(t, c.token).Report(t.Context(), request()); connect.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
	// Signed by the same hand as the expired one, so that only its time told against that.
	own := m.Gateway(t, cluster.Resigned(t, cluster.Token(t, ns, mine, sidecar.TokenAudience)))
	if _, err := own.Report(t.Context(), request()); err != nil {
		t.Errorf("the pod itself: %v", err)
	}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(&data), &data); err != nil || !assignment.Delivered(&data) {
		t.Errorf("an answered report is not written: %+v, %v", data.Status, err)
	}
	hookRequest := connect.NewRequest(&gatewayv1alpha1.RunHookRequest{Data: name, Revision: data.Spec.Revision})
	if _, err := own.RunHook(t.Context(), hookRequest); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a hook while hooks are off: %v", err)
	}

	bare := m.GatewayFor(t, cluster, cluster.Pod(t, ns, "bare", "x", managertest.Uninjected))
	_, report := bare.Report(t.Context(), request())
	_, hook := bare.RunHook(t.Context(), hookRequest)
	_, stock := bare.ReportStore(t.Context(), connect.NewRequest(holds(1)))
	for what, err := range map[string]error{"report": report, "run hooks": hook, "report a store": stock} {
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("a pod without the runtime may %s: %v", what, err)
		}
	}

	gone := cluster.Token(t, ns, other, sidecar.TokenAudience)
	// The gateway believes this one, and has a stream of it.
	believed := m.Gateway(t, cluster.Token(t, ns, other, sidecar.TokenAudience))
	stream, err := believed.Watch(t.Context(), connect.NewRequest(&gatewayv1alpha1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	cluster.Delete(t, other)
	for stream.Receive() {
		// The state changes before the stream ends.
	}
	managertest.Eventually(t, "the token of a deleted pod is refused", func(ctx context.Context) (bool, error) {
		_, err := believed.Report(ctx, request())
		return connect.CodeOf(err) == connect.CodeUnauthenticated, nil
	})
	if _, err := m.Gateway(t, gone).Report(t.Context(), request()); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("the token of a deleted pod: %v", err)
	}
}

func TestAHookOfAContainerThatDoesNotRunIsRefused(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	hook := &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	d := cluster.DataSet(t, ns, "one", "web", func(d *v1alpha1.DataSet) { d.Spec.Template.DataItems[0].Lifecycle = hook })
	p := cluster.Pod(t, ns, "p", "web")
	r := m.StartRuntime(t, cluster, p, "one")
	status(t, d, "it is delivered", ready("1/1"))
	a := r.Newest().GetAssignments()[0]
	if a.GetItems()[0].GetLifecycle().GetPostDownload().GetExec() == nil {
		t.Errorf("the hook is not announced: %v", a)
	}
	gateway := m.GatewayFor(t, cluster, p)
	for what, c := range map[string]struct {
		change func(*gatewayv1alpha1.RunHookRequest)
		want   connect.Code
	}{
		"as declared":      {func(*gatewayv1alpha1.RunHookRequest) {}, connect.CodeFailedPrecondition},
		"another revision": {func(r *gatewayv1alpha1.RunHookRequest) { r.Revision = "x" }, connect.CodeAborted},
		"another point":    {func(r *gatewayv1alpha1.RunHookRequest) { r.Point = 1 }, connect.CodeNotFound},
		"another item":     {func(r *gatewayv1alpha1.RunHookRequest) { r.ItemName = "x" }, connect.CodeNotFound},
		"another Data":     {func(r *gatewayv1alpha1.RunHookRequest) { r.Data = "x" }, connect.CodeNotFound},
	} {
		request := &gatewayv1alpha1.RunHookRequest{
			Data: a.GetData(), Revision: a.GetRevision(), ItemNamespace: "default", ItemName: "model",
			Point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD,
		}
		c.change(request)
		if _, err := gateway.RunHook(t.Context(), connect.NewRequest(request)); connect.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

func TestShutdownEndsTheStreamsOfRuntimes(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	p := cluster.Pod(t, ns, "p", "web")
	stream, err := m.GatewayFor(t, cluster, p).Watch(t.Context(), connect.NewRequest(&gatewayv1alpha1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	m.Stop()
	if stream.Receive() {
		t.Fatal("the stream goes on")
	}
	if code := connect.CodeOf(stream.Err()); code != connect.CodeUnavailable {
		t.Errorf("the stream ended with %v, want Unavailable", stream.Err())
	}
}
