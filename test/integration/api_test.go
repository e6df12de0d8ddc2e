// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/apiservertest"
)

var apiServer client.Client

func TestMain(m *testing.M) {
	code, err := runWithAPIServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func runWithAPIServer(m *testing.M) (int, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 1, fmt.Errorf("KUBEBUILDER_ASSETS is not set: run the tests by \"make integration\"")
	}
	env := &envtest.Environment{CRDDirectoryPaths: []string{"../../deploy/base/crd"}, ErrorIfCRDPathMissing: true}
	config, stop, err := apiservertest.Start(env)
	if err != nil {
		return 1, err
	}
	defer func() { _ = stop() }()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return 1, err
	}
	if apiServer, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

const validDataSet = `
apiVersion: data.kuda.io/v1alpha1
kind: DataSet
metadata:
  name: NAME
  namespace: default
spec:
  workloadSelector:
    app: nginx
  template:
    dataItems:
    - name: nginx
      namespace: kuda-io
      remotePath: /kuda/conf/test.conf
      localPath: /tmp/test.conf
      version: "v0.0.1"
      dataSourceType: hdfs
      lifecycle:
        postDownload:
          exec:
            command: ["/bin/bash", "-c", "nginx -s reload"]
    dataSources:
      hdfs:
        addresses: ["hdfs-service.kuda-system:8020"]
        userName: root
`

func parse(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(validDataSet, "NAME", name)), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestManifestOfTheContractIsAcceptedAndDefaulted(t *testing.T) {
	u := parse(t, "contract")
	if err := apiServer.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	var got v1alpha1.DataSet
	if err := apiServer.Get(t.Context(), client.ObjectKeyFromObject(u), &got); err != nil {
		t.Fatal(err)
	}
	limit, deadline, threshold := int32(10), int32(600), intstr.FromInt32(1)
	want := v1alpha1.DataSetSpec{
		WorkloadSelector:        got.Spec.WorkloadSelector,
		Template:                got.Spec.Template,
		UpdateStrategy:          v1alpha1.UpdateStrategy{Type: v1alpha1.RollingUpdateStrategyType},
		ProgressDeadlineSeconds: &deadline,
		FailurePolicy:           v1alpha1.FailurePolicyPause,
		FailureThreshold:        &threshold,
		RevisionHistoryLimit:    &limit,
		StartPolicy:             v1alpha1.StartPolicyWaitForData,
		Placement:               v1alpha1.PlacementPrefer,
		DeletionPolicy:          v1alpha1.DeletionPolicyRetain,
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

// item returns the first item, and sources the sources, of a parsed DataSet.
func item(u *unstructured.Unstructured) map[string]any {
	return template(u)["dataItems"].([]any)[0].(map[string]any)
}

func template(u *unstructured.Unstructured) map[string]any {
	return u.Object["spec"].(map[string]any)["template"].(map[string]any)
}

// wrongInputs are changes of a DataSet that is right, and what the refusal says.
var wrongInputs = map[string]struct {
	change func(u *unstructured.Unstructured)
	want   []string
}{
	"selector-empty": {
		func(u *unstructured.Unstructured) {
			u.Object["spec"].(map[string]any)["workloadSelector"] = map[string]any{}
		}, []string{"spec.workloadSelector", "at least 1"},
	},
	"no-items": {
		func(u *unstructured.Unstructured) { template(u)["dataItems"] = []any{} },
		[]string{"spec.template.dataItems", "at least 1"},
	},
	"same-item-twice": {
		func(u *unstructured.Unstructured) { template(u)["dataItems"] = []any{item(u), item(u)} },
		[]string{"spec.template.dataItems[1]", "Duplicate"},
	},
	"local-path-climbs": {
		func(u *unstructured.Unstructured) { item(u)["localPath"] = "a/../../b" },
		[]string{"spec.template.dataItems[0]", "localPath: must not contain the segments . or .."},
	},
	"local-path-root": {
		func(u *unstructured.Unstructured) { item(u)["localPath"] = "/" },
		[]string{"spec.template.dataItems[0]", "localPath: must name a place below the data directory"},
	},
	"no-version": {
		func(u *unstructured.Unstructured) { delete(item(u), "version") },
		[]string{"spec.template.dataItems[0].version", "Required"},
	},
	"source-not-described": {
		func(u *unstructured.Unstructured) { item(u)["dataSourceType"] = "minio" },
		[]string{"spec.template", "describe that source in dataSources.minio"},
	},
	"source-unknown": {
		func(u *unstructured.Unstructured) { item(u)["dataSourceType"] = "ftp" },
		[]string{"spec.template.dataItems[0].dataSourceType", "supported values"},
	},
	"endpoint-without-scheme": {
		func(u *unstructured.Unstructured) {
			item(u)["dataSourceType"] = "minio"
			template(u)["dataSources"] = map[string]any{"minio": map[string]any{"endpoint": "minio:9000", "bucket": "data"}}
		}, []string{"spec.template.dataSources.minio.endpoint", "https?://"},
	},
	"digest-short": {
		func(u *unstructured.Unstructured) { item(u)["digest"] = "sha256:abc" },
		[]string{"spec.template.dataItems[0].digest", "sha256:[a-f0-9]{64}"},
	},
	"hook-with-two-actions": {
		func(u *unstructured.Unstructured) {
			item(u)["lifecycle"] = map[string]any{"postDownload": map[string]any{
				"exec": map[string]any{"command": []any{"true"}}, "httpGet": map[string]any{"port": int64(80)}}}
		}, []string{"lifecycle.postDownload", "set exactly one of exec and httpGet"},
	},
	"hook-to-another-host": {
		func(u *unstructured.Unstructured) {
			item(u)["lifecycle"] = map[string]any{"postDownload": map[string]any{
				"httpGet": map[string]any{"port": int64(80), "host": "10.0.0.1"}}}
		}, []string{"httpGet.host: leave it out"},
	},
	"max-unavailable-zero": {
		func(u *unstructured.Unstructured) {
			u.Object["spec"].(map[string]any)["updateStrategy"] = map[string]any{
				"rollingUpdate": map[string]any{"maxUnavailable": int64(0)}}
		}, []string{"maxUnavailable: must be a number of at least 1"},
	},
	"rolling-update-with-on-delete": {
		func(u *unstructured.Unstructured) {
			u.Object["spec"].(map[string]any)["updateStrategy"] = map[string]any{
				"type": "OnDelete", "rollingUpdate": map[string]any{"maxUnavailable": int64(1)}}
		}, []string{"rollingUpdate: goes with type RollingUpdate only"},
	},
	strings.Repeat("n", 64): {
		func(*unstructured.Unstructured) {}, []string{"metadata.name: must have at most 63 characters"},
	},
}

func TestInvalidInputIsRefusedWithTheFieldAndTheRemedy(t *testing.T) {
	for name, test := range wrongInputs {
		t.Run(name, func(t *testing.T) {
			u := parse(t, name)
			test.change(u)
			err := apiServer.Create(t.Context(), u)
			if err == nil {
				t.Fatal("was accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message lacks %q: %v", want, err)
				}
			}
		})
	}
}

func TestDataPluralIsDatas(t *testing.T) {
	mapping, err := apiServer.RESTMapper().RESTMapping(v1alpha1.GroupVersion.WithKind("Data").GroupKind())
	if err != nil {
		t.Fatal(err)
	}
	if got := mapping.Resource.Resource; got != "datas" {
		t.Errorf("resource %q, want datas: existing manifests and scripts use that plural", got)
	}
}

func TestPrintedColumnsAreThoseOfTheContract(t *testing.T) {
	for kind, want := range map[string]string{"datasets": "DataItems Ready Revision Age", "datas": "Ready Age",
		"nodestores": "Bytes Items Free Age"} {
		crd := &unstructured.Unstructured{}
		raw, err := os.ReadFile("../../deploy/base/crd/data.kuda.io_" + kind + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(raw, &crd.Object); err != nil {
			t.Fatal(err)
		}
		versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
		columns, _, _ := unstructured.NestedSlice(versions[0].(map[string]any), "additionalPrinterColumns")
		var got []string
		for _, c := range columns {
			if column := c.(map[string]any); column["priority"] == nil {
				got = append(got, column["name"].(string))
			}
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}
