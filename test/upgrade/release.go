// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// Release is a version of Kuda whose images the cluster's nodes have.
type Release struct {
	// Name is what people call it.
	Name string
	// Manifest is what an operator applies to install it.
	Manifest []byte
}

// ReadRelease returns the release whose manifest is in a file.
func ReadRelease(name, path string) (Release, error) {
	manifest, err := os.ReadFile(path)
	if err != nil {
		return Release{}, fmt.Errorf("reading the release %s: %w", name, err)
	}
	return Release{Name: name, Manifest: manifest}, nil
}

// object is one object of a manifest, and what names it in a cluster.
type object struct {
	Kind     string `json:"kind"`
	Version  string `json:"apiVersion"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace,omitempty"`
	} `json:"metadata"`

	text []byte
}

func (o object) key() string {
	group, _, _ := strings.Cut(o.Version, "/")
	return strings.Join([]string{group, o.Kind, o.Metadata.Namespace, o.Metadata.Name}, " ")
}

// isDefinition reports whether the object is a definition of a kind, or of the policy
// that guards these: a finalizer keeps it as long as they are to stay.
func (o object) isDefinition() bool {
	return o.Kind == "CustomResourceDefinition" || o.Metadata.Name == "kuda-crd-deletion"
}

func (r Release) objects() ([]object, error) {
	var all []object
	for _, text := range bytes.Split(r.Manifest, []byte("\n---\n")) {
		o := object{text: text}
		if err := yaml.Unmarshal(text, &o); err != nil {
			return nil, fmt.Errorf("reading the manifest of %s: %w", r.Name, err)
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
	return all, nil
}

// withoutDefinitions returns the manifest less the kinds it defines. A downgrade
// keeps the newer definitions: with the older ones stored objects would lose the
// fields that these lack.
func (r Release) withoutDefinitions() ([]byte, error) {
	objects, err := r.objects()
	if err != nil {
		return nil, err
	}
	return join(objects, func(o object) bool { return !o.isDefinition() }), nil
}

// onlyIn returns the manifest of what r has and other has not, less definitions.
func (r Release) onlyIn(other Release) ([]byte, error) {
	objects, err := r.objects()
	if err != nil {
		return nil, err
	}
	others, err := other.objects()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, o := range others {
		known[o.key()] = true
	}
	return join(objects, func(o object) bool { return !known[o.key()] && !o.isDefinition() }), nil
}

func join(objects []object, keep func(object) bool) []byte {
	var texts [][]byte
	for _, o := range objects {
		if keep(o) {
			texts = append(texts, o.text)
		}
	}
	return bytes.Join(texts, []byte("\n---\n"))
}
