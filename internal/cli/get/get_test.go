// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package get

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
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
	"github.com/kuda-io/kuda/internal/insight/files"
	"github.com/kuda-io/kuda/internal/insight/podexec"
	"github.com/kuda-io/kuda/internal/inspection"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const digest = "sha256:608139e258708d20839827d3f823a66e8a59ee576a982193b63551ddd7ca6cb9"

type runner struct{ err error }

func (r runner) Run(_ context.Context, _ types.NamespacedName, args []string, _ []byte) ([]byte, error) {
	if strings.Join(args, " ") != "inspect data -o json" {
		return nil, errors.New("not understood")
	}
	if r.err != nil {
		return nil, r.err
	}
	return json.Marshal([]inspection.DataSet{
		{Name: "rules", Revision: "rules-1", Items: []inspection.Item{{Namespace: "default", Name: "all", Version: "7",
			Files: []inspection.File{{Path: "rules/a", Size: 1, Mode: "0600"}}}}},
		{Name: "models", Revision: "models-2",
			Items: []inspection.Item{{Namespace: "default", Name: "weights", Version: "v2", Files: []inspection.File{
				{Path: "model/b.bin", Size: 2048, Digest: digest, Mode: "0644"}, {Path: "model/a.bin", Size: 10, Digest: digest, Mode: "0755"},
			}}}},
	})
}

func objects() []client.Object {
	always := corev1.ContainerRestartPolicyAlways
	data := func(name, uid string) *v1alpha1.Data {
		return &v1alpha1.Data{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{
				v1alpha1.LabelDataSet: "models", v1alpha1.LabelPod: "web-0", v1alpha1.LabelPodUID: uid,
			}},
			Spec: v1alpha1.DataSpec{PodName: "web-0", DataItems: []v1alpha1.DataItem{{Namespace: "default", Name: "weights", LocalPath: "/model/"}}},
			Status: v1alpha1.DataStatus{CurrentRevision: "models-of-" + uid, DataItemsStatus: []v1alpha1.DataItemStatus{{
				Namespace: "default", Name: "weights", Version: "v2", Phase: v1alpha1.DataFailed, Reason: v1alpha1.ReasonHookFailed,
				Bytes: 2058, Digest: digest,
			}}},
		}
	}
	return []client.Object{
		data("new", "now"), data("old", "before"),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "plain"}},
		&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0", UID: "now",
				Annotations: map[string]string{v1alpha1.AnnotationInjected: "models"}},
			Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}},
		},
	}
}

func run(t *testing.T, r podexec.Runner, args ...string) (string, error) {
	t.Helper()
	p, err := clitest.New(time.Now(), interceptor.Funcs{}, objects()...).Run(t, func(f *frame.Frame) *cobra.Command {
		return newCommand(f, func() (podexec.Runner, error) { return r, nil })
	}, args...)
	return p.Both.String(), err
}

func TestFilesAreListedWithVersionSizeAndDigest(t *testing.T) {
	out, err := run(t, runner{}, "web-0")
	want := `DATASET   REVISION   ITEM              VERSION   SIZE      MODE   DIGEST                 FILE
models    models-2   default/weights   v2        10 B      0755   sha256:608139e25870…   model/a.bin
models    models-2   default/weights   v2        2.0 KiB   0644   sha256:608139e25870…   model/b.bin
rules     rules-1    default/all       7         1 B       0600                          rules/a
`
	if err != nil || out != want {
		t.Errorf("%v, got\n%swant\n%s", err, out, want)
	}
	out, err = run(t, runner{}, "web-0", "models", "-o", "wide")
	if err != nil || strings.Count(out, digest) != 2 || strings.Contains(out, "rules") {
		t.Errorf("%v, got\n%s", err, out)
	}
}

func TestTheReportedStatusIsShownWhenExecFails(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		note string
	}{
		"no right": {apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web-0", errors.New("no")), "you may not exec into the pod"},
		"older": {&podexec.ExitError{Code: 1, Complaint: `unknown command "inspect" for "kuda-runtime"`},
			"the pod's runtime is older than this command"},
		"failed": {&podexec.ExitError{Code: 1, Complaint: "the store is gone"}, "the store is gone"},
	} {
		out, err := run(t, runner{err: c.err}, "web-0")
		for _, want := range []string{"models-of-now", "failed (HookFailed)", "2.0 KiB", "note: " + c.note, "this is what the pod reported"} {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%s: %v, no %q in\n%s", name, err, want, out)
			}
		}
		if strings.Contains(out, "models-of-before") {
			t.Errorf("%s: shows the Data of the pod before\n%s", name, out)
		}
	}
	out, err := run(t, runner{err: errors.New("no")}, "web-0", "-o", "json")
	var v files.View
	if jsonErr := json.Unmarshal([]byte(out), &v); err != nil || jsonErr != nil || v.Source != files.FromStatus || v.Note == "" ||
		v.DataSets[0].Items[0].Path != "model" {
		t.Errorf("%v, %v: %+v", err, jsonErr, v)
	}
}

func TestAPodWithoutTheRuntimeIsAnError(t *testing.T) {
	for _, args := range [][]string{{"plain"}, {"gone"}, {"web-0", "other"}} {
		if out, err := run(t, runner{}, args...); frame.Code(err) != frame.ExitError {
			t.Errorf("%v: %v, printed\n%s", args, err, out)
		}
	}
}
