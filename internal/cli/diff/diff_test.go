// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/domain/revision"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/diff"
	"github.com/kuda-io/kuda/internal/insight/podexec"
	"github.com/kuda-io/kuda/internal/inspection"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func models(version string) *v1alpha1.DataSet {
	mode := int32(0o644)
	d := &v1alpha1.DataSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DataSet"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models", UID: "uid"},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": "models"},
			Template: v1alpha1.DataTemplateSpec{
				DataItems: []v1alpha1.DataItem{{
					Namespace: "default", Name: "weights", RemotePath: "models/" + version, LocalPath: "model", Version: version,
					DataSourceType: v1alpha1.DataSourceHTTP, Mode: &mode,
				}},
				DataSources: v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: "http://files.shop"}},
			},
		},
	}
	if version == "v2" {
		d.Spec.Template.DataItems[0].Mode = nil
		d.Spec.Template.DataItems[0].Lifecycle = &v1alpha1.Lifecycle{
			PostDownload: &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"reload", "now"}}}}
		d.Spec.Template.DataItems = append(d.Spec.Template.DataItems, v1alpha1.DataItem{
			Namespace: "default", Name: "conf", RemotePath: "conf", LocalPath: "conf", Version: "1", DataSourceType: v1alpha1.DataSourceMinIO,
		})
		d.Spec.Template.DataSources.MinIO = &v1alpha1.S3DataSource{Endpoint: "http://minio.storage:9000", Bucket: "conf"}
	}
	return d
}

// history is a DataSet on its way from its first revision to its second.
func history(t *testing.T) []client.Object {
	t.Helper()
	var objects []client.Object
	d := models("v2")
	for i, version := range []string{"v1", "v2"} {
		r, err := revision.New(models(version), int64(i+1), 0)
		if err != nil {
			t.Fatal(err)
		}
		r.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, v1alpha1.GroupVersion.WithKind("DataSet"))}
		d.Status.CurrentRevision, d.Status.UpdateRevision = d.Status.UpdateRevision, r.Name
		objects = append(objects, r)
	}
	return append(objects, d)
}

func podOn(node, name string, change func(*corev1.Pod)) *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, Labels: map[string]string{"app": "models"},
			Annotations: map[string]string{v1alpha1.AnnotationInjected: "models", v1alpha1.AnnotationStore: v1alpha1.StoreNode},
		},
		Spec: corev1.PodSpec{NodeName: node, InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}},
		Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{
			Name: sidecar.ContainerName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

// runner plays pods.
type runner struct {
	t       *testing.T
	mu      sync.Mutex
	asked   []string
	refuse  map[string]error
	present map[string]int64
}

func (r *runner) Run(_ context.Context, pod types.NamespacedName, args []string, stdin []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, pod.Name)
	if err := r.refuse[pod.Name]; err != nil {
		return nil, err
	}
	var questions []inspection.Question
	want := &gatewayv1alpha1.Prefetch{}
	if err := json.Unmarshal(stdin, &questions); err != nil || len(questions) != 1 || strings.Join(args, " ") != "inspect plan" {
		r.t.Errorf("asked %v with %s: %v", args, stdin, err)
		return nil, errors.New("not understood")
	}
	if err := protojson.Unmarshal(questions[0].Prefetch, want); err != nil || questions[0].DataSet != "models" || len(want.GetItems()) == 0 ||
		len(want.GetSources()) == 0 {
		r.t.Errorf("asked about %s: %v", stdin, err)
	}
	return json.Marshal([]inspection.Plan{{DataSet: "models", Items: []inspection.PlannedItem{
		{
			Namespace: "default", Name: "weights", Version: "v2", TotalBytes: 3 << 20, BytesPresent: r.present[pod.Name],
			BytesToMove: 3<<20 - r.present[pod.Name],
			Changed: inspection.Files{Count: 3, Bytes: 3 << 20,
				Files: []inspection.Name{{Path: "a.bin", Size: 1 << 20}, {Path: "b.bin", Size: 1 << 20}}},
			Removed:   inspection.Files{Count: 1, Files: []inspection.Name{{Path: "old.bin", Size: 17}}},
			Unchanged: inspection.Files{Count: 2},
		},
		{Namespace: "default", Name: "conf", Reason: v1alpha1.ReasonNotFound, Error: "nothing is stored at conf"},
	}}})
}

func run(t *testing.T, objects []client.Object, asker podexec.Runner, in string, args ...string) (string, error) {
	t.Helper()
	w := clitest.New(time.Now(), interceptor.Funcs{}, objects...)
	w.In = in
	p, err := w.Run(t, func(f *frame.Frame) *cobra.Command {
		return newCommand(f, func() (podexec.Runner, error) {
			if asker == nil {
				t.Error("the runtimes are asked")
			}
			return asker, nil
		})
	}, args...)
	return p.Both.String(), err
}

func TestTheDifferenceBetweenTwoRevisionsIsShown(t *testing.T) {
	objects := append(history(t),
		podOn("node-a", "web-2", nil), podOn("node-a", "web-1", nil),
		podOn("node-b", "web-3", func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationStore] = v1alpha1.StorePod }),
		podOn("node-b", "web-4", func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationStore] = v1alpha1.StorePod }),
		podOn("node-c", "web-5", nil), podOn("node-d", "web-6", func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }),
		podOn("node-e", "plain", func(p *corev1.Pod) { p.Spec.InitContainers = nil }))
	asker := &runner{t: t, present: map[string]int64{"web-1": 1 << 20}, refuse: map[string]error{
		"web-5": apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web-5", errors.New("no right")),
	}}
	out, err := run(t, objects, asker, "", "models")
	clitest.WantExit(t, err, frame.ExitNegative)
	golden.Compare(t, "revisions.txt", out)
	if len(asker.asked) != 3 {
		t.Errorf("asked %v, want one pod of each node with a runtime that runs", asker.asked)
	}
}

func TestOnlyTheRequestedNumberOfNodesIsInspected(t *testing.T) {
	objects := append(history(t), podOn("node-a", "web-1", nil), podOn("node-b", "web-2", nil))
	asker := &runner{t: t}
	out, err := run(t, objects, asker, "", "models", "--nodes", "1", "-o", "json")
	clitest.WantExit(t, err, frame.ExitNegative)
	var r diff.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if len(asker.asked) != 1 || r.NotAsked != 1 || r.Total.BytesToMove != 3<<20 || len(r.Items) != 2 {
		t.Errorf("asked %v, got %+v", asker.asked, r)
	}
	if _, err := run(t, objects, nil, "", "models", "--no-files"); frame.Code(err) != frame.ExitNegative {
		t.Error(err)
	}
	if _, err := run(t, objects, nil, "", "models", "--no-files", "--exit-code=false"); err != nil {
		t.Error(err)
	}
}

func TestRevisionsAreChosenByNumberNameOrRollout(t *testing.T) {
	d := &v1alpha1.DataSet{Status: v1alpha1.DataSetStatus{CurrentRevision: "r1", UpdateRevision: "r3"}}
	all := []*appsv1.ControllerRevision{
		{ObjectMeta: metav1.ObjectMeta{Name: "r1"}, Revision: 1}, {ObjectMeta: metav1.ObjectMeta{Name: "r2"}, Revision: 4},
		{ObjectMeta: metav1.ObjectMeta{Name: "r3"}, Revision: 7},
	}
	settled := d.DeepCopy()
	settled.Status.CurrentRevision = "r3"
	first := d.DeepCopy()
	first.Status.CurrentRevision, first.Status.UpdateRevision = "r1", "r1"
	for name, c := range map[string]struct {
		d                        *v1alpha1.DataSet
		from, to, wantFrom, want string
	}{
		"a rollout":       {d, "", "", "r1", "r3"},
		"none":            {settled, "", "", "r2", "r3"},
		"the first":       {first, "", "", "r1", "r1"},
		"by number":       {d, "4", "1", "r2", "r1"},
		"by name":         {d, "r2", "", "r2", "r3"},
		"before that one": {d, "", "r2", "r1", "r2"},
	} {
		from, to, err := diff.ChooseRevisions(c.d, all, c.from, c.to)
		if err != nil || from.Name != c.wantFrom || to.Name != c.want {
			t.Errorf("%s: %v → %v, %v; want %s → %s", name, from, to, err, c.wantFrom, c.want)
		}
	}
	if _, _, err := diff.ChooseRevisions(d, all, "9", ""); err == nil {
		t.Error("a revision that is not there is found")
	}
	if _, _, err := diff.ChooseRevisions(d, nil, "", ""); err == nil {
		t.Error("no revision at all is found")
	}
}

const file = `apiVersion: v1
kind: Secret
metadata: {name: keys}
---
apiVersion: data.kuda.io/v1alpha1
kind: DataSet
metadata: {name: models}
spec:
  paused: true
  workloadSelector: {app: models}
  template:
    dataItems:
    - {namespace: default, name: weights, remotePath: models/v3, localPath: model, version: v3, dataSourceType: http}
    dataSources:
      http: {url: "http://files.shop"}
`

func TestAFileIsComparedWithTheDataSetInTheCluster(t *testing.T) {
	out, err := run(t, history(t), nil, file, "-f", "-", "--no-files")
	clitest.WantExit(t, err, frame.ExitNegative)
	golden.Compare(t, "file.txt", out)

	out, err = run(t, nil, nil, file, "-f", "-", "--no-files")
	clitest.WantExit(t, err, frame.ExitNegative)
	if !strings.Contains(out, "not in the cluster → standard input") || !strings.Contains(out, "+ item default/weights") {
		t.Error(out)
	}
}

func TestAFileThatEqualsTheClusterHasNoDifference(t *testing.T) {
	raw, err := json.Marshal(models("v2"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(t, history(t), nil, string(raw), "-f", "-")
	clitest.WantExit(t, err, frame.ExitDone)
	if !strings.Contains(out, "no difference") {
		t.Error(out)
	}
}

func TestInvalidArgumentsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		args []string
	}{
		"nothing":         {"", []string{"--no-files"}},
		"too much":        {file, []string{"-f", "-", "--from", "1"}},
		"no such DataSet": {"", []string{"other"}},
		"none in file":    {"kind: Secret", []string{"-f", "-"}},
		"a wrong field":   {strings.Replace(file, "paused", "pausd", 1), []string{"-f", "-"}},
		"negative":        {"", []string{"models", "--nodes", "-1"}},
	} {
		if _, err := run(t, history(t), nil, c.in, c.args...); frame.Code(err) != frame.ExitError {
			t.Errorf("%s: %v", name, err)
		}
	}
}
