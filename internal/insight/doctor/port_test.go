// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Most containers leave no termination message; their logs say why they end.
func TestAPortConflictIsFoundInTheLogOfTheApplication(t *testing.T) {
	crashing := podOf("web-1", time.Hour, func(p *corev1.Pod) {
		p.Spec.InitContainers[0].Env = []corev1.EnvVar{{Name: sidecar.EnvServerPort, Value: "8888"}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{
			{Name: "main", RestartCount: 3, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}},
			{Name: "steady", RestartCount: 3, Ready: true,
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}},
			{Name: "seldom", RestartCount: 1,
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}},
			{Name: "done", RestartCount: 9, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}},
		}
	})
	for name, c := range map[string]struct {
		words string
		err   error
		want  advice.Severity
	}{
		"the port":     {"OSError: [Errno 98] Address already in use: ('0.0.0.0', 8888)", nil, advice.Problem},
		"another port": {"OSError: [Errno 98] Address already in use: ('0.0.0.0', 80)", nil, advice.Warning},
		"another word": {"serving on 8888\npanic", nil, advice.Warning},
		"no right":     {"", errors.New("forbidden"), advice.Warning},
	} {
		s := &subject{dataSet: dataSet("shop", "models"), now: now, pods: fact[[]corev1.Pod]{value: []corev1.Pod{*crashing}}}
		s.readEndings(t.Context(), func(_ context.Context, namespace, pod, container string, previous bool) (string, error) {
			if namespace != "shop" || pod != "web-1" || container != "main" || !previous {
				t.Errorf("%s: asked for %s/%s %s, previous %t", name, namespace, pod, container, previous)
			}
			return c.words, c.err
		})
		got := checkPorts(s)
		if len(got) != 1 || got[0].Severity != c.want || !strings.Contains(got[0].What, "container main ends again and again") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A container whose state is Terminated has not been started again: the log of the
// instance before it may be gone.
func TestTheLogOfTheInstanceThatEndedLastIsRead(t *testing.T) {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}
	for name, c := range map[string]struct {
		state    corev1.ContainerState
		previous bool
	}{
		"ended":   {ended, false},
		"waits":   {corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}, true},
		"running": {corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, true},
	} {
		p := podOf("web-1", time.Hour, func(*corev1.Pod) {})
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: 4, State: c.state, LastTerminationState: ended}}
		s := &subject{dataSet: dataSet("shop", "models"), now: now, pods: fact[[]corev1.Pod]{value: []corev1.Pod{*p}}}
		s.readEndings(t.Context(), func(_ context.Context, _, _, _ string, previous bool) (string, error) {
			if previous != c.previous {
				t.Errorf("%s: previous %t", name, previous)
			}
			return "", nil
		})
		if len(s.endings) != 1 || strings.HasSuffix(judgeEnding(s.endings[0]).Do[0], " --previous") != c.previous {
			t.Errorf("%s: %+v", name, s.endings)
		}
	}
}

func TestLogsAreAskedForAsTheAPIServerWantsIt(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/api/v1/namespaces/shop/pods/web-1/log" || q.Get("container") != "main" || q.Get("previous") != "true" ||
			q.Get("tailLines") != "20" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte("the end"))
	}))
	defer server.Close()
	logs, err := readLogs(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := logs(t.Context(), "shop", "web-1", "main", true); err != nil || got != "the end" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestASourceOnLoopbackIsFound(t *testing.T) {
	for setting, want := range map[string]bool{
		"": false, "http://minio.storage:9000": false, "http://127.0.0.1:19000": true, "localhost:5000": true, "http://LOCALHOST/x": true,
		"[::1]:8020": true, "127.0.0.2": true, "http://[::ffff:127.0.0.1]": true, "10.0.0.1:9000": false, "://": false,
	} {
		got := loopbackSource(&v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: setting}})
		if (got != "") != want {
			t.Errorf("%q: %q", setting, got)
		}
	}
}
