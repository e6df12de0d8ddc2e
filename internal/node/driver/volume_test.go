// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	podUID       = "11111111-1111-4111-8111-111111111111"
	otherPod     = "22222222-2222-4222-8222-222222222222"
	namespaceUID = "99999999-9999-4999-8999-999999999999"
	kubeletDir   = "/var/lib/kubelet"
)

// podsDir is the kubelet's directory of pods.
func podsDir(kubelet string) string { return filepath.Join(kubelet, "pods") }

// newRequest returns what the kubelet asks for a volume of a pod in the namespace shop.
func newRequest(kubelet, uid, kind string) *csiv1.NodePublishVolumeRequest {
	name := map[string]string{sidecar.CSIKindStore: sidecar.VolumeStore, sidecar.CSIKindView: sidecar.VolumeView}[kind]
	t := target{podUID: uid, name: name}
	return &csiv1.NodePublishVolumeRequest{
		VolumeId:   t.handle(),
		TargetPath: filepath.Join(append(append([]string{podsDir(kubelet)}, t.names()...), mountName)...),
		VolumeCapability: &csiv1.VolumeCapability{AccessType: &csiv1.VolumeCapability_Mount{Mount: &csiv1.VolumeCapability_MountVolume{
			VolumeMountGroup: "2000"}}},
		VolumeContext: map[string]string{
			contextEphemeral: "true", contextNamespace: "shop", contextPodUID: uid,
			"csi.storage.k8s.io/pod.name": "web-0", "csi.storage.k8s.io/serviceAccount.name": "default",
			sidecar.AttributeKind: kind, sidecar.AttributeNamespaceUID: namespaceUID,
		},
	}
}

func TestWhatTheKubeletAsksForIsRead(t *testing.T) {
	got, err := parseVolume(podsDir(kubeletDir), newRequest(kubeletDir, podUID, sidecar.CSIKindStore))
	want := volume{target: target{podUID, "kuda-store"}, namespace: "shop", namespaceUID: namespaceUID, kind: "store",
		user: sidecar.RuntimeUser}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(volume{}, target{})); err != nil || diff != "" {
		t.Error(err, diff)
	}
	r := newRequest(kubeletDir, podUID, sidecar.CSIKindView)
	r.VolumeContext[sidecar.AttributeUser] = "1000650000"
	got, err = parseVolume(podsDir(kubeletDir), r)
	want.name, want.kind, want.readOnly, want.user = "kuda-view", "view", true, 1000650000
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(volume{}, target{})); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestWhatTheKubeletDoesNotVouchForIsRefused(t *testing.T) {
	const pods = kubeletDir + "/pods/"
	attribute := func(name, value string) func(r *csiv1.NodePublishVolumeRequest) {
		return func(r *csiv1.NodePublishVolumeRequest) { r.VolumeContext[name] = value }
	}
	without := func(name string) func(r *csiv1.NodePublishVolumeRequest) {
		return func(r *csiv1.NodePublishVolumeRequest) { delete(r.VolumeContext, name) }
	}
	for name, c := range map[string]struct {
		change func(r *csiv1.NodePublishVolumeRequest)
		want   string
	}{
		"not ephemeral":             {without(contextEphemeral), "ephemeral"},
		"a persistent volume":       {attribute(contextEphemeral, "false"), "ephemeral"},
		"no pod info":               {without(contextNamespace), "podInfoOnMount"},
		"a path as the namespace":   {attribute(contextNamespace, "../etc"), "podInfoOnMount"},
		"the stores' directory":     {attribute(contextNamespace, "@node"), "podInfoOnMount"},
		"another pod's UID":         {attribute(contextPodUID, otherPod), "podInfoOnMount"},
		"another volume's ID":       {func(r *csiv1.NodePublishVolumeRequest) { r.VolumeId = target{otherPod, "kuda-store"}.handle() }, "is not"},
		"a block device":            {func(r *csiv1.NodePublishVolumeRequest) { r.VolumeCapability = nil }, "block"},
		"no namespace's UID":        {without(sidecar.AttributeNamespaceUID), "namespaceUID"},
		"a path as its UID":         {attribute(sidecar.AttributeNamespaceUID, "../../shop"), "namespaceUID"},
		"no kind":                   {without(sidecar.AttributeKind), "store or view"},
		"a path as the kind":        {attribute(sidecar.AttributeKind, "../../etc"), "store or view"},
		"root":                      {attribute(sidecar.AttributeUser, "0"), "from 1"},
		"no user":                   {attribute(sidecar.AttributeUser, "4294967295"), "from 1"},
		"a user that wraps to root": {attribute(sidecar.AttributeUser, "4294967296"), "from 1"},
		"an empty user":             {attribute(sidecar.AttributeUser, ""), "from 1"},
		"a negative user":           {attribute(sidecar.AttributeUser, "-1"), "from 1"},
		"another directory": {func(r *csiv1.NodePublishVolumeRequest) {
			r.TargetPath = "/etc/volumes/kubernetes.io~csi/x/mount"
		}, "--kubelet-dir"},
		"a target that climbs": {func(r *csiv1.NodePublishVolumeRequest) {
			r.TargetPath = pods + podUID + "/volumes/kubernetes.io~csi/../mount"
		}, "--kubelet-dir"},
		"a target of another plugin": {func(r *csiv1.NodePublishVolumeRequest) {
			r.TargetPath = pods + podUID + "/volumes/kubernetes.io~empty-dir/kuda-store/mount"
		}, "--kubelet-dir"},
		"a target below a mount": {func(r *csiv1.NodePublishVolumeRequest) { r.TargetPath += "/x" }, "--kubelet-dir"},
		"no target":              {func(r *csiv1.NodePublishVolumeRequest) { r.TargetPath = "" }, "--kubelet-dir"},
	} {
		r := newRequest(kubeletDir, podUID, sidecar.CSIKindStore)
		r.VolumeContext = maps.Clone(r.VolumeContext)
		c.change(r)
		if v, err := parseVolume(podsDir(kubeletDir), r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

func TestMountsThatDoNotReachTheNodeAreRefused(t *testing.T) {
	const (
		shared  = "36 35 98:0 /pods /var/lib/kubelet/pods rw,noatime shared:1 - ext3 /dev/root rw\n"
		private = "36 35 98:0 /pods /var/lib/kubelet/pods rw,noatime - ext3 /dev/root rw\n"
		slave   = "36 35 98:0 /pods /var/lib/kubelet/pods rw,noatime master:1 - ext3 /dev/root rw\n"
		other   = "36 35 98:0 / / rw shared:1 - ext3 /dev/root rw\n"
	)
	for _, c := range []struct {
		mountinfo, dir string
		ok             bool
	}{
		{other + shared, "/var/lib/kubelet/pods", true},
		{shared + private, "/var/lib/kubelet/pods", false},
		{private + shared, "/var/lib/kubelet/pods", true},
		{slave, "/var/lib/kubelet/pods", false},
		{other, "/var/lib/kubelet/pods", false},
		{"", "/var/lib/kubelet/pods", false},
	} {
		if err := checkPropagation(c.mountinfo, c.dir); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.mountinfo, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{SocketDir: "/r/", KubeletDir: "/k", Base: "/b", NodeName: "n"}
	if d, err := New(good); err != nil || d.options.SocketDir != "/r" {
		t.Error(err)
	}
	for _, change := range []func(o *Options){
		func(o *Options) { o.SocketDir = "" }, func(o *Options) { o.KubeletDir = "kubelet" },
		func(o *Options) { o.Base = "" }, func(o *Options) { o.NodeName = "" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
