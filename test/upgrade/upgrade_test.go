// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package upgrade

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	accessKey = "kudaadmin"
	secretKey = "kudaadmin-secret"
	// host is the machine as the cluster's pods see it; MinIO is there.
	host      = "10.200.0.1"
	node      = "node2"
	patience  = 90 * time.Second
	readers   = 3
	lookedFor = 4 << 10 // bytes by which a runtime may look at an object without fetching it
)

// releaseFrom returns the release whose manifest an environment variable names.
func releaseFrom(t *testing.T, variable string) Release {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s does not name a manifest: run by hack/upgrade.sh", variable)
	}
	r, err := ReadRelease(variable, path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newKube(t *testing.T) client.Client {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		t.Fatalf("no cluster: run by hack/upgrade.sh, or set KUBECONFIG: %v", err)
	}
	config.QPS = -1
	kube, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return kube
}

func newStorage(t *testing.T) Storage {
	t.Helper()
	server := url.URL{Scheme: "http", Host: host + ":9000"}
	c, err := minio.New(server.Host, &minio.Options{Creds: miniocreds.NewStaticV4(accessKey, secretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMeter(host+":0", server.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return Storage{Client: c, AccessKey: accessKey, SecretKey: secretKey, Meter: m}
}

// must ends the test when a step of it fails.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// phase is a part of the test that says how long it took.
func phase(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	began := time.Now()
	if !t.Run(name, f) {
		t.FailNow()
	}
	t.Logf("%s: %s", name, time.Since(began).Round(100*time.Millisecond))
}

// TestRunningPodsDoNotNoticeAnUpgradeAndADowngrade holds promise 12 at the whole
// system: pods of the earlier release, of the later one, and both under each.
func TestRunningPodsDoNotNoticeAnUpgradeAndADowngrade(t *testing.T) {
	earlier, later := releaseFrom(t, "KUDA_UPGRADE_FROM"), releaseFrom(t, "KUDA_UPGRADE_TO")
	ctx, kube, storage := t.Context(), newKube(t), newStorage(t)
	var (
		outer = t
		l     *Load
		w     *Witness
	)
	phase(t, "the earlier release delivers", func(t *testing.T) {
		must(t, RemoveBeyond(ctx, later, earlier)) // of a later one that was here before
		must(t, Install(ctx, earlier))
		var err error
		l, err = NewLoad(ctx, kube, storage)
		must(t, err)
		outer.Cleanup(func() { finish(outer, l) })
		must(t, l.Start(ctx, "public-earlier", Public, node, readers))
		must(t, l.Start(ctx, "private-earlier", Private, node, readers))
		delivered(t, l, "v1", readers)
		w, err = l.Watch(ctx)
		must(t, err)
	})
	phase(t, "the later release takes over", func(t *testing.T) {
		must(t, Install(ctx, later))
		must(t, w.Check(ctx))
		delivered(t, l, "v1", readers)
	})
	phase(t, "earlier runtimes deliver, run hooks and report to the later manager", func(t *testing.T) {
		must(t, l.SetVersion(ctx, "v2"))
		delivered(t, l, "v2", readers)
		must(t, w.Check(ctx))
	})
	phase(t, "later runtimes find what earlier ones stored", func(t *testing.T) {
		before := l.Read(Public)
		must(t, l.Start(ctx, "public-later", Public, node, readers))
		must(t, l.Start(ctx, "private-later", Private, node, readers))
		delivered(t, l, "v2", 2*readers)
		if again := l.Read(Public) - before; again > lookedFor {
			t.Errorf("%d bytes of public items that the node held were read again", again)
		}
		must(t, w.Check(ctx))
		var err error
		w, err = l.Watch(ctx) // the new ones too
		must(t, err)
	})
	phase(t, "the earlier release takes over again", func(t *testing.T) {
		must(t, Downgrade(ctx, later, earlier))
		must(t, w.Check(ctx))
		must(t, l.SetVersion(ctx, "v3"))
		delivered(t, l, "v3", 2*readers)
		must(t, w.Check(ctx))
	})
	phase(t, "and the later one for good", func(t *testing.T) {
		must(t, Install(ctx, later))
		must(t, l.SetVersion(ctx, "v4"))
		delivered(t, l, "v4", 2*readers)
		must(t, w.Check(ctx))
	})
}

// TestPodsOfAnEarlierInstallationAreToldApart removes the release and installs it again,
// with another authority. It takes some minutes, since a new leader gives runtimes two.
func TestPodsOfAnEarlierInstallationAreToldApart(t *testing.T) {
	release := releaseFrom(t, "KUDA_UPGRADE_TO")
	ctx, kube, storage := t.Context(), newKube(t), newStorage(t)
	must(t, Install(ctx, release))
	l, err := NewLoad(ctx, kube, storage)
	must(t, err)
	t.Cleanup(func() { finish(t, l) })
	must(t, l.Start(ctx, "public", Public, node, readers))
	must(t, l.Start(ctx, "private", Private, node, readers))
	delivered(t, l, "v1", readers)
	w, err := l.Watch(ctx)
	must(t, err)
	must(t, Uninstall(ctx, release))
	must(t, w.Check(ctx))
	must(t, Install(ctx, release))
	must(t, l.WaitStrangers(ctx, 5*time.Minute))
	must(t, w.Check(ctx))
}

// delivered waits until both DataSets are delivered to n pods each, and looks
// whether what they read is the version.
func delivered(t *testing.T, l *Load, version string, n int32) {
	t.Helper()
	for _, name := range []string{Public, Private} {
		must(t, l.WaitDelivered(t.Context(), name, n, patience))
		must(t, l.CheckVersion(t.Context(), name, version))
	}
}

// finish removes the load; of a failed test it first prints what someone who looks
// at it wants to see.
func finish(t *testing.T, l *Load) {
	ctx := context.Background() // the test's own has ended
	if t.Failed() {
		describe(ctx, t, l)
	}
	if err := l.Remove(ctx); err != nil {
		t.Errorf("removing the namespace: %v", err)
	}
}

func describe(ctx context.Context, t *testing.T, l *Load) {
	t.Helper()
	for _, args := range [][]string{
		{"-n", l.Namespace(), "get", "dataset,data,pods", "-o", "wide"},
		{"-n", l.Namespace(), "get", "data", "-o", "yaml"},
		{"-n", l.Namespace(), "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", l.Namespace(), "logs", "--all-containers", "--prefix", "--tail=40", "-l", "app"},
		{"-n", systemNamespace, "logs", "--prefix", "--tail=60", "-l", "app.kubernetes.io/part-of=kuda"},
		{"-n", systemNamespace, "get", "pods", "-o", "wide"},
	} {
		out, _ := kubectl(ctx, nil, args...)
		t.Log(fmt.Sprint(args) + "\n" + out)
	}
}
