// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// What the kubelet says of the pod, in the context of a volume. It overwrites what a
// pod's volumeAttributes have under these names.
const (
	contextEphemeral = "csi.storage.k8s.io/ephemeral"
	contextNamespace = "csi.storage.k8s.io/pod.namespace"
	contextPodUID    = "csi.storage.k8s.io/pod.uid"
)

var (
	// labelForm is that of the names of namespaces and volumes (RFC 1123).
	labelForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	// uidForm is that of the UIDs that the API server gives to objects.
	uidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// target is where the kubelet wants a volume of a pod.
type target struct{ podUID, name string }

// parseTarget returns what a path of the kubelet names, whose pods are in a directory.
func parseTarget(pods, path string) (target, error) {
	rest, below := strings.CutPrefix(path, pods+"/")
	f := strings.Split(rest, "/")
	if !below || len(f) != 5 || f[1] != "volumes" || f[2] != "kubernetes.io~csi" || f[4] != "mount" ||
		!uidForm.MatchString(f[0]) || !labelForm.MatchString(f[3]) {
		return target{}, fmt.Errorf("the target %q is not %s/<pod>/volumes/kubernetes.io~csi/<volume>/mount: "+
			"name the kubelet's own directory by --kubelet-dir", path, pods)
	}
	return target{podUID: f[0], name: f[3]}, nil
}

// names are those of the directories from that of all pods to the volume's.
func (t target) names() []string { return []string{t.podUID, "volumes", "kubernetes.io~csi", t.name} }

// handle is the ID that the kubelet gives to an inline volume.
func (t target) handle() string { return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(t.podUID+t.name))) }

// volume is what a request asks for.
type volume struct {
	target
	namespace, namespaceUID string
	kind                    string
	readOnly                bool
	// user is who the files belong to as the pod sees them.
	user uint32
}

// parseVolume checks a request of the kubelet.
func parseVolume(pods string, r *csiv1.NodePublishVolumeRequest) (volume, error) {
	c := r.GetVolumeContext()
	t, err := parseTarget(pods, r.GetTargetPath())
	if err != nil {
		return volume{}, err
	}
	v := volume{target: t, namespace: c[contextNamespace], namespaceUID: c[sidecar.AttributeNamespaceUID],
		kind: c[sidecar.AttributeKind], user: sidecar.RuntimeUser}
	v.readOnly = v.kind == sidecar.CSIKindView || r.GetReadonly()
	switch {
	case c[contextEphemeral] != "true":
		return volume{}, errors.New("the volume is not one of a pod's own (ephemeral)")
	case !labelForm.MatchString(v.namespace) || c[contextPodUID] != t.podUID:
		return volume{}, errors.New("the kubelet does not say whose pod it is: podInfoOnMount of the CSIDriver must be true")
	case r.GetVolumeId() != t.handle():
		return volume{}, fmt.Errorf("the volume %q is not %q of pod %s", r.GetVolumeId(), t.name, t.podUID)
	case r.GetVolumeCapability().GetMount() == nil:
		return volume{}, errors.New("the volume is a directory, and not a block device")
	case !uidForm.MatchString(v.namespaceUID):
		return volume{}, attributeError(sidecar.AttributeNamespaceUID, v.namespaceUID, "the UID of the pod's namespace")
	case v.kind != sidecar.CSIKindStore && v.kind != sidecar.CSIKindView:
		return volume{}, attributeError(sidecar.AttributeKind, v.kind, sidecar.CSIKindStore+" or "+sidecar.CSIKindView)
	}
	if text, ok := c[sidecar.AttributeUser]; ok {
		// Never root: as root a tenant could make files that are setuid root on the disk.
		// The last number is that of no user.
		user, err := strconv.ParseUint(text, 10, 32)
		if err != nil || user == 0 || user > 4294967294 {
			return volume{}, attributeError(sidecar.AttributeUser, text, "the number of a user from 1 to 4294967294")
		}
		v.user = uint32(user)
	}
	return v, nil
}

func attributeError(name, value, want string) error {
	return fmt.Errorf("the attribute %s is %q: it must be %s", name, value, want)
}
