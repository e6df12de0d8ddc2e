// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
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
	Value any    `json:"value"`
}

// Patch says how after, a result of Inject, comes from before. It names only
// what Inject adds, so fields of the pod that this version of the API does not
// know are left as they are, which a comparison of the two as a whole would lose.
func Patch(before, after *corev1.Pod) []Operation {
	ops := diffMap(nil, "/metadata/annotations", before.Annotations, after.Annotations)
	ops = diffList(ops, "/spec/volumes", before.Spec.Volumes, after.Spec.Volumes)
	ops = diffInit(ops, before.Spec.InitContainers, after.Spec.InitContainers)
	for i := range after.Spec.Containers {
		ops = diffContainer(ops, "/spec/containers/"+strconv.Itoa(i), &before.Spec.Containers[i], &after.Spec.Containers[i])
	}
	return ops
}

// diffInit compares the init containers, among which the runtime and plugins may be new.
func diffInit(ops []Operation, before, after []corev1.Container) []Operation {
	const list = "/spec/initContainers"
	current := slices.Clone(before)
	for i := range after {
		c := &after[i]
		there := i < len(current) && current[i].Name == c.Name
		switch {
		case !isOwnContainer(c.Name):
			ops = diffContainer(ops, list+"/"+strconv.Itoa(i), &current[i], c)
		case !there:
			ops = insert(ops, list, i, len(current), *c)
			current = slices.Insert(current, i, *c)
		case !equality.Semantic.DeepEqual(&current[i], c):
			ops = append(ops, Operation{Op: "replace", Path: list + "/" + strconv.Itoa(i), Value: *c})
		}
	}
	return ops
}

func diffContainer(ops []Operation, at string, before, after *corev1.Container) []Operation {
	ops = diffList(ops, at+"/env", before.Env, after.Env)
	return diffList(ops, at+"/volumeMounts", before.VolumeMounts, after.VolumeMounts)
}

// diffList is for lists that only grow at their end and of which single entries change.
func diffList[T any](ops []Operation, at string, before, after []T) []Operation {
	for i := range before {
		if !equality.Semantic.DeepEqual(before[i], after[i]) {
			ops = append(ops, Operation{Op: "replace", Path: at + "/" + strconv.Itoa(i), Value: after[i]})
		}
	}
	for i := len(before); i < len(after); i++ {
		ops = insert(ops, at, i, i, after[i])
	}
	return ops
}

// insert adds a value at place i of a list that has the given length by then. An empty list
// may be missing altogether, so the first value comes as a list.
func insert[T any](ops []Operation, at string, i, length int, value T) []Operation {
	if length == 0 {
		return append(ops, Operation{Op: "add", Path: at, Value: []T{value}})
	}
	return append(ops, Operation{Op: "add", Path: at + "/" + strconv.Itoa(i), Value: value})
}

func diffMap(ops []Operation, at string, before, after map[string]string) []Operation {
	if len(before) == 0 {
		if len(after) == 0 {
			return ops
		}
		return append(ops, Operation{Op: "add", Path: at, Value: after})
	}
	keys := make([]string, 0, len(after))
	for key, value := range after {
		if have, ok := before[key]; !ok || have != value {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		ops = append(ops, Operation{Op: "add", Path: at + "/" + escape(key), Value: after[key]})
	}
	return ops
}

// escape makes a key a segment of a JSON pointer (RFC 6901).
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
