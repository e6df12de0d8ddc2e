// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func dataSet(change ...func(*v1alpha1.DataSetSpec)) *v1alpha1.DataSet {
	ds := &v1alpha1.DataSet{Spec: v1alpha1.DataSetSpec{
		WorkloadSelector: map[string]string{"app": "search"},
		Template: v1alpha1.DataTemplateSpec{
			DataItems: []v1alpha1.DataItem{
				{Namespace: "default", Name: "weights", RemotePath: "w", LocalPath: "model/weights", Version: "1",
					DataSourceType: v1alpha1.DataSourceMinIO},
				{Namespace: "default", Name: "vocab", RemotePath: "v", LocalPath: "/model/vocab/", Version: "1",
					DataSourceType: v1alpha1.DataSourceMinIO},
			},
			DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{
				Endpoint: "https://minio:9000", Bucket: "models", SecretRef: &v1alpha1.SecretReference{Name: "reader"},
			}},
		},
	}}
	for _, c := range change {
		c(&ds.Spec)
	}
	return ds
}

func item(change func(*v1alpha1.DataItem)) func(*v1alpha1.DataSetSpec) {
	return func(s *v1alpha1.DataSetSpec) { change(&s.Template.DataItems[1]) }
}

func at(local string) func(*v1alpha1.DataSetSpec) {
	return item(func(i *v1alpha1.DataItem) { i.LocalPath = local })
}

func hook(get corev1.HTTPGetAction) func(*v1alpha1.DataSetSpec) {
	return item(func(i *v1alpha1.DataItem) {
		i.Lifecycle = &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{HTTPGet: &get}}
	})
}

func analyzed(step v1alpha1.AnalysisStep) func(*v1alpha1.DataSetSpec) {
	return func(s *v1alpha1.DataSetSpec) {
		s.UpdateStrategy.Steps = []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}, {Analysis: &step}}
	}
}

func kept(rolling, step intstr.IntOrString) func(*v1alpha1.DataSetSpec) {
	return func(s *v1alpha1.DataSetSpec) {
		s.UpdateStrategy.RollingUpdate = &v1alpha1.RollingUpdate{Partition: &rolling}
		s.UpdateStrategy.Steps = []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}, {Partition: &step}}
	}
}

func TestADataSetThatCannotWorkIsRefusedByItsField(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.DataSetSpec)
		want   string
	}{
		"one place for two items": {at("model//weights/"),
			"dataItems[1].localPath: Invalid value: \"model//weights/\": is the same place as spec.template.dataItems[0].localPath"},
		"an item inside another": {at("/model/weights/extra"),
			"dataItems[1].localPath: Invalid value: \"/model/weights/extra\": lies inside spec.template.dataItems[0].localPath"},
		"an item around another": {at("model"),
			"dataItems[0].localPath: Invalid value: \"model/weights\": lies inside spec.template.dataItems[1].localPath"},
		"a segment that no disk takes": {at(strings.Repeat("x", 256)), "at most 255 bytes"},
		"a pattern that does not parse": {item(func(i *v1alpha1.DataItem) { i.Include = []string{"ok/*", "[a-"} }),
			"dataItems[1].include[1]: Invalid value"},
		"an absolute pattern": {item(func(i *v1alpha1.DataItem) { i.Exclude = []string{"/x"} }),
			"dataItems[1].exclude[0]: Invalid value"},
		"an empty pattern": {item(func(i *v1alpha1.DataItem) { i.Exclude = []string{""} }),
			"dataItems[1].exclude[0]: Required value"},
		"a container's impossible name": {item(func(i *v1alpha1.DataItem) { i.Container = "My_App" }), "dataItems[1].container"},
		"a port out of range":           {hook(corev1.HTTPGetAction{Port: intstr.FromInt32(0)}), "postDownload.httpGet.port"},
		"a relative hook path":          {hook(corev1.HTTPGetAction{Port: intstr.FromInt32(80), Path: "reload"}), "postDownload.httpGet.path"},
		"an unknown scheme":             {hook(corev1.HTTPGetAction{Port: intstr.FromInt32(80), Scheme: "FTP"}), "postDownload.httpGet.scheme"},
		"a label that none can have": {func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector = map[string]string{"a b": "c"} },
			"spec.workloadSelector"},
		"a Secret that none can be": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.SecretRef.Name = "../x" },
			"dataSources.minio.secretRef.name"},
		"a ConfigMap that none can be": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.CARef = &v1alpha1.CAReference{Name: "X"} },
			"dataSources.minio.caRef.name"},
		"a key that none can be": {func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.MinIO.CARef = &v1alpha1.CAReference{Name: "x", Key: "y/z"}
		}, "dataSources.minio.caRef.key"},
		"a namenode without a port": {func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.HDFS = &v1alpha1.HDFSDataSource{Addresses: []string{"namenode"}}
		}, "dataSources.hdfs.addresses[0]"},
		"a condition that does not compile": {analyzed(v1alpha1.AnalysisStep{
			Prometheus: &v1alpha1.PrometheusQuery{Address: "http://prometheus:9090", Query: "up"}, SuccessCondition: "result[0] <",
		}), "spec.updateStrategy.steps[1].analysis.successCondition: Invalid value: \"result[0] <\": line 1, column 12"},
		"an analysis of the manager itself": {analyzed(v1alpha1.AnalysisStep{
			HTTP: &v1alpha1.HTTPCheck{URL: "http://127.0.0.1:8080/metrics"},
		}), "spec.updateStrategy.steps[1].analysis.http.url: Invalid value: \"http://127.0.0.1:8080/metrics\": 127.0.0.1 leads to " +
			"the manager itself"},
		"a partition of less than nothing": {kept(intstr.FromInt32(-1), intstr.FromInt32(0)),
			"spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be a number of at least 0"},
		"a node label that none can have": {func(s *v1alpha1.DataSetSpec) {
			s.Preheat = &v1alpha1.Preheat{NodeSelector: map[string]string{"disk": "very fast"}}
		}, "spec.preheat.nodeSelector: Invalid value"},
		"caches to fill that are not there": {func(s *v1alpha1.DataSetSpec) {
			s.Preheat = &v1alpha1.Preheat{Cache: true}
		}, "spec.preheat.cache: Invalid value: true: no source has a cache to fill"},
		"a schedule that is none": {func(s *v1alpha1.DataSetSpec) {
			s.Preheat = &v1alpha1.Preheat{Schedule: "@daily"}
		}, "spec.preheat.schedule: Invalid value: \"@daily\": is no cron expression: parser does not accept descriptors: @daily; write five " +
			"fields such as \"0 3 * * *\""},
		"a step to less than nothing": {kept(intstr.FromString("0%"), intstr.FromInt32(-2)),
			"spec.updateStrategy.steps[1].partition: Invalid value: -2: must be a number of at least 0"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := checkDataSet(dataSet(c.change))
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want) {
				t.Errorf("got %v; want %s", errs, c.want)
			}
		})
	}
}

func TestAGoodDataSetIsAccepted(t *testing.T) {
	for name, local := range map[string]string{"beside": "model/vocab", "a longer name": "model/weights2",
		"sorted between": "model/weights-old", "another root": "x"} {
		if errs := checkDataSet(dataSet(at(local))); len(errs) != 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

func TestTheExamplesAreAccepted(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/dataset.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %q (%v)", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var ds v1alpha1.DataSet
		if err := yaml.UnmarshalStrict(text, &ds); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if errs := checkDataSet(&ds); len(errs) != 0 {
			t.Errorf("%s: %v", file, errs)
		}
	}
}

func TestAGoodPartitionIsAccepted(t *testing.T) {
	for _, p := range []intstr.IntOrString{intstr.FromInt32(0), intstr.FromInt32(7), intstr.FromString("0%"), intstr.FromString("90%")} {
		if errs := checkDataSet(dataSet(kept(p, p))); len(errs) != 0 {
			t.Error(errs)
		}
	}
}

func TestAGoodAnalysisIsAccepted(t *testing.T) {
	for _, step := range []v1alpha1.AnalysisStep{
		{Prometheus: &v1alpha1.PrometheusQuery{Address: "http://prometheus.monitoring:9090", Query: "up"}, FailureCondition: "result[0] > 0.05"},
		{HTTP: &v1alpha1.HTTPCheck{URL: "https://checks.shop/models?name=search"}, SuccessCondition: "status == 200 && result.healthy"},
		{HTTP: &v1alpha1.HTTPCheck{URL: "http://10.96.0.20/"}},
	} {
		if errs := checkDataSet(dataSet(analyzed(step))); len(errs) != 0 {
			t.Error(errs)
		}
	}
}

// plain reads from MinIO over http://.
func plain(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.Endpoint = "http://minio:9000" }

func TestUnlikelySettingsGetAWarning(t *testing.T) {
	for name, c := range map[string]struct {
		last, next *v1alpha1.DataSet
		want       string
	}{
		"nothing":           {dataSet(), dataSet(), ""},
		"a new DataSet":     {nil, dataSet(), ""},
		"plain credentials": {nil, dataSet(plain), "minio.endpoint: the credentials"},
		"plain credentials in place of others": {dataSet(item(func(i *v1alpha1.DataItem) { i.Version = "0" }), plain), dataSet(plain,
			func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.SecretRef.Name = "b" }), "minio.endpoint: the credentials of Secret b"},
		"plain credentials that were said": {dataSet(plain), dataSet(plain, item(func(i *v1alpha1.DataItem) { i.Version = "2" })), ""},
		"plain credentials, paused":        {dataSet(plain), dataSet(plain, func(s *v1alpha1.DataSetSpec) { s.Paused = true }), ""},
		"plain credentials, other limits": {dataSet(plain), dataSet(plain, func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.MinIO.Limits = &v1alpha1.SourceLimits{Connections: 2}
		}), ""},
		"another path": {dataSet(), dataSet(item(func(i *v1alpha1.DataItem) { i.RemotePath = "other" })),
			"dataItems[1]: remotePath changed"},
		"another bucket": {dataSet(item(func(i *v1alpha1.DataItem) { i.Version = "0" })),
			dataSet(func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.Bucket = "b" }), "dataItems[0]: its data source changed"},
		"another Secret": {dataSet(),
			dataSet(func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.SecretRef.Name = "b" }), ""},
		"a mode that only root reads": {nil, dataSet(item(func(i *v1alpha1.DataItem) { i.Mode = new(int32(0o600)) })),
			"dataItems[1].mode: with mode 0600 only root, or"},
		"a mode of a group":          {dataSet(), dataSet(item(func(i *v1alpha1.DataItem) { i.Mode = new(int32(0o640)) })), "use 0644"},
		"a mode that no user reads":  {nil, dataSet(item(func(i *v1alpha1.DataItem) { i.Mode = new(int32(0o111)) })), "only root"},
		"a mode that all users read": {nil, dataSet(item(func(i *v1alpha1.DataItem) { i.Mode = new(int32(0o444)) })), ""},
		"a mode that was said": {dataSet(item(func(i *v1alpha1.DataItem) { i.Mode = new(int32(0o600)) })),
			dataSet(item(func(i *v1alpha1.DataItem) { i.Mode, i.Version = new(int32(0o600)), "2" })), ""},
		"another version": {dataSet(), dataSet(item(func(i *v1alpha1.DataItem) { i.RemotePath, i.Version = "other", "2" })), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := warnDataSet(c.last, c.next)
			if len(got) != 0 && c.want == "" || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}
