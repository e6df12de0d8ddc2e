// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// obstacleKey is the annotation under which a stripped pod keeps its obstacle. No
// pod of the API server can have it: it is no valid key.
const obstacleKey = "kuda.io//obstacle"

// Cause is why a matching pod lacks the runtime.
type Cause struct {
	// Why is a clause without a subject: the pod's name stands before it.
	Why string
	// Do says what to do about it.
	Do string
	// Restart says that creating the pod again is enough.
	Restart bool
}

func (c Cause) String() string { return c.Why + "; " + c.Do }

// Stripper returns podstate.Strip with one thing added: a pod without the runtime keeps
// what stands in the way of its injection. dataPath says where applications find
// their data; nil: at the default.
func Stripper(dataPath func() string) func(any) (any, error) {
	return func(object any) (any, error) {
		p, ok := object.(*corev1.Pod)
		if !ok {
			return object, nil
		}
		result, err := podstate.Strip(p)
		stripped, ok := result.(*corev1.Pod)
		if err != nil || !ok || podstate.Injected(p) {
			return result, err
		}
		at := ""
		if dataPath != nil {
			at = dataPath()
		}
		if why := podObstacle(p, at); why != "" {
			setAnnotation(stripped, obstacleKey, why)
		}
		if why, ok := p.Annotations[v1alpha1.AnnotationNotInjected]; ok {
			setAnnotation(stripped, v1alpha1.AnnotationNotInjected, why)
		}
		return stripped, nil
	}
}

func setAnnotation(p *corev1.Pod, key, value string) {
	if p.Annotations == nil {
		p.Annotations = make(map[string]string, 1)
	}
	p.Annotations[key] = value
}

// podObstacle returns that of a whole pod, and what a stripped one kept.
func podObstacle(p *corev1.Pod, dataPath string) string {
	if len(p.Spec.Containers) == 0 {
		return p.Annotations[obstacleKey]
	}
	return Obstacle(p, dataPath)
}

// systemNamespaces are those that the webhook's configuration leaves out.
var systemNamespaces = map[string]bool{"kube-system": true, "kuda-system": true}

// WhyUninjected says why a pod that a DataSet selects lacks the runtime. The pod
// is whole or stripped by Stripper; namespaceLabels are nil where they are not known.
func WhyUninjected(p *corev1.Pod, d *v1alpha1.DataSet, namespaceLabels map[string]string, dataPath string) Cause {
	_, annotated := p.Annotations[v1alpha1.AnnotationInjected]
	switch {
	case systemNamespaces[p.Namespace]:
		return Cause{Why: "is in namespace " + p.Namespace + ", where Kuda injects no pod", Do: "run it in another namespace"}
	case namespaceLabels[v1alpha1.LabelInjection] == v1alpha1.InjectionDisabled:
		return Cause{
			Why: fmt.Sprintf("is in a namespace that is opted out (%s=%s)", v1alpha1.LabelInjection, v1alpha1.InjectionDisabled),
			Do:  fmt.Sprintf("remove the label (kubectl label namespace %s %s-), then restart the pod", p.Namespace, v1alpha1.LabelInjection),
		}
	}
	if why := podObstacle(p, dataPath); why != "" {
		return Cause{Why: "cannot be injected: " + why,
			Do: "restarting it does not help; change its workload, or the labels that it is selected by"}
	}
	switch {
	case annotated:
		return Cause{
			Why: fmt.Sprintf("has the annotation %s and no container %s that is a native sidecar: something removed it after Kuda, or "+
				"copied the annotation",
				v1alpha1.AnnotationInjected, sidecar.ContainerName),
			Do: "exempt Kuda's container in other webhooks, or take the annotation out of the pod template; then restart the pod",
		}
	case podstate.HasRuntime(p):
		return Cause{
			Why: fmt.Sprintf("has the container %s and not the annotation %s, as copies of injected pods do (kubectl debug --copy-to)",
				sidecar.ContainerName, v1alpha1.AnnotationInjected),
			Do: "delete the copy when it is of no use any more; create it while kuda-webhook runs to have it injected",
		}
	case p.Annotations[v1alpha1.AnnotationNotInjected] != "":
		return Cause{
			Why: "was not injected when it was created: " + p.Annotations[v1alpha1.AnnotationNotInjected],
			Do:  "remove that cause, then restart the pod",
		}
	case p.CreationTimestamp.IsZero():
	case p.CreationTimestamp.Time.Before(d.CreationTimestamp.Time):
		return Cause{Why: "was created before the DataSet", Do: "restart it, for example with kubectl rollout restart", Restart: true}
	case p.CreationTimestamp.Equal(&d.CreationTimestamp):
		// The API server keeps whole seconds.
		return Cause{Why: "was created before the DataSet or in the same second, before kuda-webhook had seen it",
			Do: "restart it, for example with kubectl rollout restart", Restart: true}
	}
	return Cause{
		Why: "was created while kuda-webhook could not be reached or had not seen the DataSet yet, or before its labels or " +
			"spec.workloadSelector were changed",
		Do: "restart it, for example with kubectl rollout restart", Restart: true,
	}
}
