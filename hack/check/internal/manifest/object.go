// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Object is one object of a manifest, as far as it matters here.
type Object struct {
	// Name is Kind/name, or the file's name for an injected pod.
	Name string
	// Pod is the pod that the object is or makes; nil when it makes none.
	Pod *Pod
	// Rules are those of a Role or ClusterRole.
	Rules []rbacv1.PolicyRule
}

// Pod is a pod or a pod's template.
type Pod struct {
	Meta metav1.ObjectMeta
	Spec corev1.PodSpec
	// Injected says that only the containers that Kuda added are judged.
	Injected bool
}

// judged reports whether a container of the pod is Kuda's to answer for.
func (p *Pod) judged(container string) bool {
	return !p.Injected || strings.HasPrefix(container, "kuda-")
}

type document struct {
	Kind     string              `json:"kind"`
	Metadata metav1.ObjectMeta   `json:"metadata"`
	Spec     json.RawMessage     `json:"spec"`
	Rules    []rbacv1.PolicyRule `json:"rules"`
}

// ReadInstall returns the objects of a file that is applied to a cluster.
func ReadInstall(file string) ([]Object, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading manifests: %w", err)
	}
	var objects []Object
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		var doc document
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if doc.Kind == "" {
			continue
		}
		o := Object{Name: doc.Kind + "/" + doc.Metadata.Name, Rules: doc.Rules}
		if o.Pod, err = podOf(doc); err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w", o.Name, file, err)
		}
		objects = append(objects, o)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("%s holds no object", file)
	}
	return objects, nil
}

func podOf(doc document) (*Pod, error) {
	var spec struct {
		Template    *corev1.PodTemplateSpec `json:"template"`
		JobTemplate *struct {
			Spec struct {
				Template *corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`
	}
	switch doc.Kind {
	case "Pod":
		p := &Pod{Meta: doc.Metadata}
		return p, json.Unmarshal(doc.Spec, &p.Spec)
	case "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job", "CronJob":
	default:
		return nil, nil
	}
	if err := json.Unmarshal(doc.Spec, &spec); err != nil {
		return nil, err
	}
	template := spec.Template
	if spec.JobTemplate != nil {
		template = spec.JobTemplate.Spec.Template
	}
	if template == nil {
		return nil, errors.New("it has no pod template")
	}
	return &Pod{Meta: template.ObjectMeta, Spec: template.Spec}, nil
}

// ReadInjected returns the pod in a file that the webhook's tests hold as what
// the webhook makes of a pod.
func ReadInjected(file string) (Object, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Object{}, fmt.Errorf("reading an injected pod: %w", err)
	}
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict(data, &pod); err != nil {
		return Object{}, fmt.Errorf("reading %s: %w", file, err)
	}
	p := &Pod{Meta: pod.ObjectMeta, Spec: pod.Spec, Injected: true}
	o := Object{Name: "injected/" + strings.TrimSuffix(filepath.Base(file), ".yaml"), Pod: p}
	for _, c := range pod.Spec.InitContainers {
		if p.judged(c.Name) {
			return o, nil
		}
	}
	return Object{}, fmt.Errorf("%s has no container of Kuda's", file)
}
