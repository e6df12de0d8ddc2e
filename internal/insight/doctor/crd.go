// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/shorten"
)

const checkCRD = "crd"

var crdNames = []string{"datas." + v1alpha1.GroupVersion.Group, "datasets." + v1alpha1.GroupVersion.Group,
	"nodestores." + v1alpha1.GroupVersion.Group}

var crdTypes = map[string]reflect.Type{
	crdNames[0]: reflect.TypeFor[v1alpha1.Data](),
	crdNames[1]: reflect.TypeFor[v1alpha1.DataSet](),
	crdNames[2]: reflect.TypeFor[v1alpha1.NodeStore](),
}

// What to apply of a release, for the CRDs and for everything else.
const install = "kubectl apply --server-side -f install/kuda.yaml"

func checkCRDs(in *installation) []Finding {
	var findings []Finding
	for _, name := range crdNames {
		findings = append(findings, judgeCRD(name, in.crds[name]))
	}
	return findings
}

func judgeCRD(name string, crd fact[*unstructured.Unstructured]) Finding {
	o := &Object{Kind: "CustomResourceDefinition", Name: name}
	if crd.err != nil {
		return unreadFinding(checkCRD, o, crd.err, &Finding{
			Severity: advice.Problem, Check: checkCRD, Object: o, What: "is not installed",
			Why: "Kuda is not installed in this cluster, or only in part", Do: []string{"install the release that you want:", install},
		})
	}
	properties, ok := openAPI(crd.value)
	if !ok {
		return Finding{
			Severity: advice.Problem, Check: checkCRD, Object: o, What: "does not serve " + v1alpha1.GroupVersion.Version,
			Why: "it is of another version of Kuda", Do: []string{"install the release that this program is of:", install},
		}
	}
	lacks, has := compareFields(crdTypes[name], properties, "")
	switch {
	case len(lacks) > 0:
		return Finding{
			Severity: advice.Problem, Check: checkCRD, Object: o, What: fmt.Sprintf("lacks %s", shorten.List(lacks, ", ", shown)),
			Why: "it is older than this program; the API server drops fields that it does not know",
			Do:  []string{"apply the CRDs of the newer release:", install},
		}
	case len(has) > 0:
		return Finding{
			Severity: advice.Warning, Check: checkCRD, Object: o,
			What: fmt.Sprintf("has %s, which this program does not know", shorten.List(has, ", ", shown)),
			Why:  "this program is older than the installation", Do: []string{"use the kubectl-kuda of the installed release"},
		}
	}
	return okFinding(checkCRD, o, "is installed, with the fields of this version")
}

// openAPI returns the schema of the version that this program speaks, if it is
// served.
func openAPI(crd *unstructured.Unstructured) (map[string]any, bool) {
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if version["name"] != v1alpha1.GroupVersion.Version || version["served"] != true {
			continue
		}
		properties, ok, _ := unstructured.NestedMap(version, "schema", "openAPIV3Schema")
		return properties, ok
	}
	return nil, false
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// compareFields walks a Go type and a schema side by side. It returns the
// fields that only the type has, and those that only the schema has.
func compareFields(t reflect.Type, schema map[string]any, at string) (lacks, has []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	// A type that writes itself is one value to the schema: a time, a quantity.
	if t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler) {
		return nil, nil
	}
	switch t.Kind() {
	case reflect.Slice:
		if items, ok := schema["items"].(map[string]any); ok {
			return compareFields(t.Elem(), items, at+"[]")
		}
	case reflect.Map:
		if values, ok := schema["additionalProperties"].(map[string]any); ok {
			return compareFields(t.Elem(), values, at+"{}")
		}
	case reflect.Struct:
		return compareStruct(t, schema, at)
	}
	return nil, nil
}

func compareStruct(t reflect.Type, schema map[string]any, at string) (lacks, has []string) {
	properties, _ := schema["properties"].(map[string]any)
	left := maps.Clone(properties)
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "" || name == "-":
			continue
		case at == "" && name == "metadata":
			delete(left, name)
			continue
		}
		below, ok := properties[name].(map[string]any)
		if !ok {
			lacks = append(lacks, at+"."+name)
			continue
		}
		delete(left, name)
		l, h := compareFields(field.Type, below, at+"."+name)
		lacks, has = append(lacks, l...), append(has, h...)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if at != "" || name != "apiVersion" && name != "kind" {
			has = append(has, at+"."+name)
		}
	}
	return lacks, has
}

const shown = 5
