// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// Operation is one of a JSON patch (RFC 6902).
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Patch says how after, a result of Inject or Disown, comes from before. It names only
// what Inject adds, and takes away of what it added before, so fields of the pod that this version of the API does not
// know are left as they are, which a comparison of the two as a whole would lose.
// What is Kuda's own is replaced as a whole even if it seems to be right: the pod may
// have brought it with fields that this version of the API does not know.
func Patch(before, after *corev1.Pod) []Operation {
	// Each container has two changes, and each of Kuda's lists a few.
	ops := make([]Operation, 0, 2*(len(after.Spec.Containers)+len(after.Spec.InitContainers))+16)
	ops = diffMap(ops, "/metadata/annotations", before.Annotations, after.Annotations)
	ops = diffVolumes(ops, before.Spec.Volumes, after.Spec.Volumes)
	ops = diffInit(ops, before.Spec.InitContainers, after.Spec.InitContainers)
	for i := range after.Spec.Containers {
		ops = diffContainer(ops, "/spec/containers/"+strconv.Itoa(i), &before.Spec.Containers[i], &after.Spec.Containers[i])
	}
	ops = diffList(ops, "/spec/imagePullSecrets", before.Spec.ImagePullSecrets, after.Spec.ImagePullSecrets,
		func(corev1.LocalObjectReference) bool { return false })
	if after.Spec.SchedulerName != before.Spec.SchedulerName {
		ops = append(ops, Operation{Op: "add", Path: "/spec/schedulerName", Value: after.Spec.SchedulerName})
	}
	return diffAffinity(ops, before, after)
}

// diffAffinity compares the preferred terms for nodes, which are all of the
// affinity that changes: some may be taken out, and others follow at the end.
func diffAffinity(ops []Operation, before, after *corev1.Pod) []Operation {
	const affinity, node, list = "/spec/affinity", "/nodeAffinity", "/preferredDuringSchedulingIgnoredDuringExecution"
	have, want := preferredTerms(before), preferredTerms(after)
	var gone []int
	kept := 0
	for i := range have {
		if kept < len(want) && equality.Semantic.DeepEqual(have[i], want[kept]) {
			kept++
		} else {
			gone = append(gone, i)
		}
	}
	switch {
	case len(gone) == 0 && kept == len(want):
		return ops
	case len(want) == 0:
		return append(ops, Operation{Op: "remove", Path: affinity + node + list})
	case before.Spec.Affinity == nil:
		return append(ops, Operation{Op: "add", Path: affinity, Value: after.Spec.Affinity})
	case before.Spec.Affinity.NodeAffinity == nil:
		return append(ops, Operation{Op: "add", Path: affinity + node, Value: after.Spec.Affinity.NodeAffinity})
	case kept == 0:
		return append(ops, Operation{Op: "add", Path: affinity + node + list, Value: want})
	}
	for _, i := range slices.Backward(gone) {
		ops = append(ops, Operation{Op: "remove", Path: affinity + node + list + "/" + strconv.Itoa(i)})
	}
	for i := kept; i < len(want); i++ {
		ops = append(ops, Operation{Op: "add", Path: affinity + node + list + "/" + strconv.Itoa(i), Value: want[i]})
	}
	return ops
}

// diffVolumes compares the volumes, of which Kuda's own may be gone, new or other ones.
func diffVolumes(ops []Operation, before, after []corev1.Volume) []Operation {
	const list = "/spec/volumes"
	name := func(v corev1.Volume) string { return v.Name }
	ops, current := diffGone(ops, list, before, after, name)
	for i := range after {
		switch {
		case i >= len(current):
			ops = insertValue(ops, list, i, i, after[i])
		case isOwnVolume(after[i].Name):
			ops = append(ops, Operation{Op: "replace", Path: list + "/" + strconv.Itoa(i), Value: after[i]})
		}
	}
	return ops
}

// diffInit compares the init containers, among which the runtime and plugins may be
// gone, new, other ones or elsewhere. Those that have moved are taken out and put in.
func diffInit(ops []Operation, before, after []corev1.Container) []Operation {
	const list = "/spec/initContainers"
	name := func(c corev1.Container) string { return c.Name }
	kept := after
	if !inOrder(before, after) {
		kept = slices.DeleteFunc(slices.Clone(after), func(c corev1.Container) bool { return isOwnContainer(c.Name) })
	}
	ops, current := diffGone(ops, list, before, kept, name)
	for i := range after {
		c := &after[i]
		there := i < len(current) && current[i].Name == c.Name
		switch {
		case !isOwnContainer(c.Name):
			ops = diffContainer(ops, list+"/"+strconv.Itoa(i), &current[i], c)
		case !there:
			ops = insertValue(ops, list, i, len(current), *c)
			current = slices.Insert(current, i, *c)
		default:
			ops = append(ops, Operation{Op: "replace", Path: list + "/" + strconv.Itoa(i), Value: *c})
		}
	}
	return ops
}

// inOrder reports whether the containers that are in both lists have one order.
func inOrder(before, after []corev1.Container) bool {
	last := -1
	for i := range after {
		at := slices.IndexFunc(before, func(c corev1.Container) bool { return c.Name == after[i].Name })
		if at >= 0 && at < last {
			return false
		}
		last = max(last, at)
	}
	return true
}

// diffGone takes out of a list what after no longer has, from the end, and returns
// what is left.
func diffGone[T any](ops []Operation, at string, before, after []T, name func(T) string) ([]Operation, []T) {
	kept := names{}
	for _, v := range after {
		kept.add(name(v))
	}
	current := slices.Clone(before)
	for i := range slices.Backward(before) {
		if _, ok := kept[name(before[i])]; !ok {
			ops = append(ops, Operation{Op: "remove", Path: at + "/" + strconv.Itoa(i)})
			current = slices.Delete(current, i, i+1)
		}
	}
	return ops, current
}

func diffContainer(ops []Operation, at string, before, after *corev1.Container) []Operation {
	if before.Image != after.Image {
		ops = append(ops, Operation{Op: "add", Path: at + "/image", Value: after.Image},
			Operation{Op: "add", Path: at + "/imagePullPolicy", Value: after.ImagePullPolicy})
	}
	ops = diffList(ops, at+"/env", before.Env, after.Env, isOwnVariable)
	return diffList(ops, at+"/volumeMounts", before.VolumeMounts, after.VolumeMounts, isView)
}

// diffList is for lists that only grow at their end, and of which Kuda's own entries
// are replaced, or are all gone.
func diffList[T any](ops []Operation, at string, before, after []T, own func(T) bool) []Operation {
	if len(before) > 0 && !slices.ContainsFunc(after, own) {
		ops, before = diffDisowned(ops, at, before, own)
	}
	if len(before) == 0 && len(after) > 0 {
		return append(ops, Operation{Op: "add", Path: at, Value: after})
	}
	for i := range before {
		if own(after[i]) {
			ops = append(ops, Operation{Op: "replace", Path: at + "/" + strconv.Itoa(i), Value: after[i]})
		}
	}
	for i := len(before); i < len(after); i++ {
		ops = insertValue(ops, at, i, i, after[i])
	}
	return ops
}

// diffDisowned takes Kuda's own entries out of a list, from the end, and returns what
// is left. A list of nothing goes as a whole.
func diffDisowned[T any](ops []Operation, at string, before []T, own func(T) bool) ([]Operation, []T) {
	left := slices.DeleteFunc(slices.Clone(before), own)
	if len(left) == 0 {
		return append(ops, Operation{Op: "remove", Path: at}), nil
	}
	for i := range slices.Backward(before) {
		if own(before[i]) {
			ops = append(ops, Operation{Op: "remove", Path: at + "/" + strconv.Itoa(i)})
		}
	}
	return ops, left
}

// insertValue adds a value at place i of a list that has the given length by then. An empty list
// may be missing altogether, so the first value comes as a list.
func insertValue[T any](ops []Operation, at string, i, length int, value T) []Operation {
	if length == 0 {
		return append(ops, Operation{Op: "add", Path: at, Value: []T{value}})
	}
	return append(ops, Operation{Op: "add", Path: at + "/" + strconv.Itoa(i), Value: value})
}

// PatchAnnotations says how the annotations of an object become others.
func PatchAnnotations(before, after map[string]string) []Operation {
	return diffMap(nil, "/metadata/annotations", before, after)
}

func diffMap(ops []Operation, at string, before, after map[string]string) []Operation {
	if len(before) == 0 {
		if len(after) == 0 {
			return ops
		}
		return append(ops, Operation{Op: "add", Path: at, Value: after})
	}
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if have, ok := before[key]; !ok || have != after[key] {
			ops = append(ops, Operation{Op: "add", Path: at + "/" + escapePointer(key), Value: after[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[key]; !ok {
			ops = append(ops, Operation{Op: "remove", Path: at + "/" + escapePointer(key)})
		}
	}
	return ops
}

// escapePointer makes a key a segment of a JSON pointer (RFC 6901).
func escapePointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
