// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// checkRuntimes speaks of pods whose runtime cannot live. What such a one
// reported last may be a success.
func checkRuntimes(s *subject) []Finding {
	var findings []Finding
	for _, p := range s.injectedPods() {
		if why := imagePullFailure(p); why != "" {
			findings = append(findings, Finding{
				Severity: advice.Problem, Check: checkRuntime, Object: podObject(p), What: "the image of Kuda's container cannot be pulled: " + why,
				Why: "the pod does not start without it; the image, and the Secrets to pull it by, are those of the installation (runtimeImage, " +
					"runtimeImagePullSecrets)",
				Do: []string{describePod(p), "kubectl get configmap " + configName + " -n " + s.system + " -o yaml"},
			})
		}
		if !podstate.Dies(p, s.now) || runtimeLacksPort(p) {
			continue // another check knows why
		}
		findings = append(findings, Finding{
			Severity: advice.Problem, Check: checkRuntime, Object: podObject(p),
			What: "Kuda's container ends again and again",
			Why:  "it keeps what the pod has and gets nothing new; if it began with a change of the DataSet, applying the earlier template heals it",
			Do:   []string{logsCommand(p, sidecar.ContainerName, runtimeEndedBefore(p))},
		})
	}
	return findings
}

func runtimeEndedBefore(p *corev1.Pod) bool {
	return !slices.ContainsFunc(p.Status.InitContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.Name == sidecar.ContainerName && !endedBefore(&c)
	})
}

func describePod(p *corev1.Pod) string {
	return "kubectl describe pod " + p.Name + " -n " + p.Namespace
}

// imagePullFailure says why the image of one of Kuda's containers cannot be had; empty: it can.
func imagePullFailure(p *corev1.Pod) string {
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		waits := c.State.Waiting
		if waits == nil || c.Name != sidecar.ContainerName && !strings.HasPrefix(c.Name, sidecar.PluginPrefix) {
			continue
		}
		switch waits.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable",
			"SignatureValidationFailed":
			return strings.TrimSpace(c.Image + ": " + waits.Reason + ": " + waits.Message)
		}
	}
	return ""
}
