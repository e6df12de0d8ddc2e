// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package driver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// levels are the directories from that of all stores to a pod's view.
var levels = []string{"shop", "shop/" + namespaceUID, "shop/" + namespaceUID + "/pods", "shop/" + namespaceUID + "/pods/" + podUID,
	"shop/" + namespaceUID + "/pods/" + podUID + "/view"}

// TestWhatATenantPutsInPlaceOfADirectoryLeadsNowhere puts something else into each
// level in turn, as a runtime's user can.
func TestWhatATenantPutsInPlaceOfADirectoryLeadsNowhere(t *testing.T) {
	for what, put := range map[string]func(path, outside string) error{
		"an absolute link": func(path, outside string) error { return os.Symlink(outside, path) },
		"a relative link": func(path, outside string) error {
			rel, err := filepath.Rel(filepath.Dir(path), outside)
			return errors.Join(err, os.Symlink(rel, path))
		},
		"a link to the kernel's": func(path, _ string) error { return os.Symlink("/proc/self/cwd", path) },
		"a link to nothing":      func(path, _ string) error { return os.Symlink("nothing", path) },
		"a pipe":                 func(path, _ string) error { return unix.Mkfifo(path, 0o644) },
		"a file":                 func(path, _ string) error { return os.WriteFile(path, nil, 0o644) },
	} {
		t.Run(what, func(t *testing.T) {
			for _, level := range levels {
				n := newNode(t)
				outside := t.TempDir()
				must(t, os.MkdirAll(filepath.Join(outside, "pods", podUID, "view"), 0o755))
				before := stat(t, outside)
				must(t, n.publish(podUID, view), n.unpublish(podUID, view))
				place := filepath.Join(n.options.Base, sidecar.NodeStoresDir, level)
				must(t, os.RemoveAll(place), put(place, outside), os.Lchown(place, sidecar.RuntimeUser, sidecar.RuntimeUser))
				if err := n.publish(podUID, view); err == nil {
					t.Errorf("at %s it is mounted", level)
				}
				if _, err := os.Lstat(n.path(podUID, view)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("at %s the target stays: %v", level, err)
				}
				if after := stat(t, outside); after.Uid != before.Uid || after.Ctim != before.Ctim {
					t.Errorf("at %s what is outside was changed", level)
				}
			}
		})
	}
}

// TestADirectoryOfAnotherUserIsNeitherTakenNorMounted does the same with directories that are not
// the runtime user's.
func TestADirectoryOfAnotherUserIsNeitherTakenNorMounted(t *testing.T) {
	for _, owner := range []int{0, 1000} {
		for _, level := range levels[1:] {
			n := newNode(t)
			must(t, n.publish(podUID, view), n.unpublish(podUID, view))
			place := filepath.Join(n.options.Base, sidecar.NodeStoresDir, level)
			must(t, os.RemoveAll(place), os.Mkdir(place, 0o700), os.Lchown(place, owner, owner))
			if err := n.publish(podUID, view); err == nil {
				t.Errorf("at %s one of user %d is mounted", level, owner)
			}
			if st := stat(t, place); st.Uid != uint32(owner) {
				t.Errorf("at %s one of user %d was given to user %d", level, owner, st.Uid)
			}
		}
	}
}

// TestALinkAtTheTargetIsNotFollowed puts links where the kubelet's directories are.
func TestALinkAtTheTargetIsNotFollowed(t *testing.T) {
	for _, up := range []int{0, 1, 2, 3, 4} {
		n := newNode(t)
		outside := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(outside, "volumes/kubernetes.io~csi/kuda-view/mount"), 0o755),
			os.MkdirAll(filepath.Join(outside, "kubernetes.io~csi/kuda-view/mount"), 0o755),
			os.MkdirAll(filepath.Join(outside, "kuda-view/mount"), 0o755), os.MkdirAll(filepath.Join(outside, "mount"), 0o755))
		place := n.path(podUID, view)
		for range up {
			place = filepath.Dir(place)
		}
		must(t, os.MkdirAll(filepath.Dir(place), 0o750), os.Symlink(outside, place))
		if err := n.publish(podUID, view); err == nil {
			t.Errorf("%d levels up a link is followed", up)
		}
		must(t, unix.Mount("tmpfs", outside, "tmpfs", 0, ""))
		_ = n.unpublish(podUID, view)
		if n.mounts(outside) != 1 {
			t.Errorf("%d levels up what a link leads to is unmounted", up)
		}
		must(t, unix.Unmount(outside, 0))
	}
}

// TestADirectoryThatLosesItsNameBeforeItIsMountedIsNotWhatThePodGets has a keeper take away what
// a pod left, which it takes for dead, just when it is mounted again.
func TestADirectoryThatLosesItsNameBeforeItIsMountedIsNotWhatThePodGets(t *testing.T) {
	for _, kind := range []string{store, view} {
		n := newNode(t)
		place := n.store()
		if kind == view {
			place = filepath.Join(place, "pods", podUID, "view")
		}
		taken := false
		n.driver.attachTree = func(source, at int, v volume) error {
			if !taken {
				taken = true
				must(t, os.Rename(place, place+"-taken"))
			}
			return attachTree(source, at, v)
		}
		must(t, n.publish(podUID, kind))
		if got, want := stat(t, n.path(podUID, kind)), stat(t, place); got.Ino != want.Ino || n.mounts(n.path(podUID, kind)) != 1 {
			t.Errorf("%s: the pod has inode %d, and the directory is %d", kind, got.Ino, want.Ino)
		}
	}
}
