// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// amount reads resources such as "cpu=50m memory=64Mi".
func amount(t testing.TB, text string) corev1.ResourceList {
	t.Helper()
	list := corev1.ResourceList{}
	for _, one := range strings.Fields(text) {
		name, value, _ := strings.Cut(one, "=")
		q, err := resource.ParseQuantity(value)
		if err != nil {
			t.Fatal(err)
		}
		list[corev1.ResourceName(name)] = q
	}
	return list
}

func limitRange(name string, items ...corev1.LimitRangeItem) *corev1.LimitRange {
	return &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.LimitRangeSpec{Limits: items}}
}

// limitRanger does what the API server's admission plugin of that name does with a new pod:
// defaults, and what it refuses.
func limitRanger(p *corev1.Pod, ranges []*corev1.LimitRange) []string {
	var all []*corev1.Container
	for i := range p.Spec.InitContainers {
		all = append(all, &p.Spec.InitContainers[i])
	}
	for i := range p.Spec.Containers {
		all = append(all, &p.Spec.Containers[i])
	}
	set := func(to *corev1.ResourceList, from corev1.ResourceList) {
		for name, q := range from {
			if _, ok := (*to)[name]; !ok {
				if *to == nil {
					*to = corev1.ResourceList{}
				}
				(*to)[name] = q
			}
		}
	}
	var refused []string
	for _, c := range all {
		set(&c.Resources.Requests, c.Resources.Limits) // as the API's own defaults do
		for _, r := range ranges {
			for _, item := range r.Spec.Limits {
				if item.Type == corev1.LimitTypeContainer {
					set(&c.Resources.Limits, item.Default)
					set(&c.Resources.Requests, item.DefaultRequest)
				}
			}
		}
		for name, request := range c.Resources.Requests {
			if limit, ok := c.Resources.Limits[name]; ok && request.Cmp(limit) > 0 {
				refused = append(refused, c.Name+": more requested than the limit of "+string(name))
			}
		}
	}
	check := func(what string, item corev1.LimitRangeItem, r corev1.ResourceRequirements) {
		for name, v := range item.Min {
			request, ok := r.Requests[name]
			limit, limited := r.Limits[name]
			if !ok || request.Cmp(v) < 0 || limited && limit.Cmp(v) < 0 {
				refused = append(refused, fmt.Sprintf("%s: minimum %s", what, name))
			}
		}
		for name, v := range item.Max {
			request := r.Requests[name]
			if limit, ok := r.Limits[name]; !ok || limit.Cmp(v) > 0 || request.Cmp(v) > 0 {
				refused = append(refused, fmt.Sprintf("%s: maximum %s", what, name))
			}
		}
		for name, v := range item.MaxLimitRequestRatio {
			request, limit := r.Requests[name], r.Limits[name]
			if request.IsZero() || limit.IsZero() || float64(limit.MilliValue())/float64(request.MilliValue())*1000 > float64(v.MilliValue()) {
				refused = append(refused, fmt.Sprintf("%s: ratio %s", what, name))
			}
		}
	}
	for _, r := range ranges {
		for _, item := range r.Spec.Limits {
			switch item.Type {
			case corev1.LimitTypeContainer:
				for _, c := range all {
					check(c.Name, item, c.Resources)
				}
			case corev1.LimitTypePod:
				check("the pod", item, corev1.ResourceRequirements{
					Requests: together(p, func(c *corev1.Container) corev1.ResourceList { return c.Resources.Requests }),
					Limits:   together(p, func(c *corev1.Container) corev1.ResourceList { return c.Resources.Limits }),
				})
			}
		}
	}
	return refused
}

func together(p *corev1.Pod, of func(*corev1.Container) corev1.ResourceList) corev1.ResourceList {
	add := func(to, from corev1.ResourceList) corev1.ResourceList {
		sum := to.DeepCopy()
		if sum == nil {
			sum = corev1.ResourceList{}
		}
		for name, q := range from {
			have := sum[name]
			have.Add(q)
			sum[name] = have
		}
		return sum
	}
	var sum, sidecars corev1.ResourceList
	peak := corev1.ResourceList{}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		now := add(sidecars, of(c))
		if c.RestartPolicy != nil {
			sum, sidecars = add(sum, of(c)), now
		}
		for name, q := range now {
			if have, ok := peak[name]; !ok || q.Cmp(have) > 0 {
				peak[name] = q
			}
		}
	}
	for i := range p.Spec.Containers {
		sum = add(sum, of(&p.Spec.Containers[i]))
	}
	for name, q := range peak {
		if have, ok := sum[name]; !ok || q.Cmp(have) > 0 {
			sum[name] = q
		}
	}
	return sum
}

func TestTheRuntimeKeepsTheLimitRangesOfTheNamespace(t *testing.T) {
	a := func(text string) corev1.ResourceList { return amount(t, text) }
	container := func(item corev1.LimitRangeItem) corev1.LimitRangeItem {
		item.Type = corev1.LimitTypeContainer
		return item
	}
	wide := container(corev1.LimitRangeItem{Default: a("memory=128Mi"), DefaultRequest: a("memory=64Mi")})
	for name, c := range map[string]struct {
		items     []corev1.LimitRangeItem
		app, want string
	}{
		"none": {nil, `{}`, `{"limits":{"memory":"256Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"min": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{
			Min: a("cpu=50m memory=64Mi"), Default: a("cpu=500m memory=256Mi"), DefaultRequest: a("cpu=100m memory=128Mi"),
		})}, `{}`, `{"limits":{"cpu":"250m","memory":"256Mi"},"requests":{"cpu":"50m","memory":"64Mi"}}`},
		"min above the limit": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{Min: a("memory=512Mi"), Default: a("memory=1Gi"),
			DefaultRequest: a("memory=512Mi")})},
			`{}`, `{"limits":{"memory":"512Mi"},"requests":{"cpu":"10m","memory":"512Mi"}}`},
		"max": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{Max: a("memory=128Mi"), Default: a("memory=128Mi"),
			DefaultRequest: a("memory=128Mi")})},
			`{}`, `{"limits":{"memory":"128Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"max of the CPU": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{Max: a("cpu=1"), Default: a("cpu=1"),
			DefaultRequest: a("cpu=1")})},
			`{}`, `{"limits":{"cpu":"250m","memory":"256Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"max of two": {[]corev1.LimitRangeItem{
			container(corev1.LimitRangeItem{Max: a("memory=200Mi"), Default: a("memory=100Mi")}),
			container(corev1.LimitRangeItem{Max: a("memory=100Mi"), Default: a("memory=100Mi")}),
		}, `{}`, `{"limits":{"memory":"100Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"ratio": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{
			MaxLimitRequestRatio: a("memory=2"), Default: a("memory=128Mi"), DefaultRequest: a("memory=64Mi"),
		})}, `{}`, `{"limits":{"memory":"256Mi"},"requests":{"cpu":"10m","memory":"128Mi"}}`},
		"a default below the request": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{Default: a("cpu=5m"),
			DefaultRequest: a("cpu=5m")})},
			`{}`, `{"limits":{"cpu":"250m","memory":"256Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"a default below the request, and no limit to share": {[]corev1.LimitRangeItem{
			container(corev1.LimitRangeItem{Default: a("ephemeral-storage=5Mi"), DefaultRequest: a("ephemeral-storage=5Mi")})},
			`{}`, `{"limits":{"ephemeral-storage":"5Mi","memory":"256Mi"},"requests":{"cpu":"10m","ephemeral-storage":"5Mi","memory":"32Mi"}}`},
		"max of the pod": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Max: a("memory=200Mi")}, wide},
			`{}`, `{"limits":{"memory":"72Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"min of a pod without limits": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Min: a("memory=512Mi")}},
			`{"requests":{"memory":"1Gi"}}`, `{"limits":{"memory":"512Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"ratio of the pod": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePod, MaxLimitRequestRatio: a("memory=2")}, wide},
			`{}`, `{"limits":{"memory":"256Mi"},"requests":{"cpu":"10m","memory":"128Mi"}}`},
		"a Guaranteed pod below max": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{Max: a("cpu=100m memory=100Mi"),
			Default: a("cpu=100m memory=100Mi")})},
			`{"limits":{"cpu":"50m","memory":"64Mi"}}`, `{"limits":{"cpu":"100m","memory":"100Mi"},"requests":{"cpu":"100m","memory":"100Mi"}}`},
		"storage": {[]corev1.LimitRangeItem{container(corev1.LimitRangeItem{
			Max: a("ephemeral-storage=2Gi"), Min: a("ephemeral-storage=1Gi"), Default: a("ephemeral-storage=2Gi"),
			DefaultRequest: a("ephemeral-storage=1Gi"),
		})}, `{}`, `{"limits":{"ephemeral-storage":"2Gi","memory":"256Mi"},"requests":{"cpu":"10m","ephemeral-storage":"1Gi","memory":"32Mi"}}`},
		"of claims": {[]corev1.LimitRangeItem{{Type: corev1.LimitTypePersistentVolumeClaim, Max: a("memory=1")}},
			`{}`, `{"limits":{"memory":"256Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(pod())
			req.Namespace.LimitRanges = []*corev1.LimitRange{limitRange("limits", c.items...)}
			if err := json.Unmarshal([]byte(c.app), &req.Pod.Spec.Containers[0].Resources); err != nil {
				t.Fatal(err)
			}
			if refused := limitRanger(req.Pod, req.Namespace.LimitRanges); refused != nil {
				t.Fatalf("the pod is refused as it is: %q", refused)
			}
			p := mustInject(t, req)
			got, err := json.Marshal(p.Spec.InitContainers[0].Resources)
			if err != nil || string(got) != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
			if refused := limitRanger(p, req.Namespace.LimitRanges); refused != nil {
				t.Errorf("the pod is refused: %q", refused)
			}
		})
	}
}

func TestAPodInWhichALimitRangeLeavesNoRoomIsLeftAlone(t *testing.T) {
	a := func(text string) corev1.ResourceList { return amount(t, text) }
	for name, c := range map[string]struct {
		item corev1.LimitRangeItem
		want string
	}{
		"max": {corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: a("memory=32Mi"), Default: a("memory=32Mi")},
			"of the memory that LimitRange small allows a container, 32Mi is left for the container kuda-runtime, which needs 64Mi"},
		"max of the pod": {corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: a("memory=1Gi")},
			"of the memory that LimitRange small allows a pod, 24Mi is left for the container kuda-runtime, which needs 64Mi"},
		"CPU of the pod": {corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: a("cpu=1")},
			"of the cpu that LimitRange small allows a pod, 0 is left for the container kuda-runtime, which needs 1m"},
		"ratio of the pod": {corev1.LimitRangeItem{Type: corev1.LimitTypePod, MaxLimitRequestRatio: a("memory=1"), Max: a("memory=1064Mi")},
			"LimitRange small"},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(pod(func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: a("cpu=1 memory=1000Mi"), Requests: a("cpu=500m memory=1000Mi")}
			}))
			req.Namespace.LimitRanges = []*corev1.LimitRange{limitRange("wide"), limitRange("small", c.item)}
			kept := req.Pod.DeepCopy()
			got, skip, err := Inject(req)
			if name == "ratio of the pod" { // just as much as the runtime needs
				if got == nil || got.Spec.InitContainers[0].Resources.Requests.Memory().String() != "64Mi" {
					t.Errorf("got %q, %v", skip, err)
				}
				return
			}
			if got != nil || err != nil || !strings.Contains(string(skip), c.want) {
				t.Errorf("got pod %v, skip %q, error %v", got, skip, err)
			}
			if diff := cmp.Diff(kept, req.Pod); diff != "" {
				t.Errorf("the pod was changed: %s", diff)
			}
		})
	}
}

// randomRange is one that the API server would store, with its defaults filled in.
func randomRange(r *rand.Rand, name string) *corev1.LimitRange {
	of := func(kind corev1.LimitType) corev1.LimitRangeItem {
		item := corev1.LimitRangeItem{
			Type: kind, Min: corev1.ResourceList{}, Max: corev1.ResourceList{}, MaxLimitRequestRatio: corev1.ResourceList{},
			Default: corev1.ResourceList{}, DefaultRequest: corev1.ResourceList{},
		}
		for name, unit := range map[corev1.ResourceName]int64{corev1.ResourceCPU: 10, corev1.ResourceMemory: 16 << 20,
			corev1.ResourceEphemeralStorage: 1 << 20} {
			low, high := 1+r.Int64N(20), 40+r.Int64N(100)
			if r.IntN(3) == 0 {
				item.Min[name] = toQuantity(name, low*unit)
				item.DefaultRequest[name] = item.Min[name]
			}
			if r.IntN(3) == 0 {
				item.Max[name] = toQuantity(name, high*unit)
				item.Default[name] = item.Max[name]
			}
			if r.IntN(4) == 0 {
				item.Default[name] = toQuantity(name, (low+r.Int64N(high-low))*unit)
			}
			if q, ok := item.Default[name]; ok && r.IntN(2) == 0 || ok && len(item.Min) == 0 {
				item.DefaultRequest[name] = q
			}
			if r.IntN(4) == 0 {
				item.MaxLimitRequestRatio[name] = *resource.NewMilliQuantity(1000+r.Int64N(4000), resource.DecimalSI)
			}
		}
		if kind == corev1.LimitTypePod {
			item.Default, item.DefaultRequest = nil, nil
		}
		return item
	}
	return limitRange(name, of(corev1.LimitTypeContainer), of(corev1.LimitTypePod))
}

func TestNoPodIsRefusedForItsRuntimeUnderAnyLimitRange(t *testing.T) {
	injected := 0
	for seed := range uint64(6_000) {
		r := rand.New(rand.NewPCG(seed, 14))
		req := randomRequest(r)
		req.Namespace.LimitRanges = []*corev1.LimitRange{randomRange(r, "a")}
		if r.IntN(3) == 0 {
			req.Namespace.LimitRanges = append(req.Namespace.LimitRanges, randomRange(r, "b"))
		}
		for i := range req.Pod.Spec.Containers {
			c := &req.Pod.Spec.Containers[i]
			if c.Resources.Limits = nil; r.IntN(2) == 0 {
				c.Resources.Requests = amount(t, "cpu=100m memory=200Mi")
			}
			if r.IntN(2) == 0 {
				c.Resources.Limits = amount(t, "cpu=200m memory=400Mi")
			}
		}
		if limitRanger(req.Pod, req.Namespace.LimitRanges) != nil {
			continue
		}
		p, skip, err := Inject(req)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if p == nil {
			if !strings.Contains(string(skip), "LimitRange ") {
				t.Fatalf("seed %d: %s", seed, skip)
			}
			continue
		}
		injected++
		if refused := limitRanger(p, req.Namespace.LimitRanges); refused != nil {
			t.Fatalf("seed %d: %q\n%+v\n%+v", seed, refused, req.Namespace.LimitRanges[0].Spec, p.Spec.InitContainers)
		}
		req.Pod = p.DeepCopy()
		if diff := cmp.Diff(p, mustInject(t, req)); diff != "" {
			t.Fatalf("seed %d: the second call changes the pod: %s", seed, diff)
		}
	}
	if injected < 100 {
		t.Errorf("only %d pods were injected", injected)
	}
}

func TestAPluginGetsItsShareOfThePodsLimit(t *testing.T) {
	req := request(pod(func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Limits = amount(t, "memory=100Mi")
	}))
	req.DataSets = []*v1alpha1.DataSet{dataSet("all", everySource)}
	req.Namespace.LimitRanges = []*corev1.LimitRange{limitRange("pods",
		corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: amount(t, "memory=240Mi")})}
	p := mustInject(t, req)
	var limits []string
	for _, c := range p.Spec.InitContainers {
		limits = append(limits, c.Name+" "+c.Resources.Limits.Memory().String())
	}
	if want := []string{sidecar.PluginPrefix + "sftp 76Mi", sidecar.ContainerName + " 64Mi"}; !slices.Equal(limits, want) {
		t.Errorf("got %q, want %q", limits, want)
	}
}
