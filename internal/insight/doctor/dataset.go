// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	"github.com/kuda-io/kuda/internal/domain/verdict"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/insight/plural"
)

const (
	checkRollout   = "rollout"
	checkInjection = "injection"
	checkPrefetch  = "prefetch"
	checkReference = "reference"
	checkRuntime   = "runtime"
)

// subject is what is known of one DataSet.
type subject struct {
	now        time.Time
	dataSet    *v1alpha1.DataSet
	pods       fact[[]corev1.Pod]
	data       fact[[]v1alpha1.Data]
	namespace  fact[*corev1.Namespace]
	references []reference
	// caches are those in front of its sources that are Services.
	caches []cacheServer
	// pullSecrets are those that its pods name.
	pullSecrets []pullSecret
	// endings are its applications' containers that end again and again.
	endings []ending
	// refusals are its workloads that cannot create pods.
	refusals []refusal
	// system is the namespace that Kuda is installed in.
	system    string
	scheduler fact[*appsv1.Deployment]
	// config is the installation's; where it cannot be read, defaults are assumed.
	config fact[*corev1.ConfigMap]
}

// reference is an object that a source names, with what looking for it led to.
type reference struct {
	kind, name string
	err        error
}

// readSubject reads what belongs to a DataSet. Nothing that cannot be read stops it.
func readSubject(ctx context.Context, c client.Client, logs lastWords, system string, d *v1alpha1.DataSet, now time.Time) *subject {
	s, key := &subject{now: now, system: system, dataSet: d}, client.ObjectKeyFromObject(d)
	var pods corev1.PodList
	err := c.List(ctx, &pods, client.InNamespace(key.Namespace), client.MatchingLabels(s.dataSet.Spec.WorkloadSelector))
	s.pods = fact[[]corev1.Pod]{pods.Items, err}
	var data v1alpha1.DataList
	err = c.List(ctx, &data, client.InNamespace(key.Namespace), client.MatchingLabels{v1alpha1.LabelDataSet: key.Name})
	s.data = fact[[]v1alpha1.Data]{data.Items, err}
	s.namespace = readFact(ctx, c, "", key.Namespace, &corev1.Namespace{})
	s.config = readFact(ctx, c, system, configName, &corev1.ConfigMap{})
	s.scheduler = readFact(ctx, c, system, schedulerName, &appsv1.Deployment{})
	s.readPullSecrets(ctx, c)
	s.readCaches(ctx, c)
	s.readEndings(ctx, logs)
	s.readRefusals(ctx, c)
	for _, r := range sourceReferences(&s.dataSet.Spec.Template.DataSources) {
		// Of a Secret only the metadata is asked for, never what it holds.
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(r.kind))
		r.err = c.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: r.name}, object)
		s.references = append(s.references, r)
	}
	return s
}

// sourceReferences lists the objects that the sources name.
func sourceReferences(sources *v1alpha1.DataSources) []reference {
	var found []reference
	for _, s := range sourcekind.Describe(sources, nil) {
		for _, object := range s.ReferencesTo(sourcekind.Secret, sourcekind.ConfigMap, sourcekind.Claim) {
			if r := (reference{kind: string(object.Kind), name: object.Name}); r.name != "" && !slices.Contains(found, r) {
				found = append(found, r)
			}
		}
	}
	return found
}

// examineDataSet judges one DataSet in depth.
func examineDataSet(s *subject) []Finding {
	findings := append(checkNoStatus(s), checkPhase(s)...)
	already := ""
	for i := range findings {
		if findings[i].Severity != advice.OK {
			already = findings[i].Reason
		}
	}
	findings = append(findings, judgeDataSet(s.dataSet, already)...)
	findings = append(findings, checkFailedPods(s)...)
	if s.data.err != nil {
		findings = append(findings, unreadFinding(checkPods, &Object{Kind: "Data", Namespace: s.dataSet.Namespace, Name: "*"}, s.data.err, nil))
	}
	// What became of the pods that failed has been said.
	others := slices.DeleteFunc(slices.Clone(s.data.value), func(d v1alpha1.Data) bool {
		return s.dataSet.Status.Rollout != nil && slices.Contains(s.dataSet.Status.Rollout.FailedPods, d.Spec.PodName)
	})
	findings = append(findings, judgePods(others, s.now)...)
	findings = append(findings, checkSize(s)...)
	findings = append(findings, checkUntold(s)...)
	findings = append(findings, checkLeaving(s)...)
	findings = append(findings, checkPrefetches(s)...)
	findings = append(findings, checkInjections(s)...)
	findings = append(findings, checkRefusals(s)...)
	findings = append(findings, checkRuntimes(s)...)
	findings = append(findings, checkPorts(s)...)
	findings = append(findings, checkOrders(s)...)
	findings = append(findings, checkModes(s)...)
	findings = append(findings, checkPlacement(s)...)
	findings = append(findings, checkReferences(s)...)
	findings = append(findings, checkCaches(s)...)
	return append(findings, judgePullSecrets(s.pullSecrets)...)
}

func (s *subject) dataSetObject() *Object {
	return &Object{Kind: "DataSet", Namespace: s.dataSet.Namespace, Name: s.dataSet.Name}
}

func (s *subject) advicePlace() advice.Place {
	return advice.Place{Namespace: s.dataSet.Namespace, DataSet: s.dataSet.Name, Revision: s.dataSet.Status.UpdateRevision}
}

// checkPhase says where the rollout is.
func checkPhase(s *subject) []Finding {
	r := s.dataSet.Status.Rollout
	if r == nil {
		return nil
	}
	v := verdict.Judge(s.dataSet, dataPointers(s.data.value))
	f := okFinding(checkRollout, s.dataSetObject(), "the rollout of %s is %s", r.Revision, verdict.Phase(s.dataSet, v))
	f.Reason = r.Reason
	if steps := len(s.dataSet.Spec.UpdateStrategy.Steps); steps > 0 && int(r.Step) < steps {
		f.What += fmt.Sprintf(", at step %d of %d", r.Step+1, steps)
	}
	if r.Message != "" {
		f.What += ": " + r.Message
	}
	switch r.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		f.Severity = advice.Problem
		condition := v1alpha1.ConditionProgressing
		if r.Phase != v1alpha1.RolloutStopped {
			condition = v1alpha1.ConditionRolledBack
		}
		if a, ok := advice.For(condition, r.Reason); ok {
			f.Severity, f.Why, f.Do = a.Severity, a.Why, a.In(s.advicePlace())
		}
		return []Finding{f}
	}
	if v.State == verdict.Failed || v.State == verdict.Blocked {
		f.Severity, f.Reason = advice.Problem, v.Reason
		if r.Message != v.Message {
			f.What += ": " + v.Message
		}
		f.Why, f.Do = "pods will not have what the spec asks for without help", []string{"see what follows, and the first failed pod:",
			"kubectl kuda status " + s.dataSet.Name + " -n " + s.dataSet.Namespace}
	}
	return []Finding{f}
}

func dataPointers(data []v1alpha1.Data) []*v1alpha1.Data {
	pointers := make([]*v1alpha1.Data, 0, len(data))
	for i := range data {
		pointers = append(pointers, &data[i])
	}
	return pointers
}

// checkFailedPods speaks of each moved pod that counts as failed.
func checkFailedPods(s *subject) []Finding {
	r := s.dataSet.Status.Rollout
	if r == nil {
		return nil
	}
	var findings []Finding
	for _, name := range r.FailedPods {
		findings = append(findings, s.judgeFailedPod(name))
	}
	return findings
}

func (s *subject) judgeFailedPod(name string) Finding {
	o := &Object{Kind: "Pod", Namespace: s.dataSet.Namespace, Name: name}
	f := Finding{
		Severity: advice.Problem, Check: checkRollout, Object: o, What: "failed after it was moved to " + s.dataSet.Status.Rollout.Revision,
		Why: "it turned unready or restarted a container after the switch, which the application's own log explains",
		Do: []string{"kubectl describe pod " + advice.Word(name) + " -n " + o.Namespace,
			"kubectl logs " + advice.Word(name) + " -n " + o.Namespace + " --all-containers --previous --ignore-errors"},
	}
	for i := range s.data.value {
		d := &s.data.value[i]
		if d.Spec.PodName != name {
			continue
		}
		for j := range d.Status.DataItemsStatus {
			item := &d.Status.DataItemsStatus[j]
			if item.Phase != v1alpha1.DataFailed {
				continue
			}
			f.What += joinMessage(fmt.Sprintf(": item %s/%s: %s", item.Namespace, item.Name, item.Reason), item.Message)
			f.Reason = item.Reason
			if a, ok := advice.For(advice.Item, item.Reason); ok {
				p := s.advicePlace()
				p.Pod, p.Container = name, hookContainer(d)
				f.Why, f.Do = a.Why, a.In(p)
			}
			return f
		}
	}
	return f
}

// checkLeaving speaks of pods that are asked to take the items out of their views
// and have not answered.
func checkLeaving(s *subject) []Finding {
	var findings []Finding
	for i := range s.data.value {
		d := &s.data.value[i]
		if !d.Spec.Withdraw || assignment.Withdrawn(d) {
			continue
		}
		f := Finding{
			Severity: advice.Warning, Check: checkPods, Object: &Object{Kind: "Data", Namespace: d.Namespace, Name: d.Name},
			Reason: v1alpha1.ReasonWithdrawing,
			What:   fmt.Sprintf("pod %s is asked to take the items out of its view, and has not answered", d.Spec.PodName),
			Why:    "the DataSet has deletionPolicy Remove, and is being deleted or no longer selects the pod",
		}
		place := s.advicePlace()
		place.Pod = d.Spec.PodName
		f.Do = advice.Advice{Do: []string{
			"see whether its runtime runs:", "kubectl logs {pod} -n {namespace} -c kuda-runtime",
			"where it cannot answer, delete the pod:", "kubectl delete pod {pod} -n {namespace}",
			"or leave the items where they are:",
			`kubectl patch dataset {dataset} -n {namespace} --type merge -p '{"spec":{"deletionPolicy":"Retain"}}'`,
		}}.In(place)
		findings = append(findings, f)
	}
	return findings
}

// checkPrefetches speaks of nodes to which the next revision could not be brought.
func checkPrefetches(s *subject) []Finding {
	var findings []Finding
	for i := range s.data.value {
		d := &s.data.value[i]
		p := d.Status.Prefetch
		if p == nil || p.Phase != v1alpha1.DataFailed || p.Revision != d.Spec.PrefetchRevision {
			continue
		}
		f := Finding{
			Severity: advice.Problem, Check: checkPrefetch, Reason: p.Reason,
			Object: &Object{Kind: "Data", Namespace: d.Namespace, Name: d.Name},
			What:   fmt.Sprintf("prefetching %s for pod %s on node %s: %s: %s", p.Revision, d.Spec.PodName, d.Status.NodeName, p.Reason, p.Message),
		}
		if a, ok := advice.For(advice.Item, p.Reason); ok {
			place := s.advicePlace()
			place.Pod = d.Spec.PodName
			f.Severity, f.Why, f.Do = a.Severity, a.Why, a.In(place)
		}
		findings = append(findings, f)
	}
	return findings
}

// checkInjections says of each matching pod without the runtime why it has none.
func checkInjections(s *subject) []Finding {
	if s.pods.err != nil {
		return []Finding{unreadFinding(checkInjection, &Object{Kind: "Pod", Namespace: s.dataSet.Namespace, Name: "*"}, s.pods.err, nil)}
	}
	var findings []Finding
	for i := range s.pods.value {
		p := &s.pods.value[i]
		if !podstate.Selects(s.dataSet.Spec.WorkloadSelector, p) || !podstate.Live(p) || podstate.Injected(p) {
			continue
		}
		cause := s.whyUninjected(p)
		do := []string{cause.Do}
		if cause.Restart {
			do = restartCommands(p)
		}
		findings = append(findings, Finding{
			Severity: advice.Problem, Check: checkInjection, Object: &Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name},
			Reason: v1alpha1.ReasonPodsNotInjected, What: "does not carry the runtime, so it gets no data", Why: "it " + cause.Why, Do: do,
		})
	}
	return findings
}

// whyUninjected runs the checks of injection on the pod as it is.
func (s *subject) whyUninjected(p *corev1.Pod) inject.Cause {
	var labels map[string]string
	if s.namespace.err == nil && s.namespace.value != nil {
		labels = s.namespace.value.Labels
	}
	return inject.WhyUninjected(p, s.dataSet, labels, readSettings(s.config).DataPathPrefix)
}

// restartCommands is how to have a pod made anew: by its owner, or by hand.
func restartCommands(p *corev1.Pod) []string {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return []string{"delete it and create it again; nothing else would"}
	}
	switch owner.Kind {
	case "StatefulSet", "DaemonSet":
		return []string{fmt.Sprintf("kubectl rollout restart %s/%s -n %s",
			map[string]string{"StatefulSet": "statefulset", "DaemonSet": "daemonset"}[owner.Kind], advice.Word(owner.Name), p.Namespace)}
	}
	return []string{"restart its workload, or, where its owner makes another one:", "kubectl delete pod " + p.Name + " -n " + p.Namespace}
}

// checkReferences says which objects that the sources name are not there.
func checkReferences(s *subject) []Finding {
	var findings []Finding
	present := 0
	for _, r := range s.references {
		o := &Object{Kind: r.kind, Namespace: s.dataSet.Namespace, Name: r.name}
		switch {
		case r.err == nil:
			present++
		case apierrors.IsNotFound(r.err):
			if r.kind == "PersistentVolumeClaim" {
				findings = append(findings, Finding{
					Severity: advice.Problem, Check: checkReference, Object: o, What: "is not there, and a source of the DataSet names it",
					Why: "new pods stay Pending, because the claim is one of their volumes",
					Do: []string{"create it in namespace " + o.Namespace +
						"; or correct claimName in the DataSet, and restart the pods: the volumes of a pod are fixed at its creation"},
				})
				continue
			}
			findings = append(findings, Finding{
				Severity: advice.Problem, Check: checkReference, Object: o, Reason: v1alpha1.ReasonCredentialsMissing,
				What: "is not there, and a source of the DataSet names it",
				Why:  "items of that source fail with CredentialsMissing",
				Do:   []string{"create it in namespace " + o.Namespace + "; it is used within a minute or two"},
			})
		default:
			findings = append(findings, unreadFinding(checkReference, o, r.err, nil))
		}
	}
	if present > 0 {
		findings = append(findings, okFinding(checkReference, s.dataSetObject(), "%s that its sources name: there",
			plural.Count(present, "object")))
	}
	return findings
}

// checkNoStatus returns a word where there was nothing else to say.
func checkNoStatus(s *subject) []Finding {
	if len(s.dataSet.Status.Conditions) > 0 {
		return nil
	}
	return []Finding{{
		Severity: advice.Problem, Check: checkDataSet, Object: s.dataSetObject(), What: "has no status",
		Why: fmt.Sprintf("kuda-manager has never looked at it; it is %s old", s.now.Sub(s.dataSet.CreationTimestamp.Time).Round(time.Second)),
		Do:  []string{managerLog},
	}}
}
