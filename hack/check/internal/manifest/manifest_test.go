// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

const install = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: good}
spec:
  template:
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: good
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: bad}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
          - name: bad
            securityContext: {privileged: true}
          volumes:
          - {name: host, hostPath: {path: /}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get]}
- {apiGroups: [""], resources: [configmaps, secrets], verbs: [list]}
- {apiGroups: ["*"], resources: [pods], verbs: [get]}
`

func read(t *testing.T, text string) []Object {
	t.Helper()
	file := filepath.Join(t.TempDir(), "install.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	objects, err := ReadInstall(file)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestPodOfEachWorkloadIsHeldAgainstRestricted(t *testing.T) {
	findings, err := CheckPodSecurity(read(t, install))
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, f := range findings {
		if f.Where != "CronJob/bad/bad" {
			t.Errorf("%s is not bad: %s", f.Where, f.Message)
		}
		reasons = append(reasons, f.Message)
	}
	all := strings.Join(reasons, "\n")
	for _, want := range []string{"privileged", "hostPath", "unrestricted capabilities", "runAsNonRoot", "seccompProfile"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s was not found in:\n%s", want, all)
		}
	}
}

func TestDangerousRightsAreFound(t *testing.T) {
	var got []string
	for _, f := range CheckRights(read(t, install)) {
		got = append(got, f.ID+" "+f.Where)
	}
	want := []string{"rbac-secrets ClusterRole/reader", "rbac-wildcard ClusterRole/reader"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyKudasContainersOfAnInjectedPodAreJudged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "node-store.yaml")
	text := `
spec:
  initContainers:
  - {name: kuda-runtime, volumeMounts: [{name: kuda-store, mountPath: /s}]}
  containers:
  - {name: app, securityContext: {privileged: true}}
  volumes:
  - {name: kuda-store, hostPath: {path: /var/lib/kuda}}
  - {name: mine, hostPath: {path: /}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := ReadInjected(file)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := CheckPodSecurity([]Object{o})
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) == 0 {
		t.Error("the runtime has no security context, and nothing was found")
	}
	for _, f := range findings {
		if f.Where != "injected/node-store/kuda-runtime" || strings.Contains(f.Message, "mine") || strings.Contains(f.Message, "privileged") {
			t.Errorf("judged what is the user's: %+v", f)
		}
	}
}

func TestFileWithoutObjectsIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(file, []byte("---\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadInstall(file); err == nil {
		t.Error("an empty file was accepted")
	}
	if _, err := ReadInjected(file); err == nil {
		t.Error("a pod without Kuda's containers was accepted")
	}
}

func TestScoredFindingsNameTheirContainer(t *testing.T) {
	var objects []scored
	report := `[{"type_meta":{"kind":"Job"},"object_meta":{"name":"j"},"checks":[
	  {"check":{"id":"a"},"grade":1,"comments":[{"path":"c","summary":"s"}]},
	  {"check":{"id":"b"},"grade":10,"comments":[{"path":"c","summary":"s"}]},
	  {"check":{"id":"d"},"grade":1,"skipped":true,"comments":[{"path":"c","summary":"s"}]}]}]`
	if err := json.Unmarshal([]byte(report), &objects); err != nil {
		t.Fatal(err)
	}
	got := collect(objects, func(o scored, container string) (string, bool) { return o.ObjectMeta.Name + "/" + container, true })
	if diff := cmp.Diff([]exception.Finding{{ID: "a", Where: "j/c", Message: "s"}}, got); diff != "" {
		t.Error(diff)
	}
}
