// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/shorten"
)

const checkPullSecret = "pull-secret"

// nodeNamespace is where kuda-manager makes the pods that look after nodes.
const nodeNamespace = "kuda-node"

// pullSecret is one that pods name, with where it is looked for and is not.
type pullSecret struct {
	name string
	// namespaces have pods that name it; missing are those of them without it.
	namespaces, missing []string
	err                 error
}

// readPullSecrets looks for the installation's pull secrets in the namespaces of
// injected pods. Of Secrets only the metadata is asked for.
func (in *installation) readPullSecrets(ctx context.Context, c client.Client) {
	var namespaces []string
	for i := range in.dataSets.value {
		if n := in.dataSets.value[i].Namespace; !slices.Contains(namespaces, n) {
			namespaces = append(namespaces, n)
		}
	}
	// Of a namespace that is opted out another check speaks.
	namespaces = slices.DeleteFunc(namespaces, func(n string) bool {
		return slices.ContainsFunc(in.namespaces.value, func(o corev1.Namespace) bool {
			return o.Name == n && o.Labels[v1alpha1.LabelInjection] == v1alpha1.InjectionDisabled
		})
	})
	if in.scope == "" && slices.ContainsFunc(in.namespaces.value, func(o corev1.Namespace) bool { return o.Name == nodeNamespace }) {
		namespaces = append(namespaces, nodeNamespace)
	}
	slices.Sort(namespaces)
	if len(namespaces) == 0 {
		return
	}
	for _, r := range readSettings(in.config).RuntimeImagePullSecrets {
		in.pullSecrets = append(in.pullSecrets, lookForSecret(ctx, c, r.Name, in.scope, namespaces))
	}
}

// lookForSecret asks which of the namespaces have a Secret, in one request. Scope
// is the only one of them, or empty.
func lookForSecret(ctx context.Context, c client.Client, name, scope string, namespaces []string) pullSecret {
	s := pullSecret{name: name, namespaces: namespaces}
	if scope != "" {
		if err := getSecret(ctx, c, scope, name); apierrors.IsNotFound(err) {
			s.missing = namespaces
		} else {
			s.err = err
		}
		return s
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if s.err = c.List(ctx, list, client.MatchingFields{metav1.ObjectNameField: name}); s.err != nil {
		return s
	}
	for _, n := range namespaces {
		if !slices.ContainsFunc(list.Items, func(o metav1.PartialObjectMetadata) bool { return o.Namespace == n && o.Name == name }) {
			s.missing = append(s.missing, n)
		}
	}
	return s
}

func getSecret(ctx context.Context, c client.Client, namespace, name string) error {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
}

// readPullSecrets looks for the pull secrets that the DataSet's pods name, and those
// that the installation gives to new ones.
func (s *subject) readPullSecrets(ctx context.Context, c client.Client) {
	names := map[string]bool{}
	for _, r := range readSettings(s.config).RuntimeImagePullSecrets {
		names[r.Name] = true
	}
	for i := range s.pods.value {
		if p := &s.pods.value[i]; podstate.Live(p) && podstate.Injected(p) {
			for _, r := range p.Spec.ImagePullSecrets {
				names[r.Name] = true
			}
		}
	}
	for name := range names {
		if name != "" {
			s.pullSecrets = append(s.pullSecrets, lookForSecret(ctx, c, name, s.dataSet.Namespace, []string{s.dataSet.Namespace}))
		}
	}
	slices.SortFunc(s.pullSecrets, func(a, b pullSecret) int { return strings.Compare(a.name, b.name) })
}

func checkPullSecrets(in *installation) []Finding { return judgePullSecrets(in.pullSecrets) }

// judgePullSecrets says which pull secrets are not there. That need not hurt: the image
// may be on the node, or the registry ask for none.
func judgePullSecrets(secrets []pullSecret) []Finding {
	var findings []Finding
	for _, s := range secrets {
		o := &Object{Kind: "Secret", Namespace: s.namespaces[0], Name: s.name}
		switch {
		case s.err != nil:
			f := unreadFinding(checkPullSecret, o, s.err, nil)
			f.What = "whether this pull secret of pods with the runtime is there: " + f.What
			findings = append(findings, f)
		case len(s.missing) > 0:
			o.Namespace = s.missing[0]
			f := Finding{
				Severity: advice.Warning, Check: checkPullSecret, Object: o, What: "is not there, and pods with the runtime name it as a pull secret",
				Why: "Kubernetes pulls their images without it; where the registry asks for credentials and the image is not on the " +
					"node, they do not start",
				Do: []string{
					"create it in the namespace:",
					fmt.Sprintf("kubectl create secret docker-registry %s -n %s --docker-server=REGISTRY --docker-username=USER "+
						"--docker-password=PASSWORD", advice.Word(s.name), o.Namespace),
					"or take it out of runtimeImagePullSecrets in the ConfigMap " + configName,
				},
			}
			if len(s.missing) > 1 {
				f.What = "is not there, nor in " + shorten.List(s.missing[1:], ", ", shown) + "; pods with the runtime name it as a pull secret"
			}
			findings = append(findings, f)
		}
	}
	return findings
}
