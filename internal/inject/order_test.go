// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// initContainers makes them by name; those that begin with + are sidecars.
func initContainers(names ...string) []corev1.Container {
	var list []corev1.Container
	for _, name := range names {
		c := corev1.Container{Name: strings.TrimPrefix(name, "+")}
		if c.Name != name {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		}
		list = append(list, c)
	}
	return list
}

// orderedPod is a pod that wants its runtime after the named sidecars.
func orderedPod(after string, names ...string) *corev1.Pod {
	return pod(func(p *corev1.Pod) {
		p.Annotations = map[string]string{v1alpha1.AnnotationStartAfter: after}
		p.Spec.InitContainers = initContainers(names...)
	})
}

func namesOf(p *corev1.Pod) string {
	var names []string
	for _, c := range p.Spec.InitContainers {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

func TestTheRuntimeStartsAfterTheSidecarsThatItNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		after string
		have  []string
		want  string
		// absent is in the warning; empty: there is none.
		absent string
	}{
		"nothing named":          {"", []string{"setup", "+proxy"}, "kuda-runtime setup proxy", ""},
		"empty names":            {" , ", []string{"+proxy"}, "kuda-runtime proxy", ""},
		"one sidecar":            {"proxy", []string{"setup", "+proxy", "migrate"}, "setup proxy kuda-runtime migrate", ""},
		"the last of two":        {"auth, proxy", []string{"+proxy", "+auth", "+log"}, "proxy auth kuda-runtime log", ""},
		"one of two is absent":   {"mesh,proxy", []string{"+proxy", "+log"}, "proxy kuda-runtime log", "wait for mesh,"},
		"absent":                 {"proxy", []string{"setup"}, "kuda-runtime setup", "wait for proxy,"},
		"no init containers":     {"proxy", nil, "kuda-runtime", "wait for proxy,"},
		"not a sidecar":          {"setup", []string{"setup", "+proxy"}, "kuda-runtime setup proxy", "wait for setup,"},
		"the application itself": {"app", []string{"+proxy"}, "kuda-runtime proxy", "wait for app,"},
		"Kuda's own":             {"kuda-runtime", []string{"+proxy"}, "kuda-runtime proxy", "wait for kuda-runtime,"},
	} {
		req := request(orderedPod(c.after, c.have...))
		got := mustInject(t, req)
		if namesOf(got) != c.want {
			t.Errorf("%s: %s, want %s", name, namesOf(got), c.want)
		}
		warnings := strings.Join(Warnings(got, &req.Settings, req.DataSets), "\n")
		if (c.absent == "") != (warnings == "") || !strings.Contains(warnings, c.absent) {
			t.Errorf("%s: warned %q", name, warnings)
		}
		if diff := cmp.Diff(apply(t, got, nil), apply(t, req.Pod, Patch(req.Pod, got))); diff != "" {
			t.Errorf("%s: the patch (-want +got):\n%s", name, diff)
		}
		runtime := slices.IndexFunc(got.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == sidecar.ContainerName })
		for i, container := range got.Spec.InitContainers {
			if mounts := findView(&container) >= 0; i != runtime && mounts != (i > runtime) {
				t.Errorf("%s: %s has the view: %t", name, container.Name, mounts)
			}
		}
	}
}

// A webhook that is called after Kuda's adds its sidecar, and Kuda's is called again.
func TestASidecarThatIsAddedLaterStartsBeforeTheRuntime(t *testing.T) {
	for name, c := range map[string]struct {
		before []string
		late   func([]corev1.Container) []corev1.Container
		want   string
	}{
		"first": {[]string{"migrate"}, func(list []corev1.Container) []corev1.Container {
			return append(initContainers("setup", "+proxy"), list...)
		}, "setup proxy kuda-plugin-sftp kuda-runtime migrate"},
		"last": {[]string{"migrate", "+log"}, func(list []corev1.Container) []corev1.Container {
			return append(list, initContainers("+proxy")...)
		}, "migrate log proxy kuda-plugin-sftp kuda-runtime"},
		"between Kuda's": {nil, func(list []corev1.Container) []corev1.Container {
			return slices.Insert(list, 1, initContainers("+proxy")...)
		}, "proxy kuda-plugin-sftp kuda-runtime"},
	} {
		req := request(orderedPod("proxy", c.before...))
		req.DataSets = []*v1alpha1.DataSet{dataSet("all", everySource)}
		again := mustInject(t, req)
		if !strings.HasPrefix(namesOf(again), "kuda-plugin-sftp kuda-runtime") {
			t.Errorf("%s: at first %s", name, namesOf(again))
		}
		again.Spec.InitContainers = c.late(again.Spec.InitContainers)
		req.Pod = again
		got := mustInject(t, req)
		if namesOf(got) != c.want {
			t.Errorf("%s: %s, want %s", name, namesOf(got), c.want)
		}
		if warnings := Warnings(got, &req.Settings, req.DataSets); len(warnings) != 0 {
			t.Errorf("%s: warned %q", name, warnings)
		}
		if diff := cmp.Diff(apply(t, got, nil), apply(t, again, Patch(again, got))); diff != "" {
			t.Errorf("%s: the patch (-want +got):\n%s", name, diff)
		}
		for _, container := range got.Spec.InitContainers {
			if container.Name == sidecar.ContainerName {
				break
			}
			if findView(&container) >= 0 {
				t.Errorf("%s: %s keeps a mount of the view", name, container.Name)
			}
		}
	}
}
