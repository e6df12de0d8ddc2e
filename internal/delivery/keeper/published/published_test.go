// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pods = "/var/lib/kubelet/pods"

func volumes(store string, uids ...string) Volumes {
	v := Volumes{Pods: map[string]bool{}, Stores: map[string]bool{}}
	for _, uid := range uids {
		v.Pods[uid] = true
	}
	if store != "" {
		v.Stores[store] = true
	}
	return v
}

func TestPodsLiveWhileAVolumeOfTheirsIsMounted(t *testing.T) {
	const here = "1 0 8:1 / /var/lib/kubelet/pods rw master:5 - ext4 /dev/sda1 rw\n"
	for name, c := range map[string]struct {
		lines string
		want  Volumes
	}{
		"none": {want: volumes("")},
		"store and view": {
			"2 1 8:1 /var/lib/kuda/@node/n/u /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/kuda-store/mount rw master:5 - ext4 /dev/sda1 rw\n" +
				"3 1 8:1 /@node/n/u/pods/b/view /var/lib/kubelet/pods/b/volumes/kubernetes.io~csi/kuda-view/mount ro - ext4 /dev/sda1 rw\n",
			volumes("n/u", "a", "b")},
		"a store under another name": {
			"2 1 8:1 /@node/n/u /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/x\\040y/mount rw - ext4 /dev/sda1 rw\n",
			volumes("n/u", "a")},
		"a store that was deleted": {
			"2 1 8:1 /@node/n/u//deleted /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/kuda-store/mount rw - ext4 /dev/sda1 rw\n",
			volumes("n/u", "a")},
		"another driver's": {
			"2 1 8:1 /x /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/pvc-1/mount rw - ext4 /dev/sda1 rw\n", volumes("")},
		"a subPath of a volume": {
			"2 1 8:1 /@node/n/u /var/lib/kubelet/pods/a/volume-subpaths/kuda-store/c/0 rw - ext4 /dev/sda1 rw\n", volumes("")},
		"a store whose path is cut": {
			"2 1 8:1 /n/u /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/kuda-store/mount rw - ext4 /dev/sda1 rw\n",
			Volumes{Pods: map[string]bool{"a": true}, Stores: map[string]bool{}, Unknown: true}},
		"elsewhere": {
			"2 1 8:1 /@node/n/u /x/a/volumes/kubernetes.io~csi/kuda-store/mount rw - ext4 /dev/sda1 rw\n", volumes("")},
		"nonsense": {"nonsense\n\n2 1\n- - -\n", volumes("")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(strings.NewReader(here+c.lines), pods)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestWithoutPropagationItIsNotKnownWhoLives(t *testing.T) {
	for name, lines := range map[string]string{
		"private":     "1 0 8:1 / /var/lib/kubelet/pods rw - ext4 /dev/sda1 rw\n",
		"not mounted": "1 0 8:1 / /other rw master:5 - ext4 /dev/sda1 rw\n",
		"private below what is shared": "1 0 8:1 / / rw master:5 - ext4 /dev/sda1 rw\n" +
			"2 1 8:1 / /var/lib/kubelet/pods rw - ext4 /dev/sda1 rw\n",
		"private over what is shared": "1 0 8:1 / /var/lib/kubelet/pods rw master:5 - ext4 /dev/sda1 rw\n" +
			"2 1 8:1 / /var/lib/kubelet/pods rw - ext4 /dev/sda1 rw\n",
		"a longer name": "1 0 8:1 / /var/lib/kubelet/pod rw master:5 - ext4 /dev/sda1 rw\n",
		"empty":         "",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(strings.NewReader(lines), pods); !errors.Is(err, ErrNotPropagated) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestALongLineHidesNoPod has lines as long as a pod can make them that moves the directory
// of its view deep into its store.
func TestALongLineHidesNoPod(t *testing.T) {
	const here = "1 0 8:1 / /var/lib/kubelet/pods rw master:5 - ext4 /dev/sda1 rw\n"
	deep := strings.Repeat("/"+strings.Repeat(`\040`, 255), 4096)
	got, err := parse(strings.NewReader(here+
		"2 1 8:1 /@node/n/u"+deep+" /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/kuda-view/mount ro - ext4 /dev/sda1 rw\n"+
		"3 1 8:1 /@node/n/v /var/lib/kubelet/pods/b/volumes/kubernetes.io~csi/kuda-store/mount rw - ext4 /dev/sda1 rw\n"), pods)
	want := Volumes{Pods: map[string]bool{"a": true, "b": true}, Stores: map[string]bool{"n/u": true, "n/v": true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func FuzzAnyMountTableIsReadOrRefused(f *testing.F) {
	f.Add("1 0 8:1 / /var/lib/kubelet/pods rw master:5 - ext4 /dev/sda1 rw\n")
	f.Add(`2 1 8:1 /\777\04 /var/lib/kubelet/pods/\057/volumes/kubernetes.io~csi/kuda-store/mount rw - e d r`)
	f.Fuzz(func(t *testing.T, text string) {
		found, _ := parse(strings.NewReader(text), pods)
		for uid := range found.Pods {
			if strings.Contains(uid, "/") {
				t.Errorf("the pod %q", uid)
			}
		}
	})
}
