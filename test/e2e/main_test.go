// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	systemNamespace = "kuda-system"
	credentials     = "minio-credentials"
	appImage        = "kuda-io/e2e-app:v0.1.0"
)

var (
	kube       client.WithWatch
	restConfig *rest.Config
	store      *storage
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "preparing the end-to-end tests:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctrl.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return 1, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return 1, err
	}
	var err error
	if restConfig, err = ctrl.GetConfig(); err != nil {
		return 1, fmt.Errorf("no cluster: run by \"make e2e\", or set KUBECONFIG: %w", err)
	}
	restConfig.QPS = -1
	if kube, err = client.NewWithWatch(restConfig, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	if os.Getenv("KUDA_CLUSTER") == "" {
		return 1, fmt.Errorf("KUDA_CLUSTER does not name the kuda-cluster binary: run by \"make e2e\"")
	}
	if store, err = startStorage(); err != nil {
		return 1, err
	}
	defer store.close()
	if err := command("kubectl", "apply", "-f", "../../examples/storage/minio.yaml"); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// command runs a program to its end; a failure carries what it printed.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %q: %w\n%s", name, args, err, out)
	}
	return nil
}

func clusterCommand(t *testing.T, args ...string) {
	t.Helper()
	if err := command(os.Getenv("KUDA_CLUSTER"), args...); err != nil {
		t.Fatal(err)
	}
}

// kubectl runs kubectl and returns what it printed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryKubectl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryKubectl(args ...string) (string, error) {
	out, err := exec.Command("kubectl", args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %q: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// eventually waits until check returns nil, and fails with its last error.
func eventually(t *testing.T, timeout time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	last := fmt.Errorf("never checked")
	_ = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, timeout, true,
		func(ctx context.Context) (bool, error) {
			// When the time is up in the middle of a check, the check before it
			// has more to say.
			if err := check(ctx); err == nil || ctx.Err() == nil {
				last = err
			}
			return last == nil, nil
		})
	if last != nil {
		t.Fatalf("after %s: %v", timeout, last)
	}
}

// newNamespace makes a namespace with the credentials for MinIO in it, and
// removes it when the test is over. A failed test first prints its state.
func newNamespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: labels}}
	create(t, ns)
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: credentials, Namespace: ns.Name},
		StringData: map[string]string{"accessKey": storageUser, "secretKey": storagePassword},
	})
	t.Cleanup(func() {
		if t.Failed() {
			describe(t, ns.Name)
		}
		if err := kube.Delete(context.Background(), ns); err != nil {
			t.Errorf("removing the namespace: %v", err)
		}
	})
	return ns.Name
}

// describe prints what someone who looks at a failed test wants to see.
func describe(t *testing.T, namespace string) {
	t.Helper()
	for _, args := range [][]string{
		{"get", "dataset,data,pods,jobs", "-o", "wide"},
		{"get", "dataset,data", "-o", "yaml"},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"logs", "--all-containers", "--prefix", "--tail=40", "-l", "e2e=yes"},
	} {
		out, _ := tryKubectl(append([]string{"-n", namespace}, args...)...)
		t.Logf("kubectl %q\n%s", args, out)
	}
	for _, d := range []string{"kuda-manager", "kuda-webhook"} {
		out, _ := tryKubectl("-n", systemNamespace, "logs", "--prefix", "--tail=60", "-l", "app.kubernetes.io/name="+d)
		t.Logf("%s\n%s", d, out)
	}
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := kube.Create(t.Context(), o); err != nil {
		t.Fatalf("creating %T %s/%s: %v", o, o.GetNamespace(), o.GetName(), err)
	}
}
