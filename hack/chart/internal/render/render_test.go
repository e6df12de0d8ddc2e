// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuda-io/kuda/hack/chart/internal/render"
	"github.com/kuda-io/kuda/internal/config"
)

func objects(t *testing.T, namespace string, values map[string]any) map[string]*unstructured.Unstructured {
	t.Helper()
	all, err := load(t).Objects(namespace, values)
	if err != nil {
		t.Fatal(err)
	}
	byKey := make(map[string]*unstructured.Unstructured, len(all))
	for _, o := range all {
		byKey[render.Key(o)] = o
	}
	return byKey
}

// kustomize writes a folded text with other breaks between its lines.
var spaces = cmp.Comparer(func(a, b string) bool { return slices.Equal(strings.Fields(a), strings.Fields(b)) })

func TestPublishedManifestsAreTheChart(t *testing.T) {
	rendered := objects(t, render.Namespace, render.PublishedValues())
	for _, file := range []string{"kuda", "kuda-node", "kuda-scheduler", "kuda-dashboard"} {
		raw, err := os.ReadFile("../../../../install/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		published, err := render.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range published {
			got, ok := rendered[render.Key(o)]
			if !ok {
				t.Errorf("install/%s.yaml has %s, which the chart does not render", file, render.Key(o))
				continue
			}
			if d := cmp.Diff(got.Object, o.Object, spaces); d != "" {
				t.Errorf("%s (-chart +install/%s.yaml)\n%s", render.Key(o), file, d)
			}
			delete(rendered, render.Key(o))
		}
	}
	for key := range rendered {
		t.Errorf("the chart renders %s, which no file of install/ has", key)
	}
}

func TestWhatIsForRemovalHasNoDefinitionAndLeavesTheirGuard(t *testing.T) {
	raw, err := os.ReadFile("../../../../install/remove/kuda.yaml")
	if err != nil {
		t.Fatal(err)
	}
	removed, err := render.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range removed {
		if o.GetKind() == "CustomResourceDefinition" || o.GetName() == "kuda-crd-deletion" {
			t.Errorf("install/remove/kuda.yaml has %s", render.Key(o))
		}
	}
}

func TestHelmKeepsDefinitionsAndTheirGuard(t *testing.T) {
	for key, o := range objects(t, "kuda-system", nil) {
		held := o.GetKind() == "CustomResourceDefinition" || o.GetName() == "kuda-crd-deletion"
		if kept := o.GetAnnotations()["helm.sh/resource-policy"] == "keep"; kept != held {
			t.Errorf("%s: kept by Helm: %t, want %t", key, kept, held)
		}
		if len(o.GetFinalizers()) > 0 {
			t.Errorf("%s has a finalizer, which Helm would wait for", key)
		}
	}
	let := objects(t, "kuda-system", map[string]any{"crds": map[string]any{"keep": false}})
	for key, o := range let {
		if o.GetAnnotations()["helm.sh/resource-policy"] != "" {
			t.Errorf("crds.keep=false: %s is kept", key)
		}
		if o.GetKind() == "CustomResourceDefinition" && o.GetAnnotations()["kuda.io/allow-deletion"] != "true" {
			t.Errorf("crds.keep=false: the policy would refuse to delete %s", key)
		}
	}
}

// A hook before the installation has nothing of the chart but what hooks before it made.
func TestAuthorityIsMadeBeforeTheRestByWhatIsThereThen(t *testing.T) {
	hooks := map[string]string{}
	var job *unstructured.Unstructured
	for key, o := range objects(t, "kuda-system", nil) {
		if o.GetAnnotations()["helm.sh/hook"] != "" {
			hooks[key] = o.GetAnnotations()["helm.sh/hook"] + " " + o.GetAnnotations()["helm.sh/hook-weight"]
		}
		if o.GetKind() == "Job" {
			job = o
		}
	}
	want := map[string]string{
		"ServiceAccount kuda-system/kuda-create-ca":                        "pre-install,pre-upgrade -5",
		"Role.rbac.authorization.k8s.io kuda-system/kuda-create-ca":        "pre-install,pre-upgrade -5",
		"RoleBinding.rbac.authorization.k8s.io kuda-system/kuda-create-ca": "pre-install,pre-upgrade -5",
		"Job.batch kuda-system/kuda-create-ca":                             "pre-install,pre-upgrade 0",
	}
	if d := cmp.Diff(want, hooks); d != "" {
		t.Errorf("hooks (-want +got)\n%s", d)
	}
	pod, _, _ := unstructured.NestedMap(job.Object, "spec", "template", "spec")
	if class, ok := pod["priorityClassName"]; ok {
		t.Errorf("the pod of the hook needs the PriorityClass %v, which is made after it", class)
	}
	if _, ok, _ := unstructured.NestedFieldNoCopy(job.Object, "spec", "ttlSecondsAfterFinished"); ok {
		t.Error("the Job of the hook may be gone before Helm has seen it complete")
	}
}

func TestAnotherNamespaceIsNamedEverywhere(t *testing.T) {
	files, err := load(t).Files("data-platform", everything())
	if err != nil {
		t.Fatal(err)
	}
	// The PriorityClass has this name, too.
	priority := regexp.MustCompile("priorityClassName: kuda-system")
	for name, content := range files {
		if name == "base/priorityclass.yaml" || name == "NOTES.txt" {
			continue
		}
		if rest := priority.ReplaceAllString(content, ""); strings.Contains(rest, "kuda-system") {
			t.Errorf("%s names kuda-system", name)
		}
	}
}

func TestRegistryAndPullSecretsReachEachPodAndTheRuntime(t *testing.T) {
	values := everything()
	values["global"] = map[string]any{
		"imageRegistry":    "registry.example.com/mirror/",
		"imagePullSecrets": []any{map[string]any{"name": "registry-key"}},
	}
	files, err := load(t).Files("kuda-system", values)
	if err != nil {
		t.Fatal(err)
	}
	images := regexp.MustCompile(`[a-z./-]*kuda-io/kuda-[a-z]+:v`)
	for name, content := range files {
		for _, image := range images.FindAllString(content, -1) {
			if !strings.HasPrefix(image, "registry.example.com/mirror/kuda-io/") {
				t.Errorf("%s: image %s", name, image)
			}
		}
	}
	for key, o := range objects(t, "kuda-system", values) {
		pod, ok, _ := unstructured.NestedMap(o.Object, "spec", "template", "spec")
		if ok && pod["imagePullSecrets"] == nil {
			t.Errorf("%s has no imagePullSecrets", key)
		}
	}
}

func TestDigestsGoBeforeTags(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	values := map[string]any{"manager": map[string]any{"image": map[string]any{"digest": digest, "tag": "v9"}}}
	o := objects(t, "kuda-system", values)["Deployment.apps kuda-system/kuda-manager"]
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	if got, want := containers[0].(map[string]any)["image"], "kuda-io/kuda-manager@"+digest; got != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestConfigurationIsWhatTheWebhookReads(t *testing.T) {
	values := map[string]any{"config": map[string]any{
		"runtimeImage":            "registry.example.com/kuda-runtime:v1",
		"runtimeImagePullSecrets": []any{map[string]any{"name": "registry-key"}},
		"hostPath":                "/data/kuda",
		"enableAffinity":          false,
		"schedulerName":           "kuda-scheduler",
		"storeMode":               "Node",
		"nodeDriver":              "data.kuda.io",
		"podSecurityDefault":      "baseline",
		"runtimeSELinuxLevel":     "s0:c1,c2",
		"podStoreSizeLimit":       "20Gi",
		"nodeStoreQuota":          "200Gi",
		"nodeStoreReserve":        "5%",
		"plugins":                 []any{map[string]any{"name": "sftp", "image": "example.com/sftp:v1"}},
		"webIdentityAudiences":    []any{},
		"forbiddenAudiences":      []any{"vault"},
	}}
	for name, v := range map[string]map[string]any{"default": nil, "given": values} {
		text, _, _ := unstructured.NestedString(objects(t, "data", v)["ConfigMap data/kuda-config"].Object, "data", "config.yaml")
		got, err := config.Parse([]byte(text), "image")
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if got.GatewayAddress != "kuda-gateway.data.svc:8443" {
			t.Errorf("%s: the gateway is at %s", name, got.GatewayAddress)
		}
		if name == "given" && (got.HostPath != "/data/kuda" || *got.EnableAffinity || got.NodeDriver != "data.kuda.io" ||
			got.NodeStoreQuota.String() != "200Gi" || len(got.Plugins) != 1 || len(got.WebIdentityAudiences) != 0) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestExtraObjectsAreTemplates(t *testing.T) {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: {{ .Release.Namespace }}}\n"
	values := map[string]any{"extraObjects": []any{text, map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "b", "namespace": "{{ .Release.Namespace }}"},
	}}}
	got := objects(t, "data", values)
	for _, key := range []string{"ConfigMap data/a", "ConfigMap data/b"} {
		if got[key] == nil {
			t.Errorf("there is no %s", key)
		}
	}
}

// everything switches each optional part on.
func everything() map[string]any {
	values := map[string]any{}
	for _, o := range options() {
		for name, value := range o.values {
			merge(values, name, value)
		}
	}
	return values
}

func merge(values map[string]any, name string, value any) {
	into, isMap := values[name].(map[string]any)
	from, ok := value.(map[string]any)
	if !isMap || !ok {
		values[name] = runtime.DeepCopyJSONValue(value)
		return
	}
	for k, v := range from {
		merge(into, k, v)
	}
}

func TestEachPairOfOptionsRenders(t *testing.T) {
	c, all := load(t), options()
	for i, a := range all {
		for _, b := range all[i:] {
			if _, err := c.Objects("kuda-system", pair(a, b)); err != nil {
				t.Errorf("%s,%s: %v", a.name, b.name, err)
			}
		}
	}
}
