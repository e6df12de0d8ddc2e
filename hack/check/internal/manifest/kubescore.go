// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

// gradeOK is kube-score's grade of a check that found nothing.
const gradeOK = 10

type scored struct {
	TypeMeta struct {
		Kind string `json:"kind"`
	} `json:"type_meta"`
	ObjectMeta struct {
		Name string `json:"name"`
	} `json:"object_meta"`
	Checks []struct {
		Check struct {
			ID string `json:"id"`
		} `json:"check"`
		Grade    int  `json:"grade"`
		Skipped  bool `json:"skipped"`
		Comments []struct {
			Path    string `json:"path"`
			Summary string `json:"summary"`
		} `json:"comments"`
	} `json:"checks"`
}

// KubeScore runs kube-score, a scanner for manifests.
type KubeScore struct {
	// Program is its path.
	Program string
	// Version is that of Kubernetes, like "v1.37".
	Version string
}

// ScoreInstall judges the files that are applied to a cluster, together.
func (k KubeScore) ScoreInstall(ctx context.Context, files []string) ([]exception.Finding, error) {
	return k.run(ctx, files, func(o scored, container string) (string, bool) {
		where := o.TypeMeta.Kind + "/" + o.ObjectMeta.Name
		if container != "" {
			where += "/" + container
		}
		return where, true
	})
}

// ScoreInjected judges Kuda's containers in an injected pod.
func (k KubeScore) ScoreInjected(ctx context.Context, o Object) ([]exception.Finding, error) {
	pod := corev1.Pod{ObjectMeta: o.Pod.Meta, Spec: o.Pod.Spec}
	pod.APIVersion, pod.Kind = "v1", "Pod"
	data, err := yaml.Marshal(pod)
	if err != nil {
		return nil, fmt.Errorf("writing an injected pod: %w", err)
	}
	dir, err := os.MkdirTemp("", "kuda-check-")
	if err != nil {
		return nil, fmt.Errorf("writing an injected pod: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "pod.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, fmt.Errorf("writing an injected pod: %w", err)
	}
	return k.run(ctx, []string{file}, func(_ scored, container string) (string, bool) {
		return o.Name + "/" + container, container != "" && o.Pod.judged(container)
	})
}

func (k KubeScore) run(ctx context.Context, files []string, place func(scored, string) (string, bool)) ([]exception.Finding, error) {
	args := append([]string{"score", "--output-format", "json", "--kubernetes-version", k.Version,
		"--disable-ignore-checks-annotations",
		"--enable-optional-test", "container-seccomp-profile,container-ports-check"}, files...)
	cmd := exec.CommandContext(ctx, k.Program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// It ends with 1 when it found something: the report counts, not the code.
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("running kube-score: %w", err)
	}
	var objects []scored
	if err := json.Unmarshal(stdout.Bytes(), &objects); err != nil {
		return nil, fmt.Errorf("reading kube-score's report: %w: %s", err, stderr.String())
	}
	if len(objects) == 0 {
		return nil, errors.New("kube-score judged no object")
	}
	return collect(objects, place), nil
}

func collect(objects []scored, place func(scored, string) (string, bool)) []exception.Finding {
	var findings []exception.Finding
	for _, o := range objects {
		for _, c := range o.Checks {
			if c.Skipped || c.Grade >= gradeOK {
				continue
			}
			for _, comment := range c.Comments {
				if where, ok := place(o, comment.Path); ok {
					findings = append(findings, exception.Finding{ID: c.Check.ID, Where: where, Message: comment.Summary})
				}
			}
		}
	}
	return findings
}
