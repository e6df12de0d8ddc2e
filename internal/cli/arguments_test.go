// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// named is a cluster with a DataSet models, a pod web-0 and its Data.
func named(t *testing.T) *fixture {
	t.Helper()
	return cluster(t, interceptor.Funcs{}, append(rollout(t),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0"}},
		&v1alpha1.Data{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models-web-0-1", Labels: map[string]string{
			v1alpha1.LabelDataSet: "models"}}, Spec: v1alpha1.DataSpec{PodName: "web-0"}},
		&v1alpha1.Data{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hand-made"}},
	)...)
}

func TestNamesAreTakenWithTheirKind(t *testing.T) {
	for _, name := range []string{"models", "dataset/models", "datasets/models", "DataSet/models", "dataset.data.kuda.io/models",
		"datasets.v1alpha1.data.kuda.io/models", "data/models-web-0-1", "datas.data.kuda.io/models-web-0-1"} {
		for _, command := range [][]string{{"status"}, {"history"}, {"pause"}, {"undo", "--dry-run=client"}, {"diff", "--no-files"}} {
			out, errOut, code := named(t).run(t, append(command, name)...)
			if code == frame.ExitError || strings.Contains(out, "/models-web") {
				t.Errorf("%v %s: exit code %d, printed %s%s", command, name, code, out, errOut)
			}
		}
	}
	for _, name := range []string{"web-0", "pod/web-0", "pods/web-0", "po/web-0", "data/models-web-0-1"} {
		for _, command := range []string{"get", "why"} {
			// What follows the names is not of interest here: the pod has no runtime and no DataSet.
			if _, errOut, _ := named(t).run(t, command, name); !strings.Contains(errOut, "pod web-0") || strings.Contains(errOut, "there is no") {
				t.Errorf("%s %s: printed %s", command, name, errOut)
			}
		}
	}
}

func TestAnArgumentThatIsNoneIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		"history":                    "history needs the name of a DataSet: kubectl kuda history NAME",
		"get":                        "get needs the name of a pod: kubectl kuda get POD [DATASET]",
		"history models rules":       `history does not take "rules"; it is used so: kubectl kuda history NAME`,
		"options now":                `options takes no arguments, and got "now"`,
		"status dataste/models":      `there is no kind "dataste"; did you mean dataset?`,
		"status deployment/web":      `there is no kind "deployment"`,
		"status dataset/":            `"dataset/" is not KIND/NAME, such as dataset/models`,
		"status dataset/a/b":         `"dataset/a/b" is not KIND/NAME`,
		"status dataset.apps/models": `there is no group "apps" of the kind dataset`,
		"status pod/web-0": "status takes a DataSet, and web-0 is a pod; what it has of which DataSets is listed by: " +
			"kubectl kuda get web-0",
		"why dataset/models":             "why takes a pod, and models is a DataSet; its pods are listed by: kubectl kuda status models",
		"status modles":                  "there is no DataSet modles in namespace shop; did you mean models?",
		"status images":                  "there is no DataSet images in namespace shop; choose another namespace by -n",
		"status data/models-web-0-2":     "there is no Data models-web-0-2 in namespace shop; did you mean models-web-0-1?",
		"status data/hand-made":          "the Data hand-made does not say of which DataSet it is",
		"get web0":                       "there is no pod web0 in namespace shop; did you mean web-0?",
		"stauts models":                  `there is no command "stauts"; did you mean status? All are listed by: kubectl kuda --help`,
		"xyzxyz":                         `there is no command "xyzxyz". All are listed by: kubectl kuda --help`,
		"status models --timeuot 1m":     "status has no flag --timeuot; did you mean --timeout? All are listed by: kubectl kuda status --help",
		"status models --namespcae shop": "did you mean --namespace?",
		"status models -z":               "status has no flag -z. All are listed by: kubectl kuda status --help",
	} {
		_, errOut, code := named(t).run(t, strings.Fields(line)...)
		if code != frame.ExitError || !strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit code %d, printed %q, want %q", line, code, errOut, want)
		}
	}
}

func TestNamesAreCompletedWithTheirKind(t *testing.T) {
	for _, test := range []struct {
		line, want string
	}{
		{"__complete status dataset/mo", "dataset/models\n:4\n"},
		{"__complete why pod/w", "pod/web-0\n:4\n"},
		{"__complete why dataset/w", ":4\n"},
		{"__complete undo dataset/models --to-revision 2", "2\tweights v2\n:36\n"},
	} {
		out, _, code := named(t).run(t, strings.Fields(test.line)...)
		if code != 0 || out != test.want {
			t.Errorf("%s: exit code %d, printed %q", test.line, code, out)
		}
	}
}
