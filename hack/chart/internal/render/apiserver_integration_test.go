// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package render_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/hack/chart/internal/render"
	"github.com/kuda-io/kuda/internal/apiservertest"
)

var server *apiServer

// startTimeout is for an API server on a machine that has much else to do.
const startTimeout = 2 * time.Minute

func TestMain(m *testing.M) {
	code, err := runWithAPIServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func runWithAPIServer(m *testing.M) (int, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: run the tests by \"make integration\"")
	}
	config, stop, err := apiservertest.Start(&envtest.Environment{ControlPlaneStartTimeout: startTimeout})
	if err != nil {
		return 1, err
	}
	defer func() { _ = stop() }()
	if server, err = newAPIServer(config); err != nil {
		return 1, err
	}
	if err := server.prepare(context.Background()); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// apiServer is a real API server, as kubectl uses it.
type apiServer struct {
	objects dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

func newAPIServer(config *rest.Config) (*apiServer, error) {
	config.QPS = -1
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &apiServer{objects: objects, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))}, nil
}

// foreign are definitions of others' kinds that the chart has objects of.
var foreign = []struct{ group, version, kind, plural string }{
	{"monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"},
	{"monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"},
	{"monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"},
	{"gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"},
	{"gateway.networking.k8s.io", "v1", "BackendTLSPolicy", "backendtlspolicies"},
}

// prepare makes the namespaces and the definitions that a dry run looks for.
func (s *apiServer) prepare(ctx context.Context) error {
	for _, name := range []string{"kuda-system", "kuda-node"} {
		namespace := mustParse(fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", name))
		if err := s.apply(ctx, namespace, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	for _, f := range foreign {
		definition := mustParse(fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[4]s.%[1]s
  annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api"}
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: %[3]s, plural: %[4]s}
  versions:
  - name: %[2]s
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}`, f.group, f.version, f.kind, f.plural))
		if err := s.apply(ctx, definition, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func mustParse(manifest string) *unstructured.Unstructured {
	objects, err := render.Parse([]byte(manifest))
	if err != nil || len(objects) != 1 {
		panic(fmt.Sprintf("%d objects, %v", len(objects), err))
	}
	return objects[0]
}

// resource returns where objects of a kind are; a kind that was defined just now is waited for.
func (s *apiServer) resource(ctx context.Context, o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	var mapping *meta.RESTMapping
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		kind := o.GroupVersionKind()
		var err error
		mapping, err = s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			s.mapper.Reset()
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for kind %s: %w", o.GetKind(), err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return s.objects.Resource(mapping.Resource), nil
	}
	return s.objects.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
}

func (s *apiServer) apply(ctx context.Context, o *unstructured.Unstructured, options metav1.PatchOptions) error {
	r, err := s.resource(ctx, o)
	if err != nil {
		return err
	}
	content, err := json.Marshal(o)
	if err != nil {
		return err
	}
	options.FieldManager, options.Force = "test", new(true)
	options.FieldValidation = metav1.FieldValidationStrict
	if _, err := r.Patch(ctx, o.GetName(), types.ApplyPatchType, content, options); err != nil {
		return fmt.Errorf("applying %s: %w", render.Key(o), err)
	}
	return nil
}

func (s *apiServer) delete(ctx context.Context, o *unstructured.Unstructured, options metav1.DeleteOptions) error {
	r, err := s.resource(ctx, o)
	if err != nil {
		return err
	}
	return r.Delete(ctx, o.GetName(), options)
}

func TestAPIServerTakesEachPairOfOptions(t *testing.T) {
	c, all := load(t), options()
	seen := map[string]bool{}
	for i, a := range all {
		for _, b := range all[i:] {
			rendered, err := c.Objects("kuda-system", pair(a, b))
			if err != nil {
				t.Fatalf("%s,%s: %v", a.name, b.name, err)
			}
			for _, o := range rendered {
				// Most pairs share most of their objects.
				content, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				if seen[string(content)] {
					continue
				}
				seen[string(content)] = true
				if err := server.apply(t.Context(), o, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
					t.Errorf("%s,%s: %v", a.name, b.name, err)
				}
			}
		}
	}
	t.Logf("%d different objects", len(seen))
}

// kubectl delete -f deletes each object of a file, in its order, and goes on after a refusal.
func deleteAll(t *testing.T, objects []*unstructured.Unstructured) (refused []string) {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == "Namespace" {
			continue // this API server has no controller that would empty them
		}
		err := server.delete(t.Context(), o, metav1.DeleteOptions{})
		switch {
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
			refused = append(refused, o.GetKind()+" "+o.GetName()+": "+err.Error())
		case err != nil && !apierrors.IsNotFound(err):
			t.Fatalf("deleting %s: %v", render.Key(o), err)
		}
	}
	return refused
}

func TestDeletingTheManifestLeavesDefinitionsAndDataSetsHoweverOften(t *testing.T) {
	raw, err := os.ReadFile("../../../../install/kuda.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := render.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range manifest {
		if err := server.apply(t.Context(), o, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set := mustParse(`
apiVersion: data.kuda.io/v1alpha1
kind: DataSet
metadata: {name: models, namespace: default}
spec:
  workloadSelector: {app: web}
  template:
    dataSources: {http: {url: "http://example.com"}}
    dataItems: [{name: a, namespace: b, remotePath: /a, localPath: a, dataSourceType: http, version: v1}]`)
	if err := server.apply(t.Context(), set, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitGuard(t, manifest)

	for round := range 3 {
		refused := deleteAll(t, manifest)
		if len(refused) != 3 {
			t.Fatalf("round %d: the definitions are three, refused were %d: %q", round, len(refused), refused)
		}
		for _, message := range refused {
			if !strings.Contains(message, "kubectl annotate crd") || !strings.Contains(message, "of every namespace") {
				t.Errorf("the refusal says neither what would happen nor what to do: %s", message)
			}
		}
		r, err := server.resource(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Get(t.Context(), "models", metav1.GetOptions{}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	removeOnPurpose(t, manifest)
}

// awaitGuard waits until the policy is in force, which takes the API server a moment.
func awaitGuard(t *testing.T, manifest []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range manifest {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
			return server.delete(ctx, o, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}) != nil, nil
		})
		if err != nil {
			t.Fatalf("the policy does not come into force: %v", err)
		}
	}
}

// removeOnPurpose does what docs/install.md says for removing all.
func removeOnPurpose(t *testing.T, manifest []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range manifest {
		patch := ""
		switch {
		case o.GetKind() == "CustomResourceDefinition":
			patch = `{"metadata":{"annotations":{"kuda.io/allow-deletion":"true"}}}`
		case o.GetName() == "kuda-crd-deletion":
			patch = `{"metadata":{"finalizers":null}}`
		default:
			continue
		}
		r, err := server.resource(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Patch(t.Context(), o.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil &&
			!apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	if refused := deleteAll(t, manifest); len(refused) != 0 {
		t.Errorf("refused: %q", refused)
	}
}
