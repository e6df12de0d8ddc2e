// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	store = sidecar.CSIKindStore
	view  = sidecar.CSIKindView
)

func TestPodsOfANamespaceShareAStoreAndOthersDoNot(t *testing.T) {
	n := newNode(t)
	elsewhere := func(r *csiv1.NodePublishVolumeRequest) { r.VolumeContext[contextNamespace] = "bank" }
	later := func(r *csiv1.NodePublishVolumeRequest) {
		r.VolumeContext[sidecar.AttributeNamespaceUID] = strings.Replace(namespaceUID, "9999", "8888", 1)
	}
	must(t, n.publish(podUID, store), n.publish(otherPod, store), n.publish(podNumber(1), store, elsewhere),
		n.publish(podNumber(2), store, later))
	first := stat(t, n.path(podUID, store))
	if second := stat(t, n.path(otherPod, store)); first.Ino != second.Ino {
		t.Error("two pods of a namespace have two stores")
	}
	for _, i := range []int{1, 2} {
		if other := stat(t, n.path(podNumber(i), store)); other.Ino == first.Ino {
			t.Errorf("the namespace of pod %d has the store of another", i)
		}
	}
	if first.Uid != sidecar.RuntimeUser || first.Gid != sidecar.RuntimeUser || first.Mode&0o777 != modeClosed {
		t.Errorf("the store is %d:%d, %o", first.Uid, first.Gid, first.Mode)
	}
	for _, dir := range []string{"", "shop", "bank"} {
		st := stat(t, filepath.Join(n.options.Base, sidecar.NodeStoresDir, dir))
		if st.Uid != sidecar.RuntimeUser || st.Mode&0o777 != modeClosed {
			t.Errorf("%q is of user %d, %o", dir, st.Uid, st.Mode)
		}
	}
}

func TestThePodsViewIsReadOnlyAndItsStoreIsNot(t *testing.T) {
	n := newNode(t)
	must(t, n.publish(podUID, store), n.publish(podUID, view))
	onDisk := filepath.Join(n.store(), "pods", podUID, "view")
	if a, b := stat(t, n.path(podUID, view)), stat(t, onDisk); a.Ino != b.Ino || a.Uid != sidecar.RuntimeUser || a.Mode&0o777 != modeOpen {
		t.Errorf("the view is inode %d of user %d, %o", a.Ino, a.Uid, a.Mode)
	}
	must(t, os.WriteFile(filepath.Join(n.path(podUID, store), "pods", podUID, "view", "f"), []byte("x"), 0o644))
	if text, err := os.ReadFile(filepath.Join(n.path(podUID, view), "f")); err != nil || string(text) != "x" {
		t.Errorf("the view has %q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(n.path(podUID, view), "g"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing to the view: %v", err)
	}
	const always = unix.ST_NOSUID | unix.ST_NODEV
	if f := flagsOf(t, n.path(podUID, store)); f != always {
		t.Errorf("the store's flags are %x", f)
	}
	if f := flagsOf(t, n.path(podUID, view)); f != always|unix.ST_RDONLY {
		t.Errorf("the view's flags are %x", f)
	}
}

func TestAStoreThatIsAskedForReadOnlyIsReadOnly(t *testing.T) {
	n := newNode(t)
	must(t, n.publish(podUID, store, func(r *csiv1.NodePublishVolumeRequest) { r.Readonly = true }))
	if err := os.WriteFile(filepath.Join(n.path(podUID, store), "g"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing: %v", err)
	}
}

func TestAsManyCallsAsTheKubeletMakesLeaveOneMountAndThenNone(t *testing.T) {
	n := newNode(t)
	for range 3 {
		must(t, n.publish(podUID, store), n.publish(podUID, view))
	}
	if a, b := n.mounts(n.path(podUID, store)), n.mounts(n.path(podUID, view)); a != 1 || b != 1 {
		t.Errorf("%d and %d mounts", a, b)
	}
	must(t, os.WriteFile(filepath.Join(n.path(podUID, store), "f"), nil, 0o644))
	for range 3 {
		must(t, n.unpublish(podUID, store), n.unpublish(podUID, view))
	}
	for _, kind := range []string{store, view} {
		if _, err := os.Lstat(n.path(podUID, kind)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the target of the %s stays: %v", kind, err)
		}
	}
	stat(t, filepath.Join(n.store(), "f"))
	must(t, os.RemoveAll(filepath.Join(podsDir(n.options.KubeletDir), podUID)), n.unpublish(podUID, store))
}

func TestNothingIsDeletedBelowATarget(t *testing.T) {
	n := newNode(t)
	must(t, os.MkdirAll(n.path(podUID, store), 0o755), os.WriteFile(filepath.Join(n.path(podUID, store), "f"), nil, 0o644))
	if err := n.unpublish(podUID, store); err == nil {
		t.Error("a target that is not empty was removed")
	}
	stat(t, filepath.Join(n.path(podUID, store), "f"))
}

func TestMountsOnEachOtherAllGo(t *testing.T) {
	n := newNode(t)
	must(t, n.publish(podUID, store))
	path := n.path(podUID, store)
	must(t, unix.Mount("tmpfs", path, "tmpfs", 0, ""), n.unpublish(podUID, store))
	if n.mounts(path) != 0 {
		t.Error("one stays")
	}
}

// TestWhatIsMountedReachesOtherProcesses looks from a process that got a copy of the
// mounts before, as a container runtime has.
func TestWhatIsMountedReachesOtherProcesses(t *testing.T) {
	n := newNode(t)
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	stdin, err := cmd.StdinPipe()
	must(t, err, cmd.Start())
	defer func() { _ = stdin.Close(); _ = cmd.Wait() }()
	mountinfo := func() string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", cmd.Process.Pid))
		must(t, err)
		return string(text)
	}
	must(t, n.publish(podUID, store))
	if !strings.Contains(mountinfo(), n.path(podUID, store)) {
		t.Error("it does not")
	}
	must(t, n.unpublish(podUID, store))
	if strings.Contains(mountinfo(), n.path(podUID, store)) {
		t.Error("it stays there")
	}
}

func TestADriverWhoseMountsReachNoOtherProcessDoesNotStart(t *testing.T) {
	o := newDirectories(t)
	must(t, unix.Mount("", podsDir(o.KubeletDir), "", unix.MS_PRIVATE, ""))
	d, err := New(o)
	must(t, err)
	if err := d.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "Bidirectional") {
		t.Errorf("got %v", err)
	}
}

func TestAFileSystemMountedLaterIsUsed(t *testing.T) {
	n := newNode(t)
	must(t, unix.Mount("tmpfs", n.options.Base, "tmpfs", 0, "mode=0700"))
	t.Cleanup(func() { _ = unix.Unmount(n.options.Base, unix.MNT_DETACH) })
	must(t, n.publish(podUID, store))
	if a, b := stat(t, n.path(podUID, store)), stat(t, n.options.Base); a.Dev != b.Dev {
		t.Error("the store is on the disk below")
	}
}

func TestAFullDiskIsSaidAndLeavesNothing(t *testing.T) {
	n := newNode(t)
	must(t, unix.Mount("tmpfs", n.options.Base, "tmpfs", 0, "mode=0700,nr_inodes=5"))
	t.Cleanup(func() { _ = unix.Unmount(n.options.Base, unix.MNT_DETACH) })
	err := n.publish(podUID, store)
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(n.path(podUID, store)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the target stays: %v", err)
	}
	must(t, unix.Mount("tmpfs", n.options.Base, "", unix.MS_REMOUNT, "nr_inodes=100"), n.publish(podUID, store))
}

func TestACallThatHangsStopsNoOther(t *testing.T) {
	n := newNode(t)
	n.driver.busy.Store(target{podUID, sidecar.VolumeStore}, nil)
	if err := n.publish(podUID, store); connect.CodeOf(err) != connect.CodeAborted {
		t.Errorf("a second call for the same volume: %v", err)
	}
	if err := n.unpublish(podUID, store); connect.CodeOf(err) != connect.CodeAborted {
		t.Errorf("its end meanwhile: %v", err)
	}
	must(t, n.publish(podUID, view), n.publish(otherPod, store))
	n.driver.busy.Delete(target{podUID, sidecar.VolumeStore})
	must(t, n.publish(podUID, store))
}

func TestManyPodsStartAndEndAtOnce(t *testing.T) {
	const pods = 200
	n := newNode(t)
	each := func(f func(pod string) error) time.Duration {
		began := time.Now()
		var all sync.WaitGroup
		errs := make([]error, pods)
		for i := range pods {
			all.Go(func() { errs[i] = f(podNumber(i)) })
		}
		all.Wait()
		must(t, errs...)
		return time.Since(began)
	}
	took := each(func(pod string) error { return errors.Join(n.publish(pod, store), n.publish(pod, view)) })
	t.Logf("%d volumes were published in %v", 2*pods, took)
	for i := range pods {
		if n.mounts(n.path(podNumber(i), view)) != 1 {
			t.Fatalf("pod %d has no view", i)
		}
	}
	took = each(func(pod string) error { return errors.Join(n.unpublish(pod, view), n.unpublish(pod, store)) })
	t.Logf("and unpublished in %v", took)
	if text, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(text), "kubernetes.io~csi") {
		t.Error("mounts stay")
	}
}

func TestAPodSeesTheUserThatTheVolumeNames(t *testing.T) {
	n := newNode(t)
	for i, user := range []string{"1000650000", "1000660000", "65532"} {
		pod := podNumber(i)
		must(t, n.publish(pod, store, func(r *csiv1.NodePublishVolumeRequest) { r.VolumeContext[sidecar.AttributeUser] = user }))
		must(t, n.publish(pod, view, func(r *csiv1.NodePublishVolumeRequest) { r.VolumeContext[sidecar.AttributeUser] = user }))
		// A second call finds it done.
		must(t, n.publish(pod, store, func(r *csiv1.NodePublishVolumeRequest) { r.VolumeContext[sidecar.AttributeUser] = user }))
		if n.mounts(n.path(pod, store)) != 1 {
			t.Error("two mounts")
		}
		script := `set -e; umask 077; cd /proc/self/fd/3
			for f in file-*; do [ ! -e "$f" ] || cat "$f"; done
			echo x > file-$1; ln file-$1 link-$1; stat -c %u file-$1`
		cmd := exec.Command("sh", "-c", script, "sh", user)
		dir, err := os.Open(n.path(pod, store))
		must(t, err)
		defer dir.Close()
		cmd.ExtraFiles = []*os.File{dir}
		var uid uint32
		_, err = fmt.Sscan(user, &uid)
		must(t, err)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), user+"\n") {
			t.Errorf("user %s: %v: %s", user, err, out)
		}
		st := stat(t, filepath.Join(n.store(), "file-"+user))
		if st.Uid != sidecar.RuntimeUser || st.Gid != sidecar.RuntimeUser || st.Nlink != 2 {
			t.Errorf("on the disk the file of user %s is %d's", user, st.Uid)
		}
	}
}

func TestKernelsBeforeUserMappingsMountWithTheSameFlags(t *testing.T) {
	n := newNode(t)
	n.driver.attachTree = func(int, int, volume) error { return unix.ENOSYS }
	must(t, n.publish(podUID, view))
	if f := flagsOf(t, n.path(podUID, view)); f != unix.ST_NOSUID|unix.ST_NODEV|unix.ST_RDONLY {
		t.Errorf("the view's flags are %x", f)
	}
	must(t, n.unpublish(podUID, view))
	err := n.publish(podUID, store, func(r *csiv1.NodePublishVolumeRequest) { r.VolumeContext[sidecar.AttributeUser] = "1000650000" })
	if err == nil || !strings.Contains(err.Error(), "5.12") || n.mounts(n.path(podUID, store)) != 0 {
		t.Errorf("another user: %v", err)
	}
}

func TestAVolumeThatWasHalfPublishedIsPublishedWhole(t *testing.T) {
	n := newNode(t)
	must(t, n.publish(podUID, store))
	path := n.path(podUID, view)
	must(t, os.MkdirAll(path, 0o750), unix.Mount(filepath.Join(n.store(), "pods", podUID, "view"), path, "", unix.MS_BIND, ""))
	must(t, n.publish(podUID, view))
	if f := flagsOf(t, path); f&unix.ST_RDONLY == 0 || n.mounts(path) != 1 {
		t.Errorf("the view's flags are %x, of %d mounts", f, n.mounts(path))
	}
	// The directory of stores, as the kubelet makes it for the keeper.
	must(t, os.Rename(filepath.Join(n.options.Base, sidecar.NodeStoresDir), filepath.Join(n.options.Base, "away")),
		os.Mkdir(filepath.Join(n.options.Base, sidecar.NodeStoresDir), 0o755), n.publish(otherPod, store))
	if st := stat(t, filepath.Join(n.options.Base, sidecar.NodeStoresDir)); st.Uid != sidecar.RuntimeUser || st.Mode&0o777 != modeClosed {
		t.Errorf("the directory of stores is of user %d, %o", st.Uid, st.Mode)
	}
}

// TestKilledAtAnyMomentTheNextDriverGoesOn kills drivers while they publish.
func TestKilledAtAnyMomentTheNextDriverGoesOn(t *testing.T) {
	const rounds, pods = 25, 8
	o := newDirectories(t)
	n := &node{t: t, options: o}
	start := func() *exec.Cmd {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), envServe+"="+filepath.Dir(o.Base))
		cmd.Stderr = os.Stderr
		must(t, cmd.Start())
		n.awaitSocket()
		n.csi = newClient(o)
		return cmd
	}
	for round := range rounds {
		killed := start()
		var all sync.WaitGroup
		for i := range pods {
			all.Go(func() {
				_ = n.publish(podNumber(i), view)
				_ = n.publish(podNumber(i), store)
				_ = n.unpublish(podNumber(i), view)
			})
		}
		<-time.After(time.Duration(round) * 400 * time.Microsecond)
		must(t, killed.Process.Kill())
		_ = killed.Wait()
		all.Wait()
		next := start()
		for i := range pods {
			must(t, n.publish(podNumber(i), store), n.publish(podNumber(i), view))
			if st := stat(t, filepath.Join(n.path(podNumber(i), store), "pods", podNumber(i), "view")); st.Uid != sidecar.RuntimeUser {
				t.Fatalf("round %d: a view is of user %d", round, st.Uid)
			}
			if f := flagsOf(t, n.path(podNumber(i), view)); f&unix.ST_RDONLY == 0 {
				t.Fatalf("round %d: a view can be written to", round)
			}
			must(t, n.unpublish(podNumber(i), store), n.unpublish(podNumber(i), view))
		}
		must(t, next.Process.Signal(syscall.SIGTERM), next.Wait())
	}
	if text, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(text), "kubernetes.io~csi") {
		t.Error("mounts stay")
	}
}

func TestWhatIsToBeTakenOverFirstIsWaitedFor(t *testing.T) {
	n := newNode(t)
	n.driver.options.Await = func(_ context.Context, namespace, uid string) error {
		return fmt.Errorf("taking over %s/%s", namespace, uid)
	}
	err := n.publish(podUID, store)
	if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "shop/"+namespaceUID) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(n.store()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the store is there: %v", err)
	}
}
