// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/apiservertest"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/freeport"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/pki/createca"
)

// seconds is a policy under which a CA lasts half a minute.
var seconds = pki.Policy{Lifetime: 30 * time.Second, Overlap: 4 * time.Second, Leaf: 3 * time.Second, Backdate: time.Second}

var caKey = types.NamespacedName{Namespace: "kuda-system", Name: "kuda-ca"}

var (
	admin     client.Client
	apiConfig *rest.Config
	manifest  []*unstructured.Unstructured
)

func TestMain(m *testing.M) {
	code, err := runWithAPIServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

// runWithAPIServer starts an API server and installs Kuda's manifest on it.
func runWithAPIServer(m *testing.M) (int, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: run the tests by \"make integration\"")
	}
	ctrl.SetLogger(logr.Discard())
	env := &envtest.Environment{}
	// The plugin that mounts service-account tokens is part of what injection has
	// to get on with.
	env.ControlPlane.GetAPIServer().Configure().Disable("disable-admission-plugins")
	var (
		stop func() error
		err  error
	)
	if apiConfig, stop, err = apiservertest.Start(env); err != nil {
		return 1, err
	}
	defer func() { _ = stop() }()
	apiConfig.QPS, apiConfig.Burst = -1, 0
	if admin, err = client.New(apiConfig, client.Options{Scheme: newScheme()}); err != nil {
		return 1, err
	}
	content, err := os.ReadFile("../../../install/kuda.yaml")
	if err != nil {
		return 1, err
	}
	if manifest, err = documents(content); err != nil {
		return 1, err
	}
	if err := apply(context.Background(), manifest); err != nil {
		return 1, fmt.Errorf("installing Kuda: %w", err)
	}
	return m.Run(), nil
}

func documents(content []byte) ([]*unstructured.Unstructured, error) {
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	var all []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, object)
	}
}

func apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		desired := client.ApplyConfigurationFromUnstructured(object.DeepCopy())
		if err := admin.Apply(ctx, desired, client.FieldOwner("kubectl"), client.ForceOwnership); err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// as returns a client with the rights of one of Kuda's service accounts.
func as(t *testing.T, account string) client.Client {
	t.Helper()
	c, err := client.New(configAs(account), client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func configAs(account string) *rest.Config {
	c := rest.CopyConfig(apiConfig)
	c.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:kuda-system:" + account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:kuda-system", "system:authenticated"},
	}
	return c
}

// served is a running kuda-webhook with the rights of its service account.
type served struct {
	server    *Server
	authority *pki.Authority
	dir       string
	stop      func()
}

// startWebhook creates the CA as the Job does, mounts it as the kubelet does, and
// serves with these lines of configuration; it returns when the API server uses the webhook.
func startWebhook(t *testing.T, configuration ...string) *served {
	t.Helper()
	return startWebhookUnder(t, seconds, configuration...)
}

// startWebhookUnder is startWebhook with a CA of another policy.
func startWebhookUnder(t *testing.T, policy pki.Policy, configuration ...string) *served {
	t.Helper()
	return startWebhookAs(t, configAs("kuda-webhook"), policy, configuration...)
}

// startWebhookAs is startWebhookUnder with another way to the API server.
func startWebhookAs(t *testing.T, api *rest.Config, policy pki.Policy, configuration ...string) *served {
	t.Helper()
	ctx := t.Context()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: caKey.Namespace, Name: caKey.Name}}
	if err := client.IgnoreNotFound(admin.Delete(ctx, secret)); err != nil {
		t.Fatal(err)
	}
	if _, err := createca.Create(ctx, as(t, "kuda-create-ca"), caKey, policy, time.Now()); err != nil {
		t.Fatal(err)
	}
	w := &served{dir: t.TempDir()}
	if err := mount(ctx, w.dir); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.authority, err = pki.LoadAuthority(pki.Options{Dir: w.dir, Policy: policy}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(configuration, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Open(file, "kuda-io/kuda-runtime:v0.1.0", logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	address, peers := freeAddress(t), freeAddress(t)
	s, err := New(api, Options{
		Address: address, HealthAddress: "0", MetricsAddress: "0", Names: []string{"localhost"},
		PeersAddress: peers, Peers: peers,
		Configuration: "kuda", Registry: prometheus.NewRegistry(),
	}, Parts{Authority: w.authority, Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	w.server = s
	pointTo(t, address)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- s.Run(running) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	}
	t.Cleanup(w.stop)
	eventually(t, "the webhook is ready", func(context.Context) (bool, error) {
		return s.publisher.Ready(nil) == nil && s.cachesSynced(nil) == nil && s.manager.GetWebhookServer().StartedChecker()(nil) == nil, nil
	})
	return w
}

// pointTo makes the API server, for which there is no Service network here, find
// the webhook at the address.
func pointTo(t *testing.T, address string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range manifest {
		if !strings.HasSuffix(object.GetKind(), "WebhookConfiguration") {
			continue
		}
		shipped := object
		t.Cleanup(func() { replaceWith(t, shipped.DeepCopy()) })
		object = object.DeepCopy()
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range webhooks {
			clientConfig := entry.(map[string]any)["clientConfig"].(map[string]any)
			path := clientConfig["service"].(map[string]any)["path"].(string)
			entry.(map[string]any)["clientConfig"] = map[string]any{"url": "https://localhost:" + port + path}
		}
		if err := unstructured.SetNestedSlice(object.Object, webhooks, "webhooks"); err != nil {
			t.Fatal(err)
		}
		replaceWith(t, object)
	}
}

// replaceWith puts the object in the place of the one that has its name.
func replaceWith(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := client.IgnoreNotFound(admin.Delete(ctx, object.DeepCopy())); err != nil {
		t.Fatal(err)
	}
	if err := apply(ctx, []*unstructured.Unstructured{object}); err != nil {
		t.Fatal(err)
	}
}

// mount writes the Secret's keys to the directory as the kubelet does.
func mount(ctx context.Context, dir string) error {
	secret := &corev1.Secret{}
	if err := admin.Get(ctx, caKey, secret); err != nil {
		return err
	}
	for key, value := range secret.Data {
		hidden := filepath.Join(dir, ".."+key)
		if err := os.WriteFile(hidden, value, 0o600); err != nil {
			return err
		}
		if err := os.Rename(hidden, filepath.Join(dir, key)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := secret.Data[e.Name()]; !ok {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, condition); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// namespace makes one with the labels and a service account, as controllers would.
func namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-", Labels: labels}}
	if err := admin.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}}
	if err := admin.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

func dataSet(namespace string) *v1alpha1.DataSet {
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "model"},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": "search"},
			Template: v1alpha1.DataTemplateSpec{
				DataItems: []v1alpha1.DataItem{{
					Name: "weights", Namespace: "default", RemotePath: "weights", LocalPath: "weights", Version: "v1",
					DataSourceType: v1alpha1.DataSourceMinIO,
				}},
				DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{
					Endpoint: "https://minio:9000", Bucket: "models", SecretRef: &v1alpha1.SecretReference{Name: "reader"},
				}},
			},
		},
	}
}

// replica is a pod as a ReplicaSet creates it: without a name, and without a
// namespace in the template.
func replica(namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "search-", Labels: map[string]string{"app": "search"}},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(1000)), FSGroup: new(int64(1000)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{Name: "app", Image: "search:1", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	}
}
