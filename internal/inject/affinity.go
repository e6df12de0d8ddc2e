// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// setPlacement says where the pod is better off, and who places it. What the pod says
// itself stays as it is and comes first. The pod has its annotations by now.
func (p plan) setPlacement(pod *corev1.Pod) {
	applies := index.Applies(pod)
	var ours []index.Preference
	if applies && p.Settings.Affinity {
		ours = p.Preferences
	}
	setPreferences(pod, ours)
	if applies && p.Settings.SchedulerName != "" && p.hasSay() && isDefaultScheduler(pod.Spec.SchedulerName) {
		pod.Spec.SchedulerName = p.Settings.SchedulerName
	}
}

// hasSay reports whether the data influences where the pod runs.
func (p plan) hasSay() bool {
	return slices.ContainsFunc(p.DataSets, func(ds *v1alpha1.DataSet) bool { return ds.Spec.Placement != v1alpha1.PlacementIgnore })
}

func isDefaultScheduler(name string) bool {
	return name == "" || name == corev1.DefaultSchedulerName
}

// setPreferences puts ours in the place of those that an earlier call added.
func setPreferences(pod *corev1.Pod, ours []index.Preference) {
	own := ownTerms(pod)
	ours = scaleBelow(own, ours)
	var terms []corev1.PreferredSchedulingTerm
	terms = append(terms, own...)
	for _, o := range ours {
		terms = append(terms, termOf(o))
	}
	if len(terms) > 0 || len(preferredTerms(pod)) > 0 {
		if pod.Spec.Affinity == nil {
			pod.Spec.Affinity = &corev1.Affinity{}
		}
		if pod.Spec.Affinity.NodeAffinity == nil {
			pod.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
		}
		pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = terms
	}
	if len(ours) == 0 {
		delete(pod.Annotations, v1alpha1.AnnotationPlacement)
		return
	}
	pod.Annotations[v1alpha1.AnnotationPlacement] = formatPlacement(ours)
}

// scaleBelow scales ours so that none weighs as much as one of the pod's own. Where
// there is no room below those, none is left.
func scaleBelow(own []corev1.PreferredSchedulingTerm, ours []index.Preference) []index.Preference {
	limit, largest := int32(100), int32(0)
	for i := range own {
		limit = min(limit, own[i].Weight-1)
	}
	for _, o := range ours {
		largest = max(largest, o.Weight)
	}
	switch {
	case limit < 1:
		return nil
	case largest <= limit:
		return ours
	}
	scaled := slices.Clone(ours)
	for i := range scaled {
		scaled[i].Weight = max(1, scaled[i].Weight*limit/largest)
	}
	return scaled
}

func termOf(o index.Preference) corev1.PreferredSchedulingTerm {
	return corev1.PreferredSchedulingTerm{
		Weight: o.Weight,
		Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{o.Node},
		}}},
	}
}

// preferenceOf returns the node and weight of a term that has the form of ours.
func preferenceOf(t *corev1.PreferredSchedulingTerm) (index.Preference, bool) {
	if len(t.Preference.MatchExpressions) > 0 || len(t.Preference.MatchFields) != 1 {
		return index.Preference{}, false
	}
	f := t.Preference.MatchFields[0]
	if f.Key != metav1.ObjectNameField || f.Operator != corev1.NodeSelectorOpIn || len(f.Values) != 1 {
		return index.Preference{}, false
	}
	return index.Preference{Node: f.Values[0], Weight: t.Weight}, true
}

func preferredTerms(pod *corev1.Pod) []corev1.PreferredSchedulingTerm {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

// ownTerms are the pod's without those that an earlier call added: for each that
// the annotation names the last one of its form. Ours were put at the end, so a
// term of the pod's that looks the same is not taken for one.
func ownTerms(pod *corev1.Pod) []corev1.PreferredSchedulingTerm {
	terms := slices.Clone(preferredTerms(pod))
	for _, o := range parsePlacement(pod.Annotations[v1alpha1.AnnotationPlacement]) {
		for i := len(terms) - 1; i >= 0; i-- {
			if have, ok := preferenceOf(&terms[i]); ok && have == o {
				terms = slices.Delete(terms, i, i+1)
				break
			}
		}
	}
	return terms
}

// formatPlacement is the value of AnnotationPlacement.
func formatPlacement(ours []index.Preference) string {
	parts := make([]string, len(ours))
	for i, o := range ours {
		parts[i] = o.Node + "=" + strconv.Itoa(int(o.Weight))
	}
	return strings.Join(parts, ",")
}

// parsePlacement reads it; what does not parse was not written here.
func parsePlacement(value string) []index.Preference {
	var ours []index.Preference
	for part := range strings.SplitSeq(value, ",") {
		node, weight, ok := strings.Cut(part, "=")
		if n, err := strconv.ParseInt(weight, 10, 32); ok && err == nil {
			ours = append(ours, index.Preference{Node: node, Weight: int32(n)})
		}
	}
	return ours
}
