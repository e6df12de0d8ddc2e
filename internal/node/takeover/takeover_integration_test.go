// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package takeover

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	deliverystore "github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	uid     = "99999999-9999-4999-8999-999999999999"
	podUID  = "11111111-1111-4111-8111-111111111111"
	envRun  = "KUDA_TAKEOVER_TEST_RUN"
	envDir  = "KUDA_TAKEOVER_TEST_DIR"
	version = "KUDA_TAKEOVER_TEST_VERSION"
)

// TestMain is also the processes that the tests start, as other users.
func TestMain(m *testing.M) {
	unix.Umask(0o022)
	run := map[string]func(dir string) error{
		"takeover": func(dir string) error { return Run(optionsBelow(dir)) },
		"use":      useStore,
		"add":      addSnapshot,
		"hold":     holdStore,
	}[os.Getenv(envRun)]
	if run == nil {
		os.Exit(m.Run())
	}
	if err := run(os.Getenv(envDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func optionsBelow(dir string) Options {
	return Options{Base: filepath.Join(dir, "base"), Pods: filepath.Join(dir, "pods"), Namespace: "shop", UID: uid}
}

func key(version string) snapshot.Key {
	return snapshot.Key{Source: "test", Path: "path", Version: version}
}

// useStore does what a runtime does with each snapshot of a store: it is leased, read, and
// linked into a view.
func useStore(dir string) error {
	s, err := deliverystore.Open(deliverystore.Options{Root: dir})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // it is read
	list, err := s.Snapshots()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "pods"), 0o755); err != nil {
		return err
	}
	view, err := os.MkdirTemp(filepath.Join(dir, "pods"), "")
	if err != nil {
		return err
	}
	for i, one := range list {
		l, err := s.Lease(one.ID)
		if err != nil {
			return err
		}
		for e := range l.Manifest().All() {
			if err := os.Link(filepath.Join(l.Dir(), e.Path), filepath.Join(view, fmt.Sprintf("%d-%s", i, filepath.Base(e.Path)))); err != nil {
				return err
			}
		}
		if err := errors.Join(s.Verify(context.Background(), one.ID, true), l.Close()); err != nil {
			return err
		}
		fmt.Println(one.ID, one.Key.Version, one.Marks)
	}
	principal, err := s.Principal("someone")
	fmt.Println("principal", principal)
	return err
}

// addSnapshot downloads one, with a file that it shares with all others.
func addSnapshot(dir string) error {
	s, err := deliverystore.Open(deliverystore.Options{Root: dir})
	if err != nil {
		return err
	}
	k := key(os.Getenv(version))
	l, w, err := s.Acquire(context.Background(), k, func() {})
	if err != nil {
		return err
	}
	if l != nil {
		return errors.Join(s.Verify(context.Background(), k.ID(), true), l.Close(), s.Close())
	}
	m := &snapshot.Manifest{Digest: "xxh3:00"}
	for name, content := range map[string]string{"dir/file": "content " + k.Version, "dir/deep/script": "#!/bin/sh"} {
		if err := w.Root().MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := w.Root().WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
		info, err := w.Root().Stat(name)
		if err != nil {
			return err
		}
		sum, err := digest.Reader(strings.NewReader(content), digest.XXH3, make([]byte, 1<<16))
		if err != nil {
			return err
		}
		e := snapshot.Entry{Path: name, Size: info.Size(), Mode: 0o644, Digest: sum, Modified: info.ModTime().UnixNano()}
		if err := w.Done(e); err != nil {
			return err
		}
		m.Entries, m.Bytes = append(m.Entries, e), m.Bytes+e.Size
	}
	if m.Entries[0].Path > m.Entries[1].Path {
		m.Entries[0], m.Entries[1] = m.Entries[1], m.Entries[0]
	}
	if l, err = w.Commit(m); err != nil {
		return err
	}
	return errors.Join(s.Mark(k.ID(), "abc"), l.Close(), s.Close())
}

// holdStore has the store open until its input ends.
func holdStore(dir string) error {
	s, err := deliverystore.Open(deliverystore.Options{Root: dir})
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return s.Close()
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// house is a node with the earlier store of the namespace shop.
type house struct {
	t              *testing.T
	dir, old, next string
}

func newHouse(t *testing.T, versions ...string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, dir: dir, old: filepath.Join(dir, "base/shop", uid),
		next: filepath.Join(dir, "base", sidecar.NodeStoresDir, "shop", uid)}
	stores := filepath.Dir(filepath.Dir(h.next))
	must(t, os.MkdirAll(h.old, 0o700), os.Mkdir(stores, 0o700), os.Chown(stores, sidecar.RuntimeUser, sidecar.RuntimeUser),
		os.Mkdir(filepath.Join(dir, "pods"), 0o750))
	for parent := dir; parent != "/"; parent = filepath.Dir(parent) {
		must(t, os.Chmod(parent, 0o755)) // the test's own, so that its processes come here
		if parent == os.TempDir() || filepath.Dir(parent) == os.TempDir() {
			break
		}
	}
	for _, v := range versions {
		h.oldRuntime("add", v)
	}
	return h
}

func (h *house) command(run, dir string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, envRun+"="+run, envDir+"="+dir)...)
	return cmd
}

// oldRuntime does something in the earlier store as a runtime does: as root, without capabilities.
func (h *house) oldRuntime(run, v string) {
	h.t.Helper()
	cmd := h.command(run, h.old, version+"="+v)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		done <- err
	}()
	must(h.t, <-done)
}

// takeoverCommand is the takeover, with its own rights alone.
func (h *house) takeoverCommand() *exec.Cmd {
	cmd := h.command("takeover", h.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: Capabilities,
		Credential: &syscall.Credential{Uid: sidecar.RuntimeUser, Gid: sidecar.RuntimeUser}}
	return cmd
}

func (h *house) takeOver() {
	h.t.Helper()
	if out, err := h.takeoverCommand().CombinedOutput(); err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
}

// use returns what a runtime of the runtime user finds in the store: a line for each snapshot.
func (h *house) use() string {
	h.t.Helper()
	root, err := os.Open(h.next)
	must(h.t, err)
	defer root.Close()
	cmd := h.command("use", "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{root}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sidecar.RuntimeUser, Gid: sidecar.RuntimeUser}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func (h *house) exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// addPod makes a pod of the earlier store, with a view that has a file of the snapshot.
func (h *house) addPod(pod string, onNode bool) (viewed string) {
	h.t.Helper()
	viewed = filepath.Join(h.old, "pods", pod, "view/file")
	must(h.t, os.MkdirAll(filepath.Dir(viewed), 0o755),
		os.Link(filepath.Join(h.old, "snapshots", string(key("1").ID()), "data/dir/file"), viewed))
	if onNode {
		must(h.t, os.Mkdir(filepath.Join(h.dir, "pods", pod), 0o750))
	}
	return viewed
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st
}

func TestAnUnusedStoreIsTakenOverWhole(t *testing.T) {
	h := newHouse(t, "1", "2")
	h.addPod(podUID, false)
	inode := stat(t, filepath.Join(h.old, "snapshots", string(key("1").ID()), "data/dir/file")).Ino
	h.takeOver()
	out := h.use()
	for _, v := range []string{"1", "2"} {
		if !strings.Contains(out, string(key(v).ID())+" "+v+" [abc]") {
			t.Errorf("snapshot %s is missing:\n%s", v, out)
		}
	}
	now := stat(t, filepath.Join(h.next, "snapshots", string(key("1").ID()), "data/dir/file"))
	if now.Ino != inode || now.Uid != sidecar.RuntimeUser {
		t.Error("the file was copied")
	}
	if h.exists(h.old) {
		t.Error("the earlier store stays")
	}
	err := filepath.WalkDir(h.next, func(path string, _ fs.DirEntry, err error) error {
		if st := stat(t, path); st.Uid != sidecar.RuntimeUser || st.Gid != sidecar.RuntimeUser {
			t.Errorf("%s is of user %d", path, st.Uid)
		}
		return err
	})
	must(t, err)
	h.takeOver() // again: nothing is to be done
}

func TestThePrincipalsOfTheEarlierStoreAreThose(t *testing.T) {
	h := newHouse(t, "1")
	salt, err := os.ReadFile(filepath.Join(h.old, "salt"))
	must(t, err)
	h.takeOver()
	if now, err := os.ReadFile(filepath.Join(h.next, "salt")); err != nil || string(now) != string(salt) {
		t.Errorf("the salt is %q, %v", now, err)
	}
	if st := stat(t, filepath.Join(h.next, "salt")); st.Mode&0o777 != 0o600 {
		t.Errorf("the salt's mode is %o", st.Mode)
	}
}

func TestWhatNoRuntimeWroteIsNotCopied(t *testing.T) {
	for name, put := range map[string]func(h *house, salt string) error{
		"a file from elsewhere": func(h *house, salt string) error { return os.Link(writeFile(h, "x"), salt) },
		"a link":                func(h *house, salt string) error { return os.Symlink(writeFile(h, "x"), salt) },
		"a pipe":                func(_ *house, salt string) error { return unix.Mkfifo(salt, 0o644) },
		"a large file":          func(_ *house, salt string) error { return os.WriteFile(salt, make([]byte, maxNote+1), 0o600) },
	} {
		h := newHouse(t, "1")
		salt := filepath.Join(h.old, "salt")
		must(t, os.Remove(salt), put(h, salt))
		h.takeOver()
		if h.exists(filepath.Join(h.next, "salt")) {
			t.Errorf("%s is copied", name)
		}
	}
}

// TestPodsOfTheEarlierStoreGoOn takes over while a pod is on the node, whose runtime is not running just now.
func TestPodsOfTheEarlierStoreGoOn(t *testing.T) {
	h := newHouse(t, "1", "2")
	viewed := h.addPod(podUID, true)
	h.takeOver()
	if out := h.use(); strings.Count(out, "[abc]") != 2 {
		t.Errorf("not all was taken over:\n%s", out)
	}
	// Its runtime reads, verifies, downloads, and is restarted.
	h.oldRuntime("add", "1")
	h.oldRuntime("add", "3")
	h.oldRuntime("add", "2")
	if text, err := os.ReadFile(viewed); err != nil || string(text) != "content 1" {
		t.Errorf("the view has %q, %v", text, err)
	}
	h.takeOver()
	if !h.exists(viewed) {
		t.Fatal("the store of a pod on the node was removed")
	}
	must(t, os.Remove(filepath.Join(h.dir, "pods", podUID)))
	h.takeOver()
	if h.exists(h.old) || h.exists(filepath.Join(filepath.Dir(h.old), gonePrefix+uid)) {
		t.Error("the store stays when its last pod has left the node")
	}
	if out := h.use(); strings.Count(out, "[abc]") != 2 {
		t.Errorf("what was taken over is gone:\n%s", out)
	}
}

func TestAStoreThatAProcessHasOpenIsNotRemoved(t *testing.T) {
	h := newHouse(t, "1")
	cmd := h.command("hold", h.old)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err, cmd.Start())
	_, err = stdout.Read(make([]byte, 8))
	must(t, err)
	h.takeOver()
	if !h.exists(h.old) || strings.Count(h.use(), "[abc]") != 1 {
		t.Error("the store was removed, or not taken over")
	}
	must(t, stdin.Close(), cmd.Wait())
	h.takeOver()
	if h.exists(h.old) {
		t.Error("the store stays")
	}
}

// TestWhatOnlyRootReadsStaysForAPodThatReadsItAsRoot has a file that its owner alone reads.
func TestWhatOnlyRootReadsStaysForAPodThatReadsItAsRoot(t *testing.T) {
	for _, onNode := range []bool{true, false} {
		h := newHouse(t, "1", "2")
		h.addPod(podUID, onNode)
		file := filepath.Join(h.old, "snapshots", string(key("1").ID()), "data/dir/file")
		must(t, os.Chmod(file, 0o600))
		h.takeOver()
		if onNode && stat(t, file).Uid != 0 {
			t.Error("root's process cannot read the file any more")
		}
		if h.exists(filepath.Join(h.next, "snapshots", string(key("1").ID()))) == onNode {
			t.Errorf("with a pod on the node %v: the snapshot is not where it is to be", onNode)
		}
	}
}

func TestWhatIsNotSureStaysBehind(t *testing.T) {
	data := func(h *house) string { return filepath.Join(h.old, "snapshots", string(key("1").ID()), "data") }
	for name, spoil := range map[string]func(h *house) error{
		"a file of another user": func(h *house) error { return os.Chown(data(h)+"/dir/file", 1000, 1000) },
		"a pipe":                 func(h *house) error { return unix.Mkfifo(data(h)+"/pipe", 0o644) },
		"a device":               func(h *house) error { return unix.Mknod(data(h)+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) },
		"no manifest":            func(h *house) error { return os.Remove(data(h) + "/../manifest.json") },
		"a link as the manifest": func(h *house) error { return relink(data(h)+"/../manifest.json", "/etc/passwd") },
		"a link as the data":     func(h *house) error { return errors.Join(os.RemoveAll(data(h)), os.Symlink("/etc", data(h))) },
		"a snapshot in doubt": func(h *house) error {
			return os.WriteFile(filepath.Join(h.old, "locks", string(key("1").ID())+".suspect"), nil, 0o600)
		},
		"a name from elsewhere":   func(h *house) error { return os.Link(data(h)+"/dir/file", filepath.Join(h.dir, "elsewhere")) },
		"a link as the snapshot":  func(h *house) error { return relink(data(h)+"/..", "/etc") },
		"directories without end": func(h *house) error { return os.MkdirAll(data(h)+strings.Repeat("/d", 200), 0o755) },
		"a file from elsewhere":   func(h *house) error { return os.Link(writeFile(h, "outside"), data(h)+"/outside") },
		"a file of root elsewhere": func(h *house) error {
			return errors.Join(os.Remove(data(h)+"/dir/file"), os.Link(writeFile(h, "x"), data(h)+"/dir/file"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "1", "2")
			must(t, spoil(h))
			h.takeOver()
			if h.exists(filepath.Join(h.next, "snapshots", string(key("1").ID()))) {
				t.Error("it was taken over")
			}
			if out := h.use(); !strings.Contains(out, string(key("2").ID())) {
				t.Errorf("another snapshot was not taken over:\n%s", out)
			}
			for _, file := range []string{"elsewhere", "outside", "x"} {
				if path := filepath.Join(h.dir, file); h.exists(path) && stat(t, path).Uid != 0 {
					t.Errorf("%s was given away", file)
				}
			}
		})
	}
}

func relink(path, target string) error {
	path = filepath.Clean(path)
	return errors.Join(os.RemoveAll(path), os.Symlink(target, path))
}

func writeFile(h *house, name string) string {
	path := filepath.Join(h.dir, name)
	must(h.t, os.WriteFile(path, []byte("secret"), 0o644))
	return path
}

// TestWhatIsNoFileIsNotOpened has pipes in the place of files that a takeover reads: to open a
// device would do what the device is for.
func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	h := newHouse(t, "1")
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(t, err)
	defer func() { _ = unix.Close(fd) }()
	pipes := map[string]bool{}
	for _, name := range []string{"salt", "boot", "locks/boot", "locks/open"} {
		path := filepath.Join(h.old, name)
		must(t, os.RemoveAll(path), unix.Mkfifo(path, 0o644))
		pipes[filepath.Base(name)] = true
		_, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_OPEN)
		must(t, err)
	}
	h.takeOver()
	events := make([]byte, 1<<20)
	n, err := unix.Read(fd, events)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	for events = events[:max(n, 0)]; len(events) > 0; {
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		name := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
		if pipes[name] {
			t.Errorf("the pipe %s was opened", name)
		}
		events = events[end:]
	}
}

func TestSetuidIsCleared(t *testing.T) {
	h := newHouse(t, "1")
	file := filepath.Join(h.old, "snapshots", string(key("1").ID()), "data/dir/file")
	must(t, os.Chmod(file, 0o755|os.ModeSetuid|os.ModeSetgid))
	h.takeOver()
	if st := stat(t, filepath.Join(h.next, "snapshots", string(key("1").ID()), "data/dir/file")); st.Mode&0o7777 != 0o755 {
		t.Errorf("the mode is %o", st.Mode)
	}
}

func TestLinksInPlaceOfDirectoriesLeadNowhere(t *testing.T) {
	for _, name := range []string{"", "snapshots", "locks", "marks", "pods"} {
		h := newHouse(t, "1")
		outside := filepath.Join(h.dir, "outside")
		must(t, os.MkdirAll(filepath.Join(outside, string(key("1").ID())), 0o755), os.WriteFile(outside+"/f", nil, 0o644),
			relink(filepath.Join(h.old, name), outside))
		out, err := h.takeoverCommand().CombinedOutput()
		t.Logf("%q: %v %s", name, err, out)
		if st := stat(t, outside+"/f"); st.Uid != 0 || st.Nlink != 1 {
			t.Errorf("%q: what is outside was changed", name)
		}
	}
}

// TestKilledAtAnyMomentTheNextOneDoesItAll kills takeovers until one ends by itself.
func TestKilledAtAnyMomentTheNextOneDoesItAll(t *testing.T) {
	for round, pause := 0, time.Duration(0); round < 40; round, pause = round+1, pause+500*time.Microsecond {
		h := newHouse(t, "1")
		cmd := h.takeoverCommand()
		must(t, cmd.Start())
		<-time.After(pause)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if h.exists(h.next) && !strings.Contains(h.use(), "[abc]") {
			t.Fatalf("after %v the store is not whole", pause)
		}
		h.takeOver()
		if out := h.use(); !strings.Contains(out, "[abc]") {
			t.Fatalf("after %v: %s", pause, out)
		}
		gone, seed := filepath.Join(filepath.Dir(h.old), gonePrefix+uid), filepath.Join(filepath.Dir(h.next), seedPrefix+uid)
		for _, left := range []string{h.old, gone, seed} {
			if h.exists(left) {
				t.Fatalf("after %v %s stays", pause, left)
			}
		}
	}
}

// TestManyFilesAreTakenOverInTime measures what a publication may have to wait for.
func TestManyFilesAreTakenOverInTime(t *testing.T) {
	const snapshots, files = 10, 2000
	h := newHouse(t)
	for s := range snapshots {
		dir := filepath.Join(h.old, "snapshots", string(key(fmt.Sprint(s)).ID()))
		must(t, os.MkdirAll(dir+"/data", 0o755), os.WriteFile(dir+"/manifest.json", []byte("{}"), 0o644))
		for f := range files {
			must(t, os.WriteFile(fmt.Sprintf("%s/data/%d", dir, f), nil, 0o644))
		}
	}
	began := time.Now()
	cmd := h.takeoverCommand()
	must(t, cmd.Run())
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	t.Logf("%d files in %v, %d MiB", snapshots*files, time.Since(began), usage.Maxrss/1024)
	if names, err := os.ReadDir(filepath.Join(h.next, "snapshots")); err != nil || len(names) != snapshots {
		t.Errorf("%d snapshots, %v", len(names), err)
	}
}
