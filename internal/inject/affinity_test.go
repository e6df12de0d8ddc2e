// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// rulesOfItsOwn is a pod that says where it may run in every way there is.
func rulesOfItsOwn() *corev1.Pod {
	self := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "search"}}
	return pod(func(p *corev1.Pod) {
		p.Spec.NodeSelector = map[string]string{"kubernetes.io/arch": "amd64"}
		p.Spec.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: self,
		}}
		p.Spec.Affinity = &corev1.Affinity{
			NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "gpu", Operator: corev1.NodeSelectorOpIn, Values: []string{"a100"}}},
				}}},
				PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{ownTerm(80), ownTerm(50)},
			},
			PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				LabelSelector: self, TopologyKey: corev1.LabelHostname,
			}}},
		}
	})
}

func prefers(own ...int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
		list := &p.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		for _, weight := range own {
			*list = append(*list, ownTerm(weight))
		}
	}
}

func TestThePodsOwnRulesAreKept(t *testing.T) {
	before := rulesOfItsOwn()
	req := request(before)
	req.Preferences = []index.Preference{{Node: "a", Weight: 100}, {Node: "b", Weight: 1}}
	after := mustInject(t, req)
	got := preferredTerms(after)
	if diff := cmp.Diff(preferredTerms(before), got[:2]); diff != "" || len(got) != 4 {
		t.Errorf("got %d terms; the pod's own (-before +after):\n%s", len(got), diff)
	}
	for _, term := range got[2:] {
		if term.Weight >= 50 || term.Weight < 1 {
			t.Errorf("weight %d of ours is not below the pod's 50", term.Weight)
		}
	}
	after.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = preferredTerms(before)
	for name, diff := range map[string]string{
		"affinity":    cmp.Diff(before.Spec.Affinity, after.Spec.Affinity),
		"spread":      cmp.Diff(before.Spec.TopologySpreadConstraints, after.Spec.TopologySpreadConstraints),
		"tolerations": cmp.Diff(before.Spec.Tolerations, after.Spec.Tolerations),
		"selector":    cmp.Diff(before.Spec.NodeSelector, after.Spec.NodeSelector),
	} {
		if diff != "" {
			t.Errorf("%s (-before +after):\n%s", name, diff)
		}
	}
}

func TestOurWeightsStayBelowThoseOfThePod(t *testing.T) {
	for name, c := range map[string]struct {
		own        []int32
		ours, want []int32
	}{
		"no rules":                   {nil, []int32{100, 40}, []int32{100, 40}},
		"enough room below":          {[]int32{100}, []int32{60, 40}, []int32{60, 40}},
		"just enough":                {[]int32{61}, []int32{60, 40}, []int32{60, 40}},
		"scaled":                     {[]int32{90, 51}, []int32{100, 40, 1}, []int32{50, 20, 1}},
		"scaled down to equal":       {[]int32{2}, []int32{100, 40}, []int32{1, 1}},
		"no room":                    {[]int32{100, 1}, []int32{100}, nil},
		"a weight that is not valid": {[]int32{0}, []int32{100}, nil},
		"no node holds any":          {[]int32{10}, nil, nil},
		"a rule, but no holder":      {nil, nil, nil},
	} {
		req := request(pod(prefers(c.own...)))
		for i, w := range c.ours {
			req.Preferences = append(req.Preferences, index.Preference{Node: string(rune('a' + i)), Weight: w})
		}
		p := mustInject(t, req)
		var got []int32
		for _, term := range preferredTerms(p)[len(c.own):] {
			got = append(got, term.Weight)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if (p.Annotations[v1alpha1.AnnotationPlacement] != "") != (len(c.want) > 0) {
			t.Errorf("%s: the annotation is %q", name, p.Annotations[v1alpha1.AnnotationPlacement])
		}
	}
}

func TestASecondPassReplacesOurTerms(t *testing.T) {
	first := request(pod(prefers(50)))
	first.Preferences = []index.Preference{{Node: "a", Weight: 100}, {Node: "b", Weight: 50}}
	once := mustInject(t, first)
	// Another webhook adds a rule, one that looks like ours, before it.
	list := &once.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	own := append([]corev1.PreferredSchedulingTerm{termOf(index.Preference{Node: "a", Weight: 49})}, ownTerm(50))
	*list = append(append(own[:1:1], *list...), ownTerm(30))

	second := request(once)
	second.Preferences = []index.Preference{{Node: "c", Weight: 100}}
	twice := mustInject(t, second)
	want := append(own, ownTerm(30), termOf(index.Preference{Node: "c", Weight: 29}))
	if diff := cmp.Diff(want, preferredTerms(twice)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := twice.Annotations[v1alpha1.AnnotationPlacement]; got != "c=29" {
		t.Errorf("the annotation is %q", got)
	}

	second.Pod, second.Settings.Affinity = twice, false
	switchedOff := mustInject(t, second)
	if diff := cmp.Diff(want[:3], preferredTerms(switchedOff)); diff != "" {
		t.Errorf("switched off (-want +got)\n%s", diff)
	}
	if _, ok := switchedOff.Annotations[v1alpha1.AnnotationPlacement]; ok {
		t.Error("the annotation names terms that are gone")
	}
}

func TestAForgedAnnotationTakesNoRulesOfThePod(t *testing.T) {
	for _, value := range []string{"a", "a=", "=", "a=x", ",,", "a=99999999999", "b=7", "a=6"} {
		own := termOf(index.Preference{Node: "a", Weight: 7})
		req := request(pod(func(p *corev1.Pod) {
			prefers()(p)
			p.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.PreferredSchedulingTerm{own}
			p.Annotations = map[string]string{v1alpha1.AnnotationPlacement: value}
		}))
		if diff := cmp.Diff([]corev1.PreferredSchedulingTerm{own}, preferredTerms(mustInject(t, req))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", value, diff)
		}
	}
}

func TestOnlyAPodThatDataCanPlaceGetsPreferences(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*Request)
		prefers   bool
		scheduler string
	}{
		"any pod":             {func(*Request) {}, true, "kuda-scheduler"},
		"the default's":       {func(r *Request) { r.Pod.Spec.SchedulerName = "default-scheduler" }, true, "kuda-scheduler"},
		"another scheduler's": {func(r *Request) { r.Pod.Spec.SchedulerName = "volcano" }, true, "volcano"},
		"bound":               {func(r *Request) { r.Pod.Spec.NodeName = "n" }, false, ""},
		"preheat":             {func(r *Request) { r.Pod.Labels[v1alpha1.LabelPreheat] = "model" }, false, ""},
		"a store of its own":  {func(r *Request) { r.Settings.Store = StorePod }, false, ""},
		"no affinity":         {func(r *Request) { r.Settings.Affinity = false }, false, "kuda-scheduler"},
		"no scheduler":        {func(r *Request) { r.Settings.SchedulerName = "" }, true, ""},
		"Ignore by all": {func(r *Request) {
			r.Preferences = nil
			for _, ds := range r.DataSets {
				ds.Spec.Placement = v1alpha1.PlacementIgnore
			}
		}, false, ""},
		"Ignore by one": {func(r *Request) { r.DataSets[0].Spec.Placement = v1alpha1.PlacementIgnore }, true, "kuda-scheduler"},
		"a DaemonSet's": {func(r *Request) {
			r.Pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
					termOf(index.Preference{Node: "n"}).Preference,
				}},
			}}
		}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(pod())
			req.Settings.SchedulerName, req.Preferences = "kuda-scheduler", []index.Preference{{Node: "a", Weight: 100}}
			c.change(&req)
			p := mustInject(t, req)
			if got := len(preferredTerms(p)) > 0; got != c.prefers {
				t.Errorf("preferences: %t", got)
			}
			if p.Spec.SchedulerName != c.scheduler {
				t.Errorf("scheduler %q", p.Spec.SchedulerName)
			}
		})
	}
}
