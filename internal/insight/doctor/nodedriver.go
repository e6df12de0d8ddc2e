// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/insight/plural"
	"github.com/kuda-io/kuda/internal/shorten"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const checkNodeDriver = "node-driver"

// Names of what kuda-node has, as deploy/node writes them.
const (
	driverName        = "kuda-node"
	volumesPolicyName = "kuda-node-volumes"
	imagesName        = "kuda-node-images"
	// envRuntimeImage of kuda-webhook is the image where the configuration names none.
	envRuntimeImage = "KUDA_RUNTIME_IMAGE"
)

// mountPatience is how long after the kubelet's last try a pod may still wait: it tries
// again after two minutes at most.
const mountPatience = 5 * time.Minute

// maxWaiting bounds the pods that are asked for because an event names them.
const maxWaiting = 20

const installNode = "kubectl apply --server-side -f install/kuda-node.yaml"

// nodeDriver is what is known of kuda-node. Nothing of it is read where the
// installation does not use it.
type nodeDriver struct {
	used      bool
	driver    fact[*storagev1.CSIDriver]
	daemonSet fact[*appsv1.DaemonSet]
	policy    fact[*admissionregistrationv1.ValidatingAdmissionPolicy]
	binding   fact[*admissionregistrationv1.ValidatingAdmissionPolicyBinding]
	images    fact[*corev1.ConfigMap]
	nodes     fact[[]storagev1.CSINode]
	// waiting are the pods whose volumes the kubelet could not have made.
	waiting fact[[]corev1.Pod]
}

// readNodeDriver reads what there is of kuda-node, where the configuration says that
// it is used, or its driver is there.
func (in *installation) readNodeDriver(ctx context.Context, c client.Client) {
	n := &in.node
	n.driver = readFact(ctx, c, "", sidecar.CSIDriver, &storagev1.CSIDriver{})
	n.used = readSettings(in.config).NodeDriver != "" || n.driver.err == nil
	if !n.used {
		return
	}
	n.daemonSet = readFact(ctx, c, nodeNamespace, driverName, &appsv1.DaemonSet{})
	n.policy = readFact(ctx, c, "", volumesPolicyName, &admissionregistrationv1.ValidatingAdmissionPolicy{})
	n.binding = readFact(ctx, c, "", volumesPolicyName, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{})
	n.images = readFact(ctx, c, nodeNamespace, imagesName, &corev1.ConfigMap{})
	var nodes storagev1.CSINodeList
	n.nodes.err = c.List(ctx, &nodes)
	n.nodes.value = nodes.Items
	n.waiting = in.readWaiting(ctx, c)
}

// readWaiting returns pods that the kubelet could not give their volumes lately, by
// its events, and that have not started since.
func (in *installation) readWaiting(ctx context.Context, c client.Client) fact[[]corev1.Pod] {
	var events corev1.EventList
	if err := c.List(ctx, &events, client.InNamespace(in.scope), client.MatchingFields{"reason": "FailedMount"}); err != nil {
		return fact[[]corev1.Pod]{err: err}
	}
	var keys []client.ObjectKey
	for i := range events.Items {
		e := &events.Items[i]
		last := e.LastTimestamp.Time
		if e.Series != nil {
			last = e.Series.LastObservedTime.Time
		} else if last.IsZero() {
			last = e.EventTime.Time
		}
		key := client.ObjectKey{Namespace: e.InvolvedObject.Namespace, Name: e.InvolvedObject.Name}
		if e.InvolvedObject.Kind == "Pod" && strings.Contains(e.Message, sidecar.CSIDriver) && in.now.Sub(last) < mountPatience &&
			!slices.Contains(keys, key) && len(keys) < maxWaiting {
			keys = append(keys, key)
		}
	}
	var waiting fact[[]corev1.Pod]
	for _, key := range keys {
		p := &corev1.Pod{}
		switch err := c.Get(ctx, key, p); {
		case apierrors.IsNotFound(err):
		case err != nil:
			waiting.err = err
		case p.Status.Phase == corev1.PodPending && usesDriver(p):
			waiting.value = append(waiting.value, *p)
		}
	}
	return waiting
}

func usesDriver(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.CSI != nil && v.CSI.Driver == sidecar.CSIDriver })
}

// checkNode judges kuda-node.
func checkNode(in *installation) []Finding {
	if !in.node.used {
		return nil
	}
	findings := in.judgeDriverUse()
	findings = append(findings, in.judgeDriverObject(), in.judgeDaemonSet())
	findings = append(findings, in.judgeVolumesPolicy(), in.judgeImages(), in.judgeNodes())
	return append(findings, in.judgeWaiting()...)
}

// judgeDriverUse speaks of a kuda-node that the installation does not use.
func (in *installation) judgeDriverUse() []Finding {
	if in.config.err != nil || readSettings(in.config).NodeDriver != "" {
		return nil
	}
	return []Finding{{
		Severity: advice.Warning, Check: checkNodeDriver, Object: in.newObject("ConfigMap", configName),
		What: "does not name kuda-node's driver, which is installed",
		Why:  "pods mount node stores from the node, or have stores of their own where that is forbidden, and kuda-node has nothing to do",
		Do:   []string{"set nodeDriver: " + sidecar.CSIDriver + " in it, or remove kuda-node"},
	}}
}

func (in *installation) judgeDriverObject() Finding {
	o := &Object{Kind: "CSIDriver", Name: sidecar.CSIDriver}
	if in.node.driver.err != nil {
		return unreadFinding(checkNodeDriver, o, in.node.driver.err, &Finding{
			Severity: advice.Problem, Check: checkNodeDriver, Object: o, What: "is not there, and kuda-config names it (nodeDriver)",
			Why: "kubelets make no inline volume of a driver that they do not know, so new pods with data do not start",
			Do:  []string{"install kuda-node, or take nodeDriver out of the ConfigMap " + configName + ":", installNode},
		})
	}
	if wrong, why := driverFault(&in.node.driver.value.Spec); wrong != "" {
		return Finding{Severity: advice.Problem, Check: checkNodeDriver, Object: o, What: "has " + wrong, Why: why,
			Do: []string{"make it again as it is released:", "kubectl delete csidriver " + sidecar.CSIDriver, installNode}}
	}
	return okFinding(checkNodeDriver, o, "is as kuda-node needs it")
}

// driverFault returns what in the object is not as kuda-node needs it, and what that
// leads to.
func driverFault(s *storagev1.CSIDriverSpec) (wrong, why string) {
	switch {
	case s.PodInfoOnMount == nil || !*s.PodInfoOnMount:
		return "podInfoOnMount: false", "the kubelet does not tell kuda-node whose volume it is to make, so it makes none"
	case s.FSGroupPolicy == nil || *s.FSGroupPolicy != storagev1.NoneFSGroupPolicy:
		return "an fsGroupPolicy that is not None", "the kubelet may change the group and the mode of all files of a store when a pod with an " +
			"fsGroup starts"
	case s.AttachRequired == nil || *s.AttachRequired:
		return "attachRequired: true", "pods wait until something attaches their volumes, and nothing does"
	case !slices.Contains(s.VolumeLifecycleModes, storagev1.VolumeLifecycleEphemeral):
		return "no volumeLifecycleMode Ephemeral", "kubelets refuse to make its inline volumes"
	}
	return "", ""
}

func (in *installation) judgeDaemonSet() Finding {
	o := &Object{Kind: "DaemonSet", Namespace: nodeNamespace, Name: driverName}
	const consequence = "new pods with data wait on the nodes without it, and deleted ones stay; those that run are not affected"
	d := in.node.daemonSet
	if d.err != nil {
		return unreadFinding(checkNodeDriver, o, d.err, &Finding{
			Severity: advice.Problem, Check: checkNodeDriver, Object: o, What: "is not there", Why: consequence, Do: []string{installNode},
		})
	}
	wanted, ready := d.value.Status.DesiredNumberScheduled, d.value.Status.NumberReady
	f := okFinding(checkNodeDriver, o, "is ready on %d of %d nodes", ready, wanted)
	if ready < wanted || wanted == 0 {
		f.Severity, f.Why = advice.Warning, consequence
		if ready == 0 {
			f.Severity = advice.Problem
		}
		f.Do = []string{"see what keeps its pods from being ready:", "kubectl get pods -n " + nodeNamespace + " -o wide",
			"kubectl logs -n " + nodeNamespace + " daemonset/" + driverName + " --all-containers --tail 50"}
		return f
	}
	manager, tags := in.imageTag(managerName), containerTags(&d.value.Spec.Template.Spec)
	if i := slices.IndexFunc(tags, func(tag string) bool { return manager != "" && tag != "" && tag != manager }); i >= 0 {
		f.Severity, f.What = advice.Warning, fmt.Sprintf("is %s, kuda-manager %s", tags[i], manager)
		f.Why, f.Do = "the installation was upgraded in part", []string{"apply one release as a whole:", install, installNode}
	}
	return f
}

func containerTags(spec *corev1.PodSpec) []string {
	var tags []string
	for i := range spec.Containers {
		tags = append(tags, tagOf(spec.Containers[i].Image))
	}
	return tags
}

func (in *installation) judgeVolumesPolicy() Finding {
	o := &Object{Kind: "ValidatingAdmissionPolicy", Name: volumesPolicyName}
	missing := &Finding{
		Severity: advice.Problem, Check: checkNodeDriver, Object: o, What: "is not in force",
		Why: "whoever may create pods in a namespace may write in its node stores, and so change what its other pods read",
		Do:  []string{"install it again:", installNode},
	}
	for _, err := range []error{in.node.policy.err, in.node.binding.err} {
		if err != nil {
			return unreadFinding(checkNodeDriver, o, err, missing)
		}
	}
	if !slices.Contains(in.node.binding.value.Spec.ValidationActions, admissionregistrationv1.Deny) {
		return *missing
	}
	return okFinding(checkNodeDriver, o, "is in force")
}

// judgeImages compares the runtime's image with those that the policy admits.
func (in *installation) judgeImages() Finding {
	o := &Object{Kind: "ConfigMap", Namespace: nodeNamespace, Name: imagesName}
	if in.node.images.err != nil {
		return unreadFinding(checkNodeDriver, o, in.node.images.err, &Finding{
			Severity: advice.Problem, Check: checkNodeDriver, Object: o, What: "is not there",
			Why: "the policy " + volumesPolicyName + " refuses every pod with a node store without it", Do: []string{installNode},
		})
	}
	image := in.runtimeImage()
	admitted := append(strings.Split(in.node.images.value.Data["more"], "\n"), in.node.images.value.Data["runtime"])
	if image == "" || slices.ContainsFunc(admitted, func(line string) bool { return strings.TrimSpace(line) == image }) {
		return okFinding(checkNodeDriver, o, "names the image that kuda-webhook puts into pods")
	}
	return Finding{
		Severity: advice.Problem, Check: checkNodeDriver, Object: o, What: "does not name " + image + ", which kuda-webhook puts into pods",
		Why: "the policy " + volumesPolicyName + " refuses these pods",
		Do: []string{"name it there, under the key more:",
			"kubectl edit configmap " + imagesName + " -n " + nodeNamespace},
	}
}

// runtimeImage is the one that new pods get; empty where that is not known.
func (in *installation) runtimeImage() string {
	if image := readSettings(in.config).RuntimeImage; image != "" {
		return image
	}
	d := in.deployments[webhookName]
	if d.err != nil || in.config.err != nil {
		return ""
	}
	for i := range d.value.Spec.Template.Spec.Containers {
		for _, e := range d.value.Spec.Template.Spec.Containers[i].Env {
			if e.Name == envRuntimeImage {
				return e.Value
			}
		}
	}
	return ""
}

func (in *installation) judgeNodes() Finding {
	o := &Object{Kind: "CSINode", Name: "*"}
	if in.node.nodes.err != nil {
		return unreadFinding(checkNodeDriver, o, in.node.nodes.err, nil)
	}
	var without []string
	for i := range in.node.nodes.value {
		n := &in.node.nodes.value[i]
		if !slices.ContainsFunc(n.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == sidecar.CSIDriver }) {
			without = append(without, n.Name)
		}
	}
	if len(without) == 0 {
		return okFinding(checkNodeDriver, nil, "the kubelets of %s know kuda-node's driver", plural.Count(len(in.node.nodes.value), "node"))
	}
	slices.Sort(without)
	o.Name = without[0]
	return Finding{
		Severity: advice.Warning, Check: checkNodeDriver, Object: o,
		What: "the kubelet of " + shorten.List(without, ", ", shown) + " does not know kuda-node's driver",
		Why:  "new pods with data wait there, and deleted ones stay",
		Do: []string{
			"see whether kuda-node runs there:", "kubectl get pods -n " + nodeNamespace + " -o wide",
			"where it cannot (virtual nodes, Fargate), give the pods stores of their own:",
			"kubectl label namespace NAMESPACE " + v1alpha1.LabelStore + "=" + v1alpha1.StorePod,
		},
	}
}

func (in *installation) judgeWaiting() []Finding {
	w := in.node.waiting
	if len(w.value) == 0 {
		if w.err == nil {
			return nil
		}
		f := unreadFinding(checkNodeDriver, &Object{Kind: "Event", Name: "FailedMount"}, w.err, nil)
		return []Finding{f}
	}
	p := &w.value[0]
	f := Finding{
		Severity: advice.Problem, Check: checkNodeDriver, Object: podObject(p),
		What: "waits for its volumes of kuda-node on node " + p.Spec.NodeName,
		Why:  "the kubelet cannot have them made: its event FailedMount says why; it tries again after two minutes at most",
		Do: []string{fmt.Sprintf("kubectl describe pod %s -n %s", p.Name, p.Namespace),
			"kubectl logs -n " + nodeNamespace + " daemonset/" + driverName + " -c driver --all-pods --tail 50"},
	}
	if more := len(w.value) - 1; more > 0 {
		f.What = fmt.Sprintf("and %d more pods wait for their volumes of kuda-node", more)
	}
	return []Finding{f}
}
