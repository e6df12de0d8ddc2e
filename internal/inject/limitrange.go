// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"cmp"
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// leastMemory is the memory limit that the runtime can do its work with, where the
// installation does not give it less.
const leastMemory = 64 << 20

// limitRanges are what a namespace's LimitRanges say, the narrowest of each.
type limitRanges struct {
	container, pod           bounds
	defaults, defaultRequest map[corev1.ResourceName]int64
}

// bounds of one container, or of a pod as a whole.
type bounds struct {
	min, max, ratio map[corev1.ResourceName]bound
}

// bound is a value, in units, and the LimitRange that has it. A ratio is in thousandths.
type bound struct {
	value int64
	of    string
}

func readLimitRanges(list []*corev1.LimitRange) limitRanges {
	newBounds := func() bounds {
		return bounds{map[corev1.ResourceName]bound{}, map[corev1.ResourceName]bound{}, map[corev1.ResourceName]bound{}}
	}
	l := limitRanges{newBounds(), newBounds(), map[corev1.ResourceName]int64{}, map[corev1.ResourceName]int64{}}
	narrow := func(to map[corev1.ResourceName]bound, from corev1.ResourceList, of string,
		value func(corev1.ResourceName, resource.Quantity) int64, sign int) {
		for name, q := range from {
			v := value(name, q)
			if have, ok := to[name]; !ok || cmp.Compare(v, have.value) == sign {
				to[name] = bound{v, of}
			}
		}
	}
	least := func(to map[corev1.ResourceName]int64, from corev1.ResourceList) {
		for name, q := range from {
			if have, ok := to[name]; !ok || toUnits(name, q) < have {
				to[name] = toUnits(name, q)
			}
		}
	}
	thousandths := func(_ corev1.ResourceName, q resource.Quantity) int64 { return q.MilliValue() }
	for _, r := range list {
		for _, item := range r.Spec.Limits {
			of := &l.pod
			switch item.Type {
			case corev1.LimitTypeContainer:
				of = &l.container
				least(l.defaults, item.Default)
				least(l.defaultRequest, item.DefaultRequest)
			case corev1.LimitTypePod:
			default:
				continue
			}
			narrow(of.min, item.Min, r.Name, toUnits, 1)
			narrow(of.max, item.Max, r.Name, toUnits, -1)
			narrow(of.ratio, item.MaxLimitRequestRatio, r.Name, thousandths, -1)
		}
	}
	return l
}

// keepLimitRanges gives Kuda's containers in the pod the resources with which the pod
// keeps the LimitRanges of its namespace, if it does so without them. It returns why
// the pod is left alone where they do not fit; the pod must not be used then.
// What the application's containers have is not changed.
func (p plan) keepLimitRanges(spec *corev1.PodSpec) Skip {
	if len(p.Namespace.LimitRanges) == 0 || hasResources(spec) {
		// Containers of a pod with resources of its own as a whole get the namespace's
		// defaults, like those of the application.
		return ""
	}
	l := readLimitRanges(p.Namespace.LimitRanges)
	own := 0
	for i := range spec.InitContainers {
		if isOwnContainer(spec.InitContainers[i].Name) {
			own++
		}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		sum := sumOf(spec, name)
		left := own
		for i := range spec.InitContainers {
			c := &spec.InitContainers[i]
			if !isOwnContainer(c.Name) {
				continue
			}
			left--
			configured := p.Settings.Resources
			if c.Name != sidecar.ContainerName {
				configured = p.Settings.Plugins[c.Name[len(sidecar.PluginPrefix):]].Resources
			}
			f := fit{name: name, least: leastOf(name, configured), sum: sum, ranges: &l, container: c.Name}
			f.readAmounts(&c.Resources)
			f.reserved = int64(left) * f.least
			if why := f.findAmounts(); why != "" {
				return why
			}
			f.writeAmounts(&c.Resources)
			sum.addAmounts(f.have)
		}
	}
	return ""
}

// leastOf is the limit that a container of Kuda's needs at least.
func leastOf(name corev1.ResourceName, configured corev1.ResourceRequirements) int64 {
	if name != corev1.ResourceMemory {
		return 0
	}
	if limit, ok := configured.Limits[name]; ok {
		return min(leastMemory, toUnits(name, limit))
	}
	return leastMemory
}

// amounts are a container's, or those of several containers together.
type amounts struct {
	requests, limits       int64
	hasRequests, hasLimits bool
}

func (a *amounts) addAmounts(b amounts) {
	a.requests, a.limits = a.requests+b.requests, a.limits+b.limits
	a.hasRequests, a.hasLimits = a.hasRequests || b.hasRequests, a.hasLimits || b.hasLimits
}

func (a *amounts) raiseTo(b amounts) {
	a.requests, a.limits = max(a.requests, b.requests), max(a.limits, b.limits)
	a.hasRequests, a.hasLimits = a.hasRequests || b.hasRequests, a.hasLimits || b.hasLimits
}

func amountsOf(name corev1.ResourceName, r *corev1.ResourceRequirements) amounts {
	request, hasRequest := r.Requests[name]
	limit, hasLimit := r.Limits[name]
	return amounts{toUnits(name, request), toUnits(name, limit), hasRequest, hasLimit}
}

// sumOf is what the pod's own containers have together, as Kubernetes counts it:
// sidecars and containers run beside each other, other init containers one after
// another. A container of Kuda's, which starts first, adds to each of these.
func sumOf(spec *corev1.PodSpec, name corev1.ResourceName) amounts {
	var sum, sidecars, peak amounts
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if isOwnContainer(c.Name) {
			continue
		}
		own := amountsOf(name, &c.Resources)
		if podstate.IsNativeSidecar(c) {
			sum.addAmounts(own)
			sidecars.addAmounts(own)
			peak.raiseTo(sidecars)
		} else {
			own.addAmounts(sidecars)
			peak.raiseTo(own)
		}
	}
	for i := range spec.Containers {
		sum.addAmounts(amountsOf(name, &spec.Containers[i].Resources))
	}
	sum.raiseTo(peak)
	return sum
}

// fit is the search for one resource of one container.
type fit struct {
	name      corev1.ResourceName
	container string
	// least is the limit that the container needs at least.
	least int64
	// sum is what the pod has without it; reserved is for those of Kuda's that follow.
	sum      amounts
	reserved int64
	ranges   *limitRanges
	have     amounts
}

func (f *fit) readAmounts(r *corev1.ResourceRequirements) {
	f.have = amountsOf(f.name, r)
	f.fillDefaults()
}

// fillDefaults sets what the container lacks and a bound requires: the namespace's default,
// as Kubernetes would, or something that serves.
func (f *fit) fillDefaults() {
	hadLimit := f.have.hasLimits
	most, hasMost := f.ranges.container.max[f.name]
	_, hasRatio := f.ranges.container.ratio[f.name]
	byDefault, hasDefault := f.ranges.defaults[f.name]
	if !hadLimit && (hasMost || hasRatio || hasDefault) {
		switch {
		case hasDefault:
			f.have.limits = byDefault
		case f.name == corev1.ResourceCPU:
			f.have.limits = cpuLimit.MilliValue()
		case hasMost:
			f.have.limits = most.value
		default:
			f.have.limits = f.have.requests
		}
		f.have.limits, f.have.hasLimits = max(f.have.limits, f.have.requests), true
	}
	if f.have.hasRequests {
		return
	}
	_, hasLeast := f.ranges.container.min[f.name]
	request, hasDefaultRequest := f.ranges.defaultRequest[f.name]
	switch {
	case hasDefaultRequest && !hadLimit:
		f.have.requests, f.have.hasRequests = request, true
	case f.have.hasLimits:
		f.have.requests, f.have.hasRequests = f.have.limits, true
	case hasLeast:
		f.have.hasRequests = true
	}
}

// findAmounts changes the amounts to such that keep all bounds.
func (f *fit) findAmounts() Skip {
	low := f.ranges.container.min[f.name].value
	if f.have.hasLimits {
		high, of := f.upperBound(f.sum.limits + f.reserved)
		if need := max(f.least, low); high.value < need || high.value <= 0 {
			return f.skipReason(high, of, need)
		}
		f.have.limits = max(low, min(f.have.limits, high.value))
		// A pod without any limit has none that is too low, until it gets this one.
		if b := f.ranges.pod.min[f.name]; !f.sum.hasLimits && f.have.limits < b.value {
			f.have.limits = min(b.value, high.value)
		}
	}
	high, of := f.upperBound(f.sum.requests)
	if f.have.hasRequests {
		f.have.requests = max(f.have.requests, low)
		if f.have.hasLimits {
			f.have.requests = min(f.have.requests, f.have.limits)
		}
		if f.have.requests = min(f.have.requests, high.value); f.have.requests < low {
			return f.skipReason(high, of, low)
		}
	}
	if !f.have.hasRequests || !f.have.hasLimits {
		return ""
	}
	if b, ok := f.ranges.container.ratio[f.name]; ok {
		if why := f.keepRatio(b, amounts{}, high.value); why != "" {
			return why
		}
	}
	// Where the pod's own containers do not keep it, Kuda's cannot mend that.
	if b, ok := f.ranges.pod.ratio[f.name]; ok && scaleThousandths(f.sum.requests, b.value) >= f.sum.limits {
		return f.keepRatio(b, f.sum, high.value)
	}
	return ""
}

// upperBound is the most that the container may have beside what others have, and who
// may have it.
func (f *fit) upperBound(others int64) (bound, string) {
	high, of := bound{value: math.MaxInt64}, "a container"
	if b, ok := f.ranges.container.max[f.name]; ok {
		high = b
	}
	if b, ok := f.ranges.pod.max[f.name]; ok && b.value-others < high.value {
		high, of = bound{b.value - others, b.of}, "a pod"
	}
	return high, of
}

// keepRatio raises the request until the limit is no more than so many times as
// much, taken together with others; where there is no room for that, it lowers the limit.
func (f *fit) keepRatio(ratio bound, others amounts, room int64) Skip {
	limits := others.limits + f.have.limits
	requests := int64(math.Ceil(float64(limits) * 1000 / float64(ratio.value)))
	f.have.requests = min(max(f.have.requests, requests-others.requests), f.have.limits, room)
	f.have.limits = min(f.have.limits, scaleThousandths(others.requests+f.have.requests, ratio.value)-others.limits)
	if need := max(f.least, f.ranges.container.min[f.name].value); f.have.limits < need {
		return Skip(fmt.Sprintf("LimitRange %s allows limits of %s at most %s times the requests, which leaves %s less than the %s that it needs",
			ratio.of, f.name, resource.NewMilliQuantity(ratio.value, resource.DecimalSI), f.container, formatAmount(f.name, need)))
	}
	return ""
}

func scaleThousandths(value, thousandths int64) int64 {
	return int64(math.Floor(float64(value) * float64(thousandths) / 1000))
}

// skipReason says what is not enough.
func (f *fit) skipReason(b bound, of string, need int64) Skip {
	return Skip(fmt.Sprintf("of the %s that LimitRange %s allows %s, %s is left for the container %s, which needs %s",
		f.name, b.of, of, formatAmount(f.name, max(0, b.value)), f.container, formatAmount(f.name, max(1, need))))
}

// writeAmounts sets what has been found, where it is another amount than before.
func (f *fit) writeAmounts(r *corev1.ResourceRequirements) {
	before := amountsOf(f.name, r)
	if f.have.hasLimits && (!before.hasLimits || before.limits != f.have.limits) {
		setLimit(r, f.name, toQuantity(f.name, f.have.limits))
	}
	if f.have.hasRequests && (!before.hasRequests || before.requests != f.have.requests) {
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[f.name] = toQuantity(f.name, f.have.requests)
	}
}

// toUnits returns a quantity in units: thousandths for CPU, whole ones for all other
// resources.
func toUnits(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

func toQuantity(name corev1.ResourceName, value int64) resource.Quantity {
	if name == corev1.ResourceCPU {
		return *resource.NewMilliQuantity(value, resource.DecimalSI)
	}
	return *resource.NewQuantity(value, resource.BinarySI)
}

func formatAmount(name corev1.ResourceName, value int64) string {
	q := toQuantity(name, value)
	return q.String()
}
