// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Bits of a mode by which a file is read.
const (
	ownerReads int32 = 0o400
	groupReads int32 = 0o040
	otherReads int32 = 0o004
)

// owner is whose the delivered files are.
type owner struct{ user, group int64 }

// ownerIn returns it in this pod: the runtime's user and group. Directories of an
// emptyDir with an fsGroup hand that down to what is made in them.
func ownerIn(pod *corev1.Pod) owner {
	var o owner
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if s := c.SecurityContext; c.Name == sidecar.ContainerName && s != nil && s.RunAsUser != nil {
			o = owner{*s.RunAsUser, *s.RunAsUser}
		}
	}
	if s := pod.Spec.SecurityContext; hasOwnStore(pod) && s != nil && s.FSGroup != nil {
		o.group = *s.FSGroup
	}
	return o
}

func hasOwnStore(pod *corev1.Pod) bool {
	return pod.Annotations[v1alpha1.AnnotationStore] == v1alpha1.StorePod
}

// reader is what a pod says of who its container is. What it leaves to the image is
// not known.
type reader struct {
	// user is nil when it is the image's; nonRoot says that it is not 0 then.
	user    *int64
	nonRoot bool
	// group is nil when it is the image's, mostly 0; groups are those beside it.
	group  *int64
	groups []int64
	// overrides says that root reads what it likes, as it does where it keeps its
	// capabilities.
	overrides bool
}

func readerOf(pod *corev1.PodSpec, c *corev1.Container) reader {
	r := reader{overrides: true}
	if s := pod.SecurityContext; s != nil {
		r.user, r.group, r.nonRoot = s.RunAsUser, s.RunAsGroup, s.RunAsNonRoot != nil && *s.RunAsNonRoot
		r.groups = slices.Clone(s.SupplementalGroups)
		if s.FSGroup != nil {
			r.groups = append(r.groups, *s.FSGroup)
		}
	}
	s := c.SecurityContext
	if s == nil {
		return r
	}
	if s.RunAsUser != nil {
		r.user = s.RunAsUser
	}
	if s.RunAsGroup != nil {
		r.group = s.RunAsGroup
	}
	if s.RunAsNonRoot != nil {
		r.nonRoot = *s.RunAsNonRoot
	}
	r.overrides = s.Privileged != nil && *s.Privileged || s.Capabilities == nil || overridesModes(s.Capabilities)
	return r
}

// overridesModes reports whether capabilities let root pass over the modes of files.
func overridesModes(c *corev1.Capabilities) bool {
	has := func(list []corev1.Capability, name corev1.Capability) bool {
		return slices.Contains(list, name) || slices.Contains(list, "CAP_"+name)
	}
	if has(c.Add, "DAC_OVERRIDE") || has(c.Add, "DAC_READ_SEARCH") || has(c.Add, "ALL") {
		return true
	}
	return !has(c.Drop, "ALL") && !has(c.Drop, "DAC_OVERRIDE")
}

// cannotRead reports whether the container cannot read a file of the mode, for all that
// is known of it.
func (r reader) cannotRead(mode int32, o owner) bool {
	switch {
	case mode&otherReads != 0:
		return false
	case r.user == nil && (!r.nonRoot || o.user != 0):
		return false // it may be root, or the owner
	case r.user != nil && *r.user == 0 && r.overrides:
		return false
	case r.user != nil && *r.user == o.user:
		return mode&ownerReads == 0
	case r.group == nil || *r.group == o.group || slices.Contains(r.groups, o.group):
		return mode&groupReads == 0
	}
	return true
}

func (r reader) String() string {
	who := "not root"
	if r.user != nil {
		who = fmt.Sprintf("user %d", *r.user)
	}
	if r.group != nil {
		who += fmt.Sprintf(", group %d", *r.group)
	}
	return who
}

// Unreadable says which containers of an injected pod cannot read items of these
// DataSets, because of the mode that the items are given.
func Unreadable(pod *corev1.Pod, dataSets []*v1alpha1.DataSet) []string {
	o := ownerIn(pod)
	var says []string
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		r := readerOf(&pod.Spec, c)
		first, mode, n := "", int32(0), 0
		for _, ds := range dataSets {
			for j := range ds.Spec.Template.DataItems {
				item := &ds.Spec.Template.DataItems[j]
				if item.Mode == nil || !r.cannotRead(*item.Mode, o) {
					continue
				}
				if n++; n == 1 {
					first, mode = fmt.Sprintf("item %s/%s of DataSet %s", item.Namespace, item.Name, ds.Name), *item.Mode
				}
			}
		}
		if n == 0 {
			continue
		}
		if n > 1 {
			first += fmt.Sprintf(" and %d more", n-1)
		}
		says = append(says, fmt.Sprintf("container %s (%s) cannot read %s: files of mode %04o that belong to user %d and group "+
			"%d in this pod; %s",
			c.Name, r, first, mode, o.user, o.group, adviseMode(pod, mode, o)))
	}
	return says
}

// adviseMode says what makes such files readable.
func adviseMode(pod *corev1.Pod, mode int32, o owner) string {
	wider := fmt.Sprintf("give it a mode that others may read, such as %04o", mode|ownerReads|groupReads|otherReads)
	switch ownStore := hasOwnStore(pod); {
	case ownStore && o.group == o.user && mode&groupReads != 0:
		return wider + ", or set fsGroup in the pod"
	case ownStore && o.group != o.user && mode&groupReads == 0:
		return wider + fmt.Sprintf(", or %04o for the pod's fsGroup", mode|groupReads)
	}
	return wider
}

// modeWarnings tell the creator of a pod of files that it will not be able to read.
func modeWarnings(pod *corev1.Pod, dataSets []*v1alpha1.DataSet) []string {
	if pod.Labels[v1alpha1.LabelPreheat] != "" {
		return nil // no container reads there
	}
	warnings := Unreadable(pod, dataSets)
	for i := range warnings {
		warnings[i] = "Kuda: " + warnings[i]
	}
	return warnings
}
