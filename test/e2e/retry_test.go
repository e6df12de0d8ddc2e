// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// kubeletPatience is above what the kubelet takes to bring a changed Secret into a pod: a
// sync every 60 to 90 seconds, and a watch that tells of the Secret.
const kubeletPatience = 3 * time.Minute

// withOwnMount mounts the Secret into the application, too: the kubelet brings a change into
// all volumes of a pod in one pass, so the application's shows when it did.
func withOwnMount(p *corev1.Pod) *corev1.Pod {
	optional := true
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "keys", VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: credentials, Optional: &optional}}})
	p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "keys", MountPath: "/keys"})
	return p
}

// awaitMounted returns when the pod's own mount has the value, by exec.
func awaitMounted(t *testing.T, p corev1.Pod, value string) time.Time {
	t.Helper()
	var seen time.Time
	eventually(t, kubeletPatience, func(context.Context) error {
		out, err := tryKubectl("-n", p.Namespace, "exec", p.Name, "-c", "app", "--", "/e2e-app", "check", "/keys/secretKey")
		if err != nil || !strings.Contains(out, value) {
			return fmt.Errorf("the mount is not changed yet (%v)", err)
		}
		seen = time.Now()
		return nil
	})
	return seen
}

// awaitCompletion returns when the item of the namespace's only Data was delivered, as the
// API server shows it.
func awaitCompletion(t *testing.T, namespace string, timeout time.Duration) time.Time {
	t.Helper()
	var seen time.Time
	eventually(t, timeout, func(ctx context.Context) error {
		var list v1alpha1.DataList
		if err := kube.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].Status.Success != 1 {
			return fmt.Errorf("not delivered: %+v", list.Items)
		}
		seen = time.Now()
		return nil
	})
	return seen
}

// TestCorrectedSecretIsUsedWhenTheKubeletBringsIt measures both: when the mount changed in
// the pod, and when its data was there.
func TestCorrectedSecretIsUsedWhenTheKubeletBringsIt(t *testing.T) {
	store.put(t, "retry/secret.txt", []byte(delivered))
	for name, c := range map[string]struct {
		before *corev1.Secret
		reason string
		says   string
	}{
		"wrong-key": {&corev1.Secret{StringData: map[string]string{"accessKey": storageUser, "secretKey": "not-the-key"}},
			v1alpha1.ReasonAccessDenied, ""},
		"no-key": {&corev1.Secret{StringData: map[string]string{"accessKey": storageUser}},
			v1alpha1.ReasonCredentialsMissing, "has no key secretKey"},
		"no-secret": {nil, v1alpha1.ReasonCredentialsMissing, "is not there, or has not been mounted into this pod yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNamespace(t, nil)
			named := metav1.ObjectMeta{Namespace: ns, Name: credentials}
			if err := kube.Delete(t.Context(), &corev1.Secret{ObjectMeta: named}); err != nil {
				t.Fatal(err)
			}
			if c.before != nil {
				c.before.ObjectMeta = named
				create(t, c.before)
			}
			ds := dataSet(ns, name, item("x", "retry/secret.txt", "v1"))
			ds.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
			create(t, ds)
			create(t, withOwnMount(pod(ns, name, name, "wait")))
			if got := waitItem(t, ns, c.reason, 2*time.Minute); !strings.Contains(got.Message, c.says) {
				t.Errorf("message %q; want %q in it", got.Message, c.says)
			}
			waitRunning(t, ns, name, 1)
			right := &corev1.Secret{ObjectMeta: named, StringData: map[string]string{"accessKey": storageUser, "secretKey": storagePassword}}
			if c.before == nil {
				create(t, right)
			} else {
				kubectl(t, "-n", ns, "patch", "secret", credentials, "--type=merge", "-p",
					fmt.Sprintf(`{"stringData":{"accessKey":%q,"secretKey":%q}}`, storageUser, storagePassword))
			}
			corrected := time.Now()
			mounted := awaitMounted(t, pods(t, ns, name)[0], storagePassword)
			done := awaitCompletion(t, ns, 30*time.Second)
			t.Logf("the kubelet took %s, Kuda %s after it", mounted.Sub(corrected), done.Sub(mounted))
			if after := done.Sub(mounted); after > 5*time.Second {
				t.Errorf("delivered %s after the mount changed", after)
			}
		})
	}
}

// TestRetryOfAFailedItemActsWithinTwoSeconds corrects the source: nothing tells Kuda of that
// but the command.
func TestRetryOfAFailedItemActsWithinTwoSeconds(t *testing.T) {
	ns := newNamespace(t, nil)
	ds := dataSet(ns, "again", item("x", "retry/later-"+ns+".txt", "v1"))
	ds.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
	create(t, ds)
	create(t, pod(ns, "again", "again", "wait"))
	waitItem(t, ns, v1alpha1.ReasonNotFound, 2*time.Minute)
	store.put(t, "retry/later-"+ns+".txt", []byte(delivered))
	begun := time.Now()
	out := kudaCommand(t, "-n", ns, "retry", "again", "--wait=false")
	took := awaitCompletion(t, ns, 20*time.Second).Sub(begun)
	t.Logf("%s: delivered after %s", strings.TrimSpace(out), took)
	// The download and the command's own start are in it.
	if took > 2*time.Second {
		t.Errorf("delivered %s after the command began", took)
	}
	if out, code := kudaStatus(t, "-n", ns, "retry", "again"); code == 0 || !strings.Contains(out, "nothing failed") {
		t.Errorf("a retry where nothing failed ended with %d:\n%s", code, out)
	}
}

// TestAMissingSecretIsSaidThoughTheBytesAreOnTheNode takes the Secret away from a pod that
// has its data: it keeps it, and the next node would fail.
func TestAMissingSecretIsSaidThoughTheBytesAreOnTheNode(t *testing.T) {
	t.Parallel()
	store.put(t, "retry/shared.txt", []byte(delivered))
	ns := newNamespace(t, nil)
	ds := dataSet(ns, "shared", item("x", "retry/shared.txt", "v1"))
	create(t, ds)
	create(t, pod(ns, "first", "shared", "wait"))
	waitDelivered(t, ds, 1, time.Minute)
	credentialsAre := func(want metav1.ConditionStatus, timeout time.Duration) {
		t.Helper()
		eventually(t, timeout, func(ctx context.Context) error {
			var got v1alpha1.DataSet
			if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), &got); err != nil {
				return err
			}
			c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionCredentialsAvailable)
			if c == nil || c.Status != want || !meta.IsStatusConditionTrue(got.Status.Conditions, v1alpha1.ConditionReady) {
				return fmt.Errorf("conditions: %+v", got.Status.Conditions)
			}
			t.Logf("%s: %s", c.Reason, c.Message)
			return nil
		})
	}
	credentialsAre(metav1.ConditionTrue, 20*time.Second)
	gone := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: credentials}}
	if err := kube.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	credentialsAre(metav1.ConditionFalse, kubeletPatience)
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: credentials},
		StringData: map[string]string{"accessKey": storageUser, "secretKey": storagePassword}})
	credentialsAre(metav1.ConditionTrue, kubeletPatience)
}
