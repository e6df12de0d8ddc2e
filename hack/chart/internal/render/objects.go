// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// Objects renders the templates as Files does and returns the objects, in the order of
// the templates' names. Two of one name are an error.
func (c *Chart) Objects(namespace string, values map[string]any) ([]*unstructured.Unstructured, error) {
	files, err := c.Files(namespace, values)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	seen := map[string]string{}
	for _, name := range sortedNames(files) {
		if name == "NOTES.txt" {
			continue
		}
		objects, err := Parse([]byte(files[name]))
		if err != nil {
			return nil, fmt.Errorf("reading what %s rendered: %w", name, err)
		}
		for _, o := range objects {
			if first, ok := seen[Key(o)]; ok {
				return nil, fmt.Errorf("reading what %s rendered: %s is in %s, too", name, Key(o), first)
			}
			seen[Key(o)] = name
		}
		all = append(all, objects...)
	}
	return all, nil
}

// Parse returns the objects of a manifest.
func Parse(manifest []byte) ([]*unstructured.Unstructured, error) {
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	var all []*unstructured.Unstructured
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		if len(o.Object) == 0 {
			continue
		}
		if o.GetKind() == "" || o.GetName() == "" {
			return nil, fmt.Errorf("reading a manifest: an object has no kind or no name: %v", o.Object)
		}
		all = append(all, o)
	}
}

// Key names an object in a cluster.
func Key(o *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", o.GroupVersionKind().GroupKind(), o.GetNamespace(), o.GetName())
}
