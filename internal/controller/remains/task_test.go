// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

var now = time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)

func TestOnlyWhatIsGoneIsRemoved(t *testing.T) {
	here := v1alpha1.NodeStoreStatus{
		Closed: true,
		Stores: []v1alpha1.NamespaceStore{{Namespace: "alive", NamespaceUID: "1"}, {Namespace: "dropped-soon", NamespaceUID: "2"}},
		Directories: []v1alpha1.StoreDirectory{
			{Namespace: "alive", UID: ""}, {Namespace: "alive", UID: "1"}, {Namespace: "gone", UID: ""}, {Namespace: "gone", UID: "3"},
			{Namespace: "made-again", UID: "4"}, {Namespace: "made-again", UID: "5"},
		},
	}
	uids := map[string]types.UID{"alive": "1", "made-again": "5"}
	var got []string
	for _, t := range pendingTasks(&here, uids) {
		got = append(got, t.String())
	}
	want := []string{"remove gone --name-is-gone", "remove gone --uid=3 --name-is-gone", "remove made-again --uid=4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	here.Closed = false
	if first := pendingTasks(&here, uids)[0]; first.String() != "close" {
		t.Errorf("a node that is open: first %q", first)
	}
	if todo := pendingTasks(&v1alpha1.NodeStoreStatus{}, nil); len(todo) != 0 {
		t.Errorf("a node without stores: %v", todo)
	}
}

func TestATaskThatIsDoneIsForgottenAndNoOther(t *testing.T) {
	before := v1alpha1.NodeStoreStatus{Directories: []v1alpha1.StoreDirectory{{Namespace: "a", UID: "1"}, {Namespace: "a", UID: "2"},
		{Namespace: "b", UID: "1"}}}
	after := task{namespace: "a", uid: "1", nameIsGone: true}.statusAfter(before)
	if !after.Closed || !slices.Equal(after.Directories, before.Directories[1:]) {
		t.Errorf("after removing: %+v", after)
	}
	if after = (task{}).statusAfter(before); !after.Closed || len(after.Directories) != 3 {
		t.Errorf("after closing: %+v", after)
	}
}

func TestAPodIsJudgedByItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		status corev1.PodStatus
		age    time.Duration
		want   verdict
		why    string
	}{
		"new":         {corev1.PodStatus{Phase: corev1.PodPending}, time.Second, working, ""},
		"at work":     {corev1.PodStatus{Phase: corev1.PodRunning}, deadline, working, ""},
		"done":        {corev1.PodStatus{Phase: corev1.PodSucceeded}, 2 * patience, succeeded, ""},
		"refused":     {corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfmemory"}, time.Second, failed, "OutOfmemory"},
		"overdue":     {corev1.PodStatus{Phase: corev1.PodFailed, Reason: "DeadlineExceeded"}, deadline, failed, "DeadlineExceeded"},
		"never began": {corev1.PodStatus{Phase: corev1.PodPending}, patience + time.Second, failed, "did not end"},
		"in use": {corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "pod u still uses it\n"}},
		}}}, time.Second, failed, "pod u still uses it"},
		"no image": {corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}},
		}}}, patience + time.Second, failed, "ImagePullBackOff"},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-c.age))}, Status: c.status}
		if got, why := podVerdict(p, now); got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %d, %q", name, got, why)
		}
	}
}

func TestAFailureIsTriedAgainLaterAndLater(t *testing.T) {
	var f failures
	a, b := task{namespace: "a"}, task{namespace: "b"}
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		if got := f.recordFailure("n", a, now); got != want || f.remainingWait("n", a, now.Add(want-time.Second)) != time.Second ||
			f.remainingWait("n", a, now.Add(want)) != 0 {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if f.remainingWait("n", b, now) != 0 || f.remainingWait("m", a, now) != 0 {
		t.Error("another task waits too")
	}
	if f.clearFailure("n", a); f.recordFailure("n", a, now) != time.Minute {
		t.Error("a success is not remembered")
	}
	if f.forgetNode("n"); f.remainingWait("n", a, now) != 0 || backoffAfter(100) != maxBackoff {
		t.Error("a node that is gone is remembered, or the pause has no end")
	}
}
