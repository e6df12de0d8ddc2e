// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// text asks a pod for a page.
func text(ctx context.Context, p corev1.Pod, port int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/", p.Status.PodIP, port), nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestExampleNginxIsReloadedFromTheDeliveredFile(t *testing.T) { exampleNginx(t, minioOrigin()) }

func exampleNginx(t *testing.T, o origin) {
	ns := newNamespace(t, nil)
	dir := "../../examples/nginx/"
	put := func(file string) {
		t.Helper()
		content, err := os.ReadFile(dir + file)
		if err != nil {
			t.Fatal(err)
		}
		o.put(t, "conf/test.conf", content)
	}
	put("test.conf")
	o.apply(t, ns, dir)
	ds := dataSet(ns, "dataset-nginx")
	waitDelivered(t, ds, 1, time.Minute)
	before := pods(t, ns, "nginx")[0]
	answers := func(want string) {
		t.Helper()
		eventually(t, 10*time.Second, func(ctx context.Context) error {
			if got, err := text(ctx, before, 8081); err != nil || got != want {
				return fmt.Errorf("nginx answers %q (%v), want %q", got, err, want)
			}
			return nil
		})
	}
	answers("version 1\n")
	put("test-v2.conf")
	setVersion(t, ds, 0, "v0.0.2", "")
	waitDelivered(t, ds, 1, time.Minute)
	answers("version 2\n")
	after := pods(t, ns, "nginx")
	if len(after) != 1 || after[0].UID != before.UID || restarts(after) != 0 {
		t.Error("the pod was replaced or restarted")
	}
}

func TestExampleModelServerHoldsTheVersionOfTheDataSet(t *testing.T) { exampleModel(t, minioOrigin()) }

func exampleModel(t *testing.T, o origin) {
	ns := newNamespace(t, nil)
	dir := "../../examples/model/"
	for _, v := range []string{"v1", "v2"} {
		local := filepath.Join(t.TempDir(), v)
		if err := command(dir+"make-model.sh", v, local, "4", "8"); err != nil {
			t.Fatal(err)
		}
		o.putTree(t, "models/demo/"+v, local)
	}
	o.apply(t, ns, dir)
	ds := dataSet(ns, "dataset-model")
	waitDelivered(t, ds, 2, time.Minute)
	holds := func(want string) {
		t.Helper()
		for _, p := range pods(t, ns, "model-server") {
			eventually(t, 30*time.Second, func(ctx context.Context) error {
				var model struct{ Version string }
				if err := getJSON(ctx, p, "/version", &model); err != nil || model.Version != want {
					return fmt.Errorf("pod %s holds %q (%v), want %s", p.Name, model.Version, err, want)
				}
				return nil
			})
		}
	}
	holds("v1")
	setVersion(t, ds, 0, "v2", "/models/demo/v2/")
	waitDelivered(t, ds, 2, time.Minute)
	holds("v2")
	if n := restarts(pods(t, ns, "model-server")); n != 0 {
		t.Errorf("servers were restarted %d times", n)
	}
}

// What a reader copies from the page is what runs here.
func TestQuickStartWorksAsWritten(t *testing.T) {
	page, err := os.ReadFile("../../docs/quick-start.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "<!-- e2e: start -->")
	body, _, ended := strings.Cut(rest, "<!-- e2e: end -->")
	if !ok || !ended {
		t.Fatal("docs/quick-start.md lacks the marks of what is to be run")
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	inBlock := false
	for line := range strings.Lines(body) {
		switch {
		case strings.HasPrefix(line, "```sh"):
			inBlock = true
		case strings.HasPrefix(line, "```"):
			inBlock = false
		case inBlock:
			script.WriteString(line)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-x", "-c", script.String())
	shell.Dir = "../.."
	shell.Env = append(os.Environ(), "PATH="+filepath.Dir(os.Getenv("KUDA_CLUSTER"))+":"+os.Getenv("PATH"))
	out, err := shell.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the quick start does not work as written: %v", err)
	}
}
