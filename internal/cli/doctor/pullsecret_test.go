// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

func configWithPullSecrets(names string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: configName},
		Data:       map[string]string{configKey: "runtimeImagePullSecrets: [" + names + "]\n"},
	}
}

func newSecret(namespace, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func TestAMissingPullSecretOfANamespaceIsFound(t *testing.T) {
	delivered := condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "1/1 pods have their data")
	objects := append(sound(t), configWithPullSecrets("{name: here}, {name: key}"),
		dataSet("lab", "models", delivered), dataSet("closed", "models", delivered),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: nodeNamespace}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "closed",
			Labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}}},
		newSecret("lab", "here"), newSecret("shop", "here"), newSecret(nodeNamespace, "here"), newSecret("default", "key"),
		newSecret("lab", "key"))
	for name, c := range map[string]struct {
		args    []string
		refuse  func(kind, namespace string) error
		want    []string
		without []string
	}{
		"everywhere": {nil, nil, []string{"Secret kuda-node/key: is not there, nor in shop",
			"kubectl create secret docker-registry key -n kuda-node"}, []string{"closed/", "/here"}},
		"of one": {[]string{"-n", "shop"}, nil, []string{"Secret shop/key: is not there, and"}, []string{"kuda-node", "shop/here"}},
		"not seen": {nil, forbid("Secret"), []string{"whether this pull secret of pods with the runtime is there: you may not read this"},
			[]string{"docker-registry"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := cluster{objects: objects, probe: errRefused, refuse: c.refuse}.run(t, c.args...)
			clitest.WantExit(t, err, frame.ExitDone)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			for _, without := range c.without {
				if strings.Contains(out, without) {
					t.Errorf("%q in\n%s", without, out)
				}
			}
		})
	}
}

func TestAMissingPullSecretThatAPodNamesIsFound(t *testing.T) {
	delivered := condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "1/1 pods have their data")
	p := podOf("web-1", time.Minute, func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "older"}} })
	objects := []client.Object{dataSet("shop", "models", delivered), p, data("models", "web-1", delivered),
		configWithPullSecrets("{name: newer}"), newSecret("other", "newer")}
	out, err := cluster{objects: objects}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitDone)
	for _, want := range []string{"Secret shop/older: is not there", "Secret shop/newer: is not there", "2 warnings"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	// Most users may not read the configuration.
	out, err = cluster{objects: objects, refuse: forbid("ConfigMap", "Secret")}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitDone)
	if !strings.Contains(out, "Secret shop/older: whether this pull secret of pods with the runtime is there: you may not read this") ||
		strings.Contains(out, "newer") {
		t.Error(out)
	}
}
