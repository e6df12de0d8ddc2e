// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/insight/advice"
)

const (
	checkDataSet = "dataset"
	checkPods    = "pods"
)

// reportPatience is how long a Data may be without a report and without a
// condition that says so; the manager writes that after 15 s.
const reportPatience = time.Minute

// maxNamed is how many pods a command names at most.
const maxNamed = 20

// managerLog shows what the controllers say.
const managerLog = "kubectl logs -n " + SystemNamespace + " deployment/" + managerName + " --all-pods --tail 50"

// checkDataSets judges the conditions of every DataSet; the good ones are one
// finding together.
func checkDataSets(in *installation) []Finding {
	if in.dataSets.err != nil {
		return []Finding{unreadFinding(checkDataSet, &Object{Kind: "DataSet", Namespace: in.scope, Name: "*"}, in.dataSets.err, nil)}
	}
	var findings []Finding
	if in.narrowed {
		findings = append(findings, Finding{
			Severity: Unknown, Check: checkDataSet, What: "you may not look at all namespaces, so only the DataSets of " +
				in.scope + " were looked at",
			Do: []string{"name another namespace by -n"},
		})
	}
	good := 0
	for i := range in.dataSets.value {
		notable := slices.DeleteFunc(judgeDataSet(&in.dataSets.value[i], ""), func(f Finding) bool { return f.Severity == advice.OK })
		if len(notable) == 0 {
			good++
		}
		findings = append(findings, notable...)
	}
	if total := len(in.dataSets.value); good > 0 || total == 0 {
		findings = append(findings, okFinding(checkDataSet, nil, "%d of %d DataSets have nothing wrong", good, total))
	}
	return findings
}

// judgeDataSet judges what the DataSet's own status says, but for a reason that
// was told already.
func judgeDataSet(d *v1alpha1.DataSet, already string) []Finding {
	o := &Object{Kind: "DataSet", Namespace: d.Namespace, Name: d.Name}
	var findings []Finding
	if d.Status.ObservedGeneration != d.Generation {
		findings = append(findings, Finding{
			Severity: advice.Problem, Check: checkDataSet, Object: o, What: "kuda-manager has not looked at the present spec",
			Why: "it does not run, or is far behind; what follows is of an earlier spec", Do: []string{managerLog},
		})
	}
	told := map[string]bool{already: true}
	for _, c := range sortConditions(d.Status.Conditions) {
		// What is under way, and that nothing stalls it, is said by the others.
		if c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled && c.Status != metav1.ConditionTrue {
			continue
		}
		f := judgeCondition(o, c, advice.Place{Namespace: d.Namespace, DataSet: d.Name})
		// Two conditions of one reason have one cause; the first says it.
		if f.Severity != advice.OK && told[c.Reason] {
			continue
		}
		told[c.Reason] = true
		if f.Severity == advice.OK && len(f.Do) == 0 {
			f.Why = "" // the message says it
		}
		findings = append(findings, f)
	}
	return findings
}

// sortConditions puts the conditions in the order in which to read them: what was
// rolled back explains what does not progress, and that what is not ready.
func sortConditions(conditions []metav1.Condition) []metav1.Condition {
	rank := []string{
		v1alpha1.ConditionRolledBack, v1alpha1.ConditionProgressing, v1alpha1.ConditionStalled, v1alpha1.ConditionReady,
		v1alpha1.ConditionInjected, v1alpha1.ConditionCredentialsAvailable, v1alpha1.ConditionSourceDrifted, v1alpha1.ConditionPreheated,
		v1alpha1.ConditionCacheDegraded,
	}
	conditions = slices.Clone(conditions)
	slices.SortStableFunc(conditions, func(a, b metav1.Condition) int {
		return cmp.Compare(slices.Index(rank, a.Type), slices.Index(rank, b.Type))
	})
	return conditions
}

func judgeCondition(o *Object, c metav1.Condition, p advice.Place) Finding {
	f := Finding{
		Severity: advice.Warning, Check: checkDataSet, Object: o, Condition: c.Type, Reason: c.Reason,
		What: joinMessage(fmt.Sprintf("%s is %s, %s", c.Type, c.Status, c.Reason), c.Message),
		Why:  "this program does not know the reason; it may be older than the installation",
	}
	if a, ok := advice.For(c.Type, c.Reason); ok {
		f.Severity, f.Why, f.Do = a.Severity, a.Why, a.In(p)
	}
	return f
}

// checkData groups what holds pods back, over all DataSets that are not told of
// already, by DataSet and reason.
func checkData(in *installation) []Finding {
	if in.data.err != nil {
		return []Finding{unreadFinding(checkPods, &Object{Kind: "Data", Namespace: in.scope, Name: "*"}, in.data.err, nil)}
	}
	findings := judgePods(in.data.value, in.now)
	return slices.DeleteFunc(findings, func(f Finding) bool { return f.Severity == advice.OK })
}

// group is the pods of one DataSet that one reason holds back.
type group struct {
	namespace, dataSet, reason string
}

// judgePods returns one finding for each DataSet and reason that holds pods
// back, with the number of pods and the first as an example.
func judgePods(data []v1alpha1.Data, now time.Time) []Finding {
	pods := make(map[group][]*v1alpha1.Data)
	for i := range data {
		d := &data[i]
		reason := heldBy(d, now)
		if reason == "" {
			continue
		}
		g := group{d.Namespace, assignment.DataSet(d), reason}
		pods[g] = append(pods[g], d)
	}
	var findings []Finding
	groups := slices.SortedFunc(maps.Keys(pods), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.dataSet, b.dataSet), cmp.Compare(a.reason, b.reason))
	})
	for _, g := range groups {
		findings = append(findings, judgeGroup(g, pods[g]))
	}
	return findings
}

// noReport stands for a Data without a report.
const noReport = "NoReport"

// heldBy returns the reason that holds a pod back; empty: none.
func heldBy(d *v1alpha1.Data, now time.Time) string {
	ready := assignment.Ready(d)
	switch {
	case d.DeletionTimestamp != nil:
		return ""
	case ready == nil && !assignment.Reported(d) && now.Sub(d.CreationTimestamp.Time) > reportPatience:
		return noReport
	case ready == nil || ready.Status == metav1.ConditionTrue:
		return ""
	}
	return ready.Reason
}

func judgeGroup(g group, data []*v1alpha1.Data) Finding {
	slices.SortFunc(data, func(a, b *v1alpha1.Data) int { return cmp.Compare(a.Spec.PodName, b.Spec.PodName) })
	first := data[0]
	f := Finding{
		Severity: advice.Problem, Check: checkPods, Reason: g.reason, Condition: v1alpha1.ConditionReady,
		Object: &Object{Kind: "Data", Namespace: g.namespace, Name: first.Name},
	}
	who := "pod " + first.Spec.PodName
	if more := len(data) - 1; more > 0 {
		who += fmt.Sprintf(" and %d more of DataSet %s", more, g.dataSet)
	}
	if g.reason == noReport {
		f.Condition, f.What = "", who+": no runtime reported, and kuda-manager does not say so"
		f.Why, f.Do = "kuda-manager does not run, or has no leader", []string{managerLog}
		return f
	}
	f.What = joinMessage(who+": "+g.reason, assignment.Ready(first).Message)
	if a, ok := advice.For(v1alpha1.ConditionReady, g.reason); ok {
		f.Severity, f.Why = a.Severity, a.Why
		f.Do = a.In(advice.Place{Namespace: g.namespace, DataSet: g.dataSet, Pod: first.Spec.PodName, Container: hookContainer(first)})
	} else {
		f.Severity, f.Why = advice.Warning, "this program does not know the reason; it may be older than the installation"
	}
	if g.reason == v1alpha1.ReasonAuthorityChanged {
		f.Do = restartAll(data)
	}
	return f
}

// restartAll is how to have pods made anew that know another authority.
func restartAll(data []*v1alpha1.Data) []string {
	names := make([]string, 0, len(data))
	for _, d := range data[:min(len(data), maxNamed)] {
		names = append(names, advice.Word(d.Spec.PodName))
	}
	do := []string{"restart these pods; their controllers make them anew, with the new authority:",
		"kubectl delete pods -n " + data[0].Namespace + " " + strings.Join(names, " ")}
	if more := len(data) - len(names); more > 0 {
		do = append(do, fmt.Sprintf("then look again: %d more have to be restarted", more))
	}
	return append(do, "or restart their workloads step by step:", "kubectl rollout restart deployment/NAME -n "+data[0].Namespace)
}

// hookContainer returns the container of the first item whose hook failed.
func hookContainer(d *v1alpha1.Data) string {
	for i := range d.Status.DataItemsStatus {
		s := &d.Status.DataItemsStatus[i]
		if s.Reason != v1alpha1.ReasonHookFailed {
			continue
		}
		for j := range d.Spec.DataItems {
			if item := &d.Spec.DataItems[j]; item.Namespace == s.Namespace && item.Name == s.Name {
				return item.Container
			}
		}
	}
	return ""
}

// joinMessage returns what with the message of a condition, which may be empty.
func joinMessage(what, message string) string {
	if message == "" {
		return what
	}
	return what + ": " + message
}
