// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: datasets.data.kuda.io"
	deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: kuda-manager\n  namespace: kuda-system\nspec:\n  replicas: 2"
	newer      = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: kuda-manager\n  namespace: kuda-system\nspec:\n  replicas: 3"
	policy     = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata:\n  name: kuda"
	another    = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: nodestores.data.kuda.io"
)

func release(texts ...string) Release {
	r := Release{Name: "test"}
	for _, text := range texts {
		r.Manifest = append(r.Manifest, []byte(text+"\n---\n")...)
	}
	return r
}

func TestDowngradeKeepsDefinitionsAndRemovesWhatTheOlderReleaseLacks(t *testing.T) {
	older, later := release(definition, deployment), release(definition, another, newer, policy)
	applied, err := older.withoutDefinitions()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(deployment, string(applied)); d != "" {
		t.Errorf("applied: %s", d)
	}
	removed, err := later.onlyIn(older)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(policy, string(removed)); d != "" {
		t.Errorf("removed: %s", d)
	}
}

func TestManifestThatCannotBeReadIsAnError(t *testing.T) {
	if _, err := release("kind: [").withoutDefinitions(); err == nil {
		t.Error("no error")
	}
}
