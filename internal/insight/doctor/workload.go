// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/insight/advice"
)

const checkWorkload = "workload"

const (
	// failedCreate is the reason of the events of controllers that cannot create a pod.
	failedCreate = "FailedCreate"
	// refusalAge is how old such an event may be.
	refusalAge = time.Hour
	// maxRefusals bounds the workloads that are looked up.
	maxRefusals = 20
)

// refusal is a workload whose pods cannot be created.
type refusal struct {
	object  Object
	message string
	at      time.Time
}

// readRefusals looks for workloads that the DataSet selects and that cannot create
// pods, by what their controllers tell of it. What may not be read is left out:
// the owner of a DataSet may lack the right to read all workloads.
func (s *subject) readRefusals(ctx context.Context, c client.Client) {
	namespace := client.InNamespace(s.dataSet.Namespace)
	var events corev1.EventList
	if c.List(ctx, &events, namespace, client.MatchingFields{"reason": failedCreate}) != nil {
		return
	}
	latest := map[Object]refusal{}
	for i := range events.Items {
		e := &events.Items[i]
		r := refusal{Object{e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name}, e.Message, lastSeen(e)}
		if s.now.Sub(r.at) < refusalAge && r.at.After(latest[r.object].at) {
			latest[r.object] = r
		}
	}
	all := slices.SortedFunc(maps.Values(latest), func(a, b refusal) int { return b.at.Compare(a.at) })
	for _, r := range all[:min(len(all), maxRefusals)] {
		labels, short := readTemplate(ctx, c, r.object)
		if short && podstate.Selects(s.dataSet.Spec.WorkloadSelector, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: labels}}) {
			s.refusals = append(s.refusals, r)
		}
	}
}

// lastSeen is when an event was last seen.
func lastSeen(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}

// readTemplate returns the labels of a workload's pods, and whether it has fewer pods than
// it is to have: one that has its pods by now was refused for a while.
func readTemplate(ctx context.Context, c client.Client, o Object) (labels map[string]string, short bool) {
	kinds := map[string]client.Object{
		"ReplicaSet": &appsv1.ReplicaSet{}, "StatefulSet": &appsv1.StatefulSet{}, "DaemonSet": &appsv1.DaemonSet{}, "Job": &batchv1.Job{},
	}
	workload := kinds[o.Kind]
	if workload == nil || c.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Name}, workload) != nil {
		return nil, false
	}
	switch w := workload.(type) {
	case *appsv1.ReplicaSet:
		return w.Spec.Template.Labels, w.Status.Replicas < wantedReplicas(w.Spec.Replicas)
	case *appsv1.StatefulSet:
		return w.Spec.Template.Labels, w.Status.Replicas < wantedReplicas(w.Spec.Replicas)
	case *appsv1.DaemonSet:
		return w.Spec.Template.Labels, w.Status.CurrentNumberScheduled < w.Status.DesiredNumberScheduled
	case *batchv1.Job:
		return w.Spec.Template.Labels, w.Status.Active == 0 && w.Status.CompletionTime == nil
	}
	return nil, false
}

func wantedReplicas(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// checkRefusals speaks of workloads whose pods do not come to be: nothing else shows
// them.
func checkRefusals(s *subject) []Finding {
	var findings []Finding
	for i := range s.refusals {
		r := &s.refusals[i]
		findings = append(findings, Finding{
			Severity: advice.Problem, Check: checkWorkload, Object: &r.object, Reason: failedCreate,
			What: fmt.Sprintf("cannot create its pods (%s ago): %s", s.now.Sub(r.at).Round(time.Second), r.message),
			Why:  "the pods are refused as they are with Kuda's runtime in them: it has resources of its own, which count towards quotas",
			Do: []string{
				"see the quotas and limits of the namespace:", "kubectl describe resourcequota,limitrange -n " + r.object.Namespace,
				"raise them, or lower runtimeResources in the ConfigMap " + configName +
					"; where webhooks or policies refuse the pod, the message names them",
			},
		})
	}
	return findings
}
