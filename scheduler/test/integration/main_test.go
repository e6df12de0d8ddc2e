// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/scheduler/schedulertest"
)

const (
	schedulerName = "kuda-scheduler"
	patience      = 30 * time.Second
	glance        = 50 * time.Millisecond
	gib           = int64(1) << 30
	manifests     = "../../../deploy"
)

var (
	server     *schedulertest.APIServer
	binary     = os.Getenv("KUDA_TEST_SCHEDULER")
	kubeconfig string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	if binary == "" {
		fmt.Fprintln(os.Stderr, "KUDA_TEST_SCHEDULER is empty; let it name the binary kuda-scheduler")
		return 1
	}
	dir, err := os.MkdirTemp("", "kuda-scheduler-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if code == 0 {
			_ = os.RemoveAll(dir)
		}
	}()
	if server, err = schedulertest.Start(dir, manifests, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err := errors.Join(server.InstallCRDs(), server.InstallRights(context.Background())); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if kubeconfig, err = server.Kubeconfig(true); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start starts a scheduler as the manifests do, but for a shorter lease and what is
// changed in its profile, and ends it with the test.
func start(t *testing.T, name string, change ...func(profile map[string]any)) *schedulertest.Scheduler {
	t.Helper()
	return startAt(t, server, kubeconfig, name, change...)
}

func startAt(t *testing.T, a *schedulertest.APIServer, kubeconfig, name string,
	change ...func(profile map[string]any)) *schedulertest.Scheduler {
	t.Helper()
	configuration, err := a.Installed()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := configuration.Profile()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(profile)
	}
	election := configuration.Block("leaderElection")
	election["leaseDuration"], election["renewDeadline"], election["retryPeriod"] = "3s", "2s", "500ms"
	s, err := a.StartScheduler(t.Context(), schedulertest.Options{
		Binary: binary, Name: name, Configuration: configuration, Kubeconfig: kubeconfig, Args: []string{"-v=3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("the scheduler's log is %s", s.Log)
		}
	})
	return s
}

// world is the nodes and the namespace of a test.
type world struct {
	*testing.T
	server    *schedulertest.APIServer
	namespace string
	nodes     map[string]*corev1.Node
}

func newWorld(t *testing.T, nodes ...string) *world {
	t.Helper()
	return newWorldAt(t, server, nodes...)
}

func newWorldAt(t *testing.T, a *schedulertest.APIServer, nodes ...string) *world {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	w := &world{T: t, server: a, nodes: map[string]*corev1.Node{}}
	w.create(ns)
	w.namespace = ns.Name
	for _, name := range nodes {
		w.node(name)
	}
	t.Cleanup(w.leave)
	return w
}

func (w *world) create(object client.Object) {
	w.Helper()
	if err := w.server.Client.Create(w.Context(), object); err != nil {
		w.Fatalf("creating %T %s: %v", object, object.GetName(), err)
	}
}

func (w *world) node(name string, change ...func(*corev1.Node)) *corev1.Node {
	w.Helper()
	n := schedulertest.Node(name)
	for _, f := range change {
		f(n)
	}
	if err := w.server.CreateNode(w.Context(), n); err != nil {
		w.Fatal(err)
	}
	w.nodes[name] = n
	return n
}

// leave removes what the next test must not see.
func (w *world) leave() {
	ctx, c := context.Background(), w.server.Client
	now := client.GracePeriodSeconds(0)
	for name := range w.nodes {
		for _, object := range []client.Object{&corev1.Node{}, &v1alpha1.NodeStore{}} {
			object.SetName(name)
			if err := c.Delete(ctx, object, now); client.IgnoreNotFound(err) != nil {
				w.Errorf("deleting %T %s: %v", object, name, err)
			}
		}
	}
	for _, object := range []client.Object{&corev1.Pod{}, &v1alpha1.DataSet{}} {
		if err := c.DeleteAllOf(ctx, object, client.InNamespace(w.namespace), now); err != nil {
			w.Errorf("deleting %T: %v", object, err)
		}
	}
}

// dataSet makes a DataSet of one item for the pods with the label app=server.
func (w *world) dataSet(name string, policy v1alpha1.PlacementPolicy) *v1alpha1.DataSet {
	w.Helper()
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": "server"}, Placement: policy,
			Template: v1alpha1.DataTemplateSpec{
				DataItems: []v1alpha1.DataItem{{Name: "model", Namespace: "default", RemotePath: "/" + name, LocalPath: "/" + name, Version: "v2",
					DataSourceType: v1alpha1.DataSourceMinIO}},
				DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "models"}},
			},
		},
	}
	w.create(d)
	return d
}

// holds says that a node has the DataSet's data.
func (w *world) holds(node string, d *v1alpha1.DataSet) {
	w.Helper()
	if err := w.server.Store(w.Context(), w.nodes[node], w.namespace, gib, placement.Marks(d.Spec.Template)...); err != nil {
		w.Fatal(err)
	}
}

func (w *world) pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	w.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: map[string]string{"app": "server"}},
		Spec:       corev1.PodSpec{SchedulerName: schedulerName, Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	}
	for _, f := range change {
		f(p)
	}
	w.create(p)
	return p
}

// placed waits until a pod has a node.
func (w *world) placed(p *corev1.Pod) string {
	w.Helper()
	w.eventually("pod "+p.Name+" has a node", func(ctx context.Context) (bool, error) {
		err := w.server.Client.Get(ctx, client.ObjectKeyFromObject(p), p)
		return p.Spec.NodeName != "", err
	})
	return p.Spec.NodeName
}

// unplaced waits until the scheduler has said why a pod has no node.
func (w *world) unplaced(p *corev1.Pod) string {
	w.Helper()
	message := ""
	w.eventually("pod "+p.Name+" is said to have no node", func(ctx context.Context) (bool, error) {
		if err := w.server.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return false, err
		}
		if p.Spec.NodeName != "" {
			return false, fmt.Errorf("it is on %s", p.Spec.NodeName)
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				message = c.Message
			}
		}
		return message != "", nil
	})
	return message
}

func (w *world) eventually(what string, condition wait.ConditionWithContextFunc) {
	w.Helper()
	if err := wait.PollUntilContextTimeout(w.Context(), glance, patience, true, condition); err != nil {
		w.Fatalf("waiting until %s: %v", what, err)
	}
}
