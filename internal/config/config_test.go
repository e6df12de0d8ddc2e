// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/admission/author"
	"github.com/kuda-io/kuda/internal/inject"
)

const image = "kuda-io/kuda-runtime:v0.1.0"

func TestAnEmptyConfigurationIsComplete(t *testing.T) {
	c, err := Parse(nil, image)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Settings([]byte("ca"))
	if s.Image != image || s.HostPath != "/var/lib/kuda" || s.DataPath != "/kuda/data" || s.ServerPort != 8888 ||
		s.Store != inject.StoreAuto || !s.Affinity || s.SchedulerName != "" || s.GatewayAddress == "" ||
		s.Resources.Limits.Memory().String() != "256Mi" {
		t.Errorf("got %+v", s)
	}
}

func TestTheShippedConfigurationIsTheDefault(t *testing.T) {
	manifest, err := os.ReadFile("../../deploy/base/config/configmap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, shipped, ok := strings.Cut(string(manifest), "config.yaml: |\n")
	if !ok {
		t.Fatal("the manifest has no key config.yaml")
	}
	var content strings.Builder
	for line := range strings.Lines(shipped) {
		content.WriteString(strings.TrimPrefix(line, "    "))
	}
	got, err := Parse([]byte(content.String()), image)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse(nil, image)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-default +shipped)\n%s", diff)
	}
}

func TestWhatIsWrongIsNamedByItsField(t *testing.T) {
	for content, want := range map[string]string{
		"runtimeImages: x":                                           "runtimeImages",
		"runtimeImage: a b":                                          "runtimeImage: must",
		"runtimeImagePullPolicy: Sometimes":                          "runtimeImagePullPolicy: must",
		"runtimeImagePullSecrets: [{name: A_b}]":                     "runtimeImagePullSecrets[0].name: a lowercase",
		"runtimeImagePullSecrets: [{}]":                              "runtimeImagePullSecrets[0].name: a lowercase",
		"runtimeImagePullSecrets: [key]":                             "runtimeImagePullSecrets",
		"runtimeImagePullSecrets: [{name: a}, {name: b}, {name: a}]": "runtimeImagePullSecrets[2].name: a is listed twice",
		"hostPath: var/lib":                                          "hostPath: must",
		"hostPath: /":                                                "hostPath: must",
		"dataPathPrefix: /kuda/../etc":                               "dataPathPrefix: must",
		"dataPathPrefix: /kuda/$(X)":                                 "dataPathPrefix: must",
		"runtimeServerPort: 70000":                                   "runtimeServerPort: must",
		"schedulerName: Kuda_Scheduler":                              "schedulerName: a lowercase",
		"enableAffinity: maybe":                                      "enableAffinity",
		"storeMode: Both":                                            "storeMode: must",
		"podStoreSizeLimit: -1Gi":                                    "podStoreSizeLimit: must",
		"podStoreSizeLimit: much":                                    "quantities must match",
		"gatewayAddress: gateway":                                    "gatewayAddress: must",
		"runtimeResources: {limits: {cpu: 1}}":                       "runtimeResources.limits.memory: set",
		"runtimeResources: {limits: {memory: 0}}":                    "runtimeResources.limits.memory: must",
		"runtimeResources: {limits: {memory: 1Mi}, requests: {memory: 2Mi}}": "runtimeResources.requests.memory: must",
		"nodeStoreQuota: 0":                                                      "nodeStoreQuota: must",
		"nodeStoreReserve: much":                                                 "nodeStoreReserve: must",
		"nodeStoreReserve: 101%":                                                 "nodeStoreReserve: must",
		"nodeStoreReserve: -1Gi":                                                 "nodeStoreReserve: must",
		"nodeDriver: csi.example.com":                                            "nodeDriver: must be data.kuda.io",
		"podSecurityDefault: strict":                                             "podSecurityDefault: must",
		"runtimeSELinuxLevel: system_u":                                          "runtimeSELinuxLevel: must",
		"authorChecks: Sometimes":                                                "authorChecks: must",
		"authorChecks: On":                                                       "authorChecks",
		"webIdentityAudiences: [minio, kuda.io]":                                 "webIdentityAudiences[1]",
		"webIdentityAudiences: [\"\"]":                                           "webIdentityAudiences[0]",
		"webIdentityAudiences: [https://kubernetes.default.svc]":                 "webIdentityAudiences[0]",
		"plugins: [{name: A, image: i}]":                                         "plugins[0].name: a lowercase",
		"plugins: [{name: a}]":                                                   "plugins[0].image: must",
		"plugins: [{name: a, image: i}, {name: a, image: i}]":                    "plugins[1].name: there is another",
		"plugins: [{name: a, image: i, env: {\"a=b\": c}}]":                      "plugins[0].env",
		"plugins: [{name: a, image: i, resources: {limits: {cpu: 1}}}]":          "plugins[0].resources.limits.memory: set",
		"plugins: [{name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, image: i}]": "plugins[0].name: must have at most 40",
		"runtimeServerPort: 1\nruntimeServerPort: 2":                             "already set",
	} {
		if _, err := Parse([]byte(content), image); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q", content, err, want)
		}
	}
}

func TestPlacementSettingsComeFromTheConfiguration(t *testing.T) {
	c, err := Parse([]byte("enableAffinity: false\nschedulerName: kuda-scheduler"), image)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Settings(nil); s.Affinity || s.SchedulerName != "kuda-scheduler" {
		t.Errorf("got affinity %t, scheduler %q", s.Affinity, s.SchedulerName)
	}
}

func TestAWrongChangeLeavesTheLastGoodConfigurationInForce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("runtimeServerPort: 1111")
	f, err := Open(file, image, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	write("runtimeServerPort: many")
	if err := f.reload(); err == nil || f.Current().RuntimeServerPort != 1111 {
		t.Errorf("got %v, port %d", err, f.Current().RuntimeServerPort)
	}
	write("runtimeServerPort: 2222")
	if err := f.reload(); err != nil || f.Current().RuntimeServerPort != 2222 {
		t.Errorf("got %v, port %d", err, f.Current().RuntimeServerPort)
	}
}

func TestAuthorsAreHeldToTheirRightsUnlessTheConfigurationSaysOtherwise(t *testing.T) {
	for content, want := range map[string]author.Mode{
		"": author.Enforce, "authorChecks: Enforce": author.Enforce, "authorChecks: Warn": author.Warn,
		// Without quotes, YAML reads a boolean.
		"authorChecks: Off": author.Off, `authorChecks: "Off"`: author.Off,
	} {
		c, err := Parse([]byte(content), image)
		if err != nil || c.AuthorChecks != want {
			t.Errorf("%q: got %q, %v; want %q", content, c.AuthorChecks, err, want)
		}
	}
}

func TestTheAudiencesOfTheConfigurationAreTheOnlyOnes(t *testing.T) {
	for content, want := range map[string]bool{"": true, "webIdentityAudiences: []": false, "webIdentityAudiences: [minio]": false} {
		c, err := Parse([]byte(content), image)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Settings(nil).Audiences.Check("sts.amazonaws.com") == nil; got != want {
			t.Errorf("%q: sts.amazonaws.com is admitted: %t", content, got)
		}
	}
}

func TestTheReserveIsWrittenAsTheRuntimeReadsIt(t *testing.T) {
	for content, want := range map[string]string{
		"": "", "nodeStoreReserve: 2Gi": "2147483648", "nodeStoreReserve: 10%": "10%", "nodeStoreReserve: 0%": "0%", `nodeStoreReserve: "0"`: "0",
	} {
		c, err := Parse([]byte(content), image)
		if got := c.Settings(nil).NodeStoreReserve; err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", content, got, err, want)
		}
	}
}

func TestTheStoresOfKudaNodeComeFromTheConfiguration(t *testing.T) {
	c, err := Parse([]byte("nodeDriver: data.kuda.io\npodSecurityDefault: baseline\nruntimeSELinuxLevel: s0:c1,c2"), image)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Settings(nil); s.NodeDriver != "data.kuda.io" || s.SecurityDefault != "baseline" || s.SELinuxLevel != "s0:c1,c2" {
		t.Errorf("got driver %q, level %q, SELinux level %q", s.NodeDriver, s.SecurityDefault, s.SELinuxLevel)
	}
}
