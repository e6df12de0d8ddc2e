// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// mountedVersion returns what tells the versions of a mounted Secret apart: the target
// of the link that the kubelet replaces.
func mountedVersion(p corev1.Pod, secret string) (string, error) {
	volume := ""
	for _, v := range p.Spec.Volumes {
		if v.Secret != nil && v.Secret.SecretName == secret {
			volume = v.Name
		}
	}
	link := path.Join("/var/lib/kubelet/pods", string(p.UID), "volumes/kubernetes.io~secret", volume, "..data")
	out, err := exec.Command(os.Getenv("KUDA_CLUSTER"), "node", "exec", p.Spec.NodeName, "--", "readlink", link).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("reading %s: %w: %s", link, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// deliveredAt returns when the test first sees that the DataSet's only pod has its data.
func deliveredAt(t *testing.T, ds *v1alpha1.DataSet, timeout time.Duration) time.Time {
	t.Helper()
	waitDelivered(t, ds, 1, timeout)
	return time.Now()
}

func TestACorrectedSecretIsUsedWithinFiveSecondsOfTheKubelet(t *testing.T) {
	t.Parallel()
	store.put(t, "corrected/x.txt", []byte(delivered))
	ns := newNamespace(t, nil)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: credentials}}
	setKey := func(key string) {
		t.Helper()
		if err := kube.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
			t.Fatal(err)
		}
		secret.StringData = map[string]string{"accessKey": storageUser, "secretKey": key}
		if err := kube.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	right := string(secret.Data["secretKey"])
	setKey("not-the-key")
	ds := dataSet(ns, "corrected", item("x", "corrected/x.txt", "v1"))
	create(t, ds)
	create(t, pod(ns, "corrected", "corrected", "wait"))
	waitItem(t, ns, v1alpha1.ReasonAccessDenied, time.Minute)
	// The pause between two tries grows beyond what this test allows.
	time.Sleep(40 * time.Second)
	p := pods(t, ns, "corrected")[0]
	before, err := mountedVersion(p, credentials)
	if err != nil {
		t.Fatal(err)
	}
	setKey(right)
	corrected := time.Now()
	eventually(t, 3*time.Minute, func(context.Context) error {
		switch now, err := mountedVersion(p, credentials); {
		case err != nil:
			return err
		case now == before:
			return fmt.Errorf("the kubelet has not brought the Secret yet")
		}
		return nil
	})
	mounted := time.Now()
	at := deliveredAt(t, ds, 30*time.Second)
	t.Logf("the kubelet took %s, Kuda %s", mounted.Sub(corrected).Round(time.Millisecond), at.Sub(mounted).Round(time.Millisecond))
	if at.Sub(mounted) > 5*time.Second {
		t.Errorf("delivered %s after the kubelet had brought the Secret, want at most 5s", at.Sub(mounted))
	}
}

func TestRetryOfAFailedItemActsWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	ds := dataSet(ns, "retried", item("x", "retried/x-"+ns+".txt", "v1"))
	create(t, ds)
	create(t, pod(ns, "retried", "retried", "wait"))
	waitItem(t, ns, v1alpha1.ReasonNotFound, time.Minute)
	time.Sleep(40 * time.Second)
	store.put(t, "retried/x-"+ns+".txt", []byte(delivered))
	asked := time.Now()
	out := kudaCommand(t, "-n", ns, "retry", "retried")
	at := deliveredAt(t, ds, 30*time.Second)
	t.Logf("%q, delivered after %s", strings.TrimSpace(out), at.Sub(asked).Round(time.Millisecond))
	if at.Sub(asked) > 2*time.Second {
		t.Errorf("delivered %s after retry, want at most 2s", at.Sub(asked))
	}
	out, code := kudaStatus(t, "-n", ns, "retry", "retried")
	if code == 0 || !strings.Contains(out, "nothing") {
		t.Errorf("retry of what has not failed ended with %d: %s", code, out)
	}
}
