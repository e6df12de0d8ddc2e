// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/insight/advice"
)

const checkPodSecurity = "pod-security"

// labelEnforce is where a namespace names the Pod Security level that holds in it.
const labelEnforce = "pod-security.kubernetes.io/enforce"

// tryHostPath has the API server judge, without creating it, a pod that mounts a
// directory of its node, where kuda-webhook would make such ones: the API server's
// own configuration may forbid them in namespaces that say nothing.
func (in *installation) tryHostPath(ctx context.Context, c client.Client, home string) {
	s := readSettings(in.config)
	if in.config.err != nil || s.NodeDriver != "" || cmp.Or(s.StoreMode, inject.StoreAuto) != inject.StoreAuto ||
		cmp.Or(s.PodSecurityDefault, "privileged") != "privileged" {
		return
	}
	unlabelled := slices.ContainsFunc(in.namespaces.value, func(n corev1.Namespace) bool {
		_, labelled := n.Labels[labelEnforce]
		return n.Name == home && !labelled
	})
	if unlabelled {
		in.hostPath = fact[string]{home, c.Create(ctx, hostPathPod(home), client.DryRunAll)}
	}
}

// hostPathPod is one that nothing but the Pod Security level baseline refuses.
func hostPathPod(namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: probeName + "-", Namespace: namespace},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "probe", Image: "probe.invalid/probe"}},
			Volumes: []corev1.Volume{{Name: "host", VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/kuda"}}}},
		},
	}
}

// checkHostPath speaks of an API server that forbids what kuda-webhook would do.
func checkHostPath(in *installation) []Finding {
	if in.hostPath.err == nil || !strings.Contains(in.hostPath.err.Error(), "violates PodSecurity") {
		return nil
	}
	return []Finding{{
		Severity: advice.Problem, Check: checkPodSecurity, Object: &Object{Kind: "Namespace", Name: in.hostPath.value},
		What: "forbids hostPath volumes, though it has no label that says so (dry run)",
		Why: "the API server's own configuration enforces a Pod Security level in namespaces that name none; kuda-webhook does not know that, " +
			"and gives pods there volumes that are refused",
		Do: []string{
			"install kuda-node, whose volumes every level admits:", installNode,
			"or name the level in the ConfigMap " + configName + ", for stores of the pods' own: podSecurityDefault: baseline",
		},
	}}
}
