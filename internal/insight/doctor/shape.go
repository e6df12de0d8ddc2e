// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/internal/source/local"
)

const (
	checkMode  = "mode"
	checkOrder = "order"
)

func podObject(p *corev1.Pod) *Object {
	return &Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}
}

// injectedPods are the DataSet's pods that carry the runtime and live.
func (s *subject) injectedPods() []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range s.pods.value {
		if p := &s.pods.value[i]; podstate.Selects(s.dataSet.Spec.WorkloadSelector, p) && podstate.Live(p) && podstate.Injected(p) {
			pods = append(pods, p)
		}
	}
	return pods
}

// checkModes speaks of items that applications cannot read. Pods of one workload say
// the same, which is said once.
func checkModes(s *subject) []Finding {
	var findings []Finding
	said := map[string]bool{}
	for _, p := range s.injectedPods() {
		for _, what := range inject.Unreadable(p, []*v1alpha1.DataSet{s.dataSet}) {
			if said[what] {
				continue
			}
			said[what] = true
			findings = append(findings, Finding{
				Severity: advice.Warning, Check: checkMode, Object: podObject(p), What: what,
				Why: "spec.template.dataItems[].mode is exact, and the pod's security contexts make the container another user",
				Do:  []string{"change the mode, or leave it out:", "kubectl edit dataset " + s.dataSet.Name + " -n " + s.dataSet.Namespace},
			})
		}
	}
	return findings
}

// checkOrders speaks of sidecars that the runtime is to start after, and does not.
func checkOrders(s *subject) []Finding {
	var findings []Finding
	said := map[string]bool{}
	nearby := loopbackSource(&s.dataSet.Spec.Template.DataSources)
	for _, p := range s.injectedPods() {
		f := Finding{Severity: advice.Warning, Check: checkOrder, Object: podObject(p)}
		absent, later := inject.AbsentSidecars(p), laterSidecars(p)
		switch {
		case len(absent) > 0:
			f.What = fmt.Sprintf("its annotation %s names %s, and the pod has no sidecar of that name", v1alpha1.AnnotationStartAfter,
				strings.Join(absent, ", "))
			f.Why = "the runtime does not wait for it; sidecars are init containers with restartPolicy Always"
			f.Do = []string{"correct the name in the pod template, or have the container added as a native sidecar; then restart the workload"}
		case nearby != "" && len(later) > 0 && p.Status.Phase == corev1.PodPending:
			f.Severity = advice.Problem
			f.What = fmt.Sprintf("its source is %s in the pod itself, and %s starts after the runtime", nearby, strings.Join(later, ", "))
			f.Why = "the runtime waits for the source, and the sidecar for the runtime"
			f.Do = []string{fmt.Sprintf("name the sidecar through which the source is reached in the pod template, and restart the workload: %s: %s",
				v1alpha1.AnnotationStartAfter, later[0])}
		default:
			continue
		}
		if !said[f.What] {
			said[f.What] = true
			findings = append(findings, f)
		}
	}
	return findings
}

// laterSidecars are those of the pod's own that start after the runtime.
func laterSidecars(p *corev1.Pod) []string {
	at := slices.IndexFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == sidecar.ContainerName })
	var names []string
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if i > at && !strings.HasPrefix(c.Name, sidecar.PluginPrefix) && podstate.IsNativeSidecar(c) {
			names = append(names, c.Name)
		}
	}
	return names
}

// loopbackSource returns the address by which a source is reached in the pod itself;
// empty if none is.
func loopbackSource(sources *v1alpha1.DataSources) string {
	for _, s := range sourcekind.Describe(sources, nil) {
		for _, server := range s.ReferencesTo(sourcekind.HTTPServer, sourcekind.OtherServer) {
			if local.Named(server.Name) == local.Pod {
				return server.Name
			}
		}
	}
	return ""
}
