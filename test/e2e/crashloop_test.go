// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// deadlyServer serves /good; whoever asks for /deadly is killed before there is an
// answer, as by a fault of its own on what it reads. victim is the UID of the pod.
func deadlyServer(t *testing.T, victim *atomic.Value, deaths *atomic.Int32) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"good"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(delivered))
	})
	mux.HandleFunc("/deadly", func(_ http.ResponseWriter, r *http.Request) {
		if uid, _ := victim.Load().(string); uid != "" && kill(t, "kuda-runtime", uid) > 0 {
			deaths.Add(1)
		}
		<-r.Context().Done()
	})
	listener, err := net.Listen("tcp", bridgeAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// A runtime that dies on an item remembers the item, and so dies again after each
// start. The status and doctor must say so, though what was reported last is a
// success; the application must keep what it has; and setting the DataSet back must
// heal the pod without a hand.
func TestRuntimeThatAnItemKillsAgainAndAgainHealsBySettingTheDataSetBack(t *testing.T) {
	t.Parallel()
	var victim atomic.Value
	var deaths atomic.Int32
	ns := newNamespace(t, nil)
	file := item("x", "good", "v1")
	file.DataSourceType = v1alpha1.DataSourceHTTP
	ds := dataSet(ns, "deadly", file)
	ds.Spec.Template.DataSources = v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: deadlyServer(t, &victim, &deaths)}}
	create(t, ds)
	create(t, pod(ns, "deadly", "deadly", "wait"))
	waitDelivered(t, ds, 1, 2*time.Minute)
	live := pods(t, ns, "deadly")[0]
	inPod(t, live, "check", "/kuda/data/x") // once its application runs
	victim.Store(string(live.UID))

	setVersion(t, ds, 0, "v2", "deadly")
	// The kubelet waits longer before each start: 10, 20, 40 s.
	eventually(t, 4*time.Minute, func(ctx context.Context) error {
		var got v1alpha1.DataSet
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), &got); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionFalse || !strings.Contains(ready.Message, "ends again and again") ||
			!strings.Contains(ready.Message, live.Name) {
			return fmt.Errorf("after %d deaths the DataSet's Ready condition is %+v", deaths.Load(), ready)
		}
		return nil
	})
	// Between a start and the next death the container is ready for a moment, which
	// changes nothing of what is said.
	if out, code := kudaStatus(t, "doctor", "deadly", "-n", ns); code == 0 || !strings.Contains(out, "ends again and again") {
		t.Errorf("doctor ended with %d and said:\n%s", code, out)
	}
	// The phase of a pod whose sidecar does not run is Pending; its application runs.
	if got, err := tryKubectl("-n", ns, "exec", live.Name, "-c", "app", "--", "/e2e-app", "check", "/kuda/data/x"); err != nil ||
		got != delivered {
		t.Errorf("the application reads %q, %v", got, err)
	}

	setVersion(t, ds, 0, "v1", "good")
	// The kubelet's next start may be 160 s away, and what has died so often counts as
	// living after a minute.
	waitDelivered(t, ds, 1, 6*time.Minute)
	after := deaths.Load()
	eventually(t, time.Minute, func(context.Context) error {
		if out, code := kudaStatus(t, "doctor", "deadly", "-n", ns); code != 0 {
			return fmt.Errorf("doctor ended with %d and said:\n%s", code, out)
		}
		return nil
	})
	if now := deaths.Load(); now != after {
		t.Errorf("the runtime died %d times more after it was healed", now-after)
	}
	if n := restarts(pods(t, ns, "deadly")); n != 0 {
		t.Errorf("the application was restarted %d times", n)
	}
}
