// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"
	"time"
)

// window is over how long rates are smoothed. Runtimes report every second or
// two while bytes come.
const window = 15 * time.Second

type sample struct {
	at    time.Time
	bytes int64
}

// Meter turns what views show one after the other into rates.
type Meter struct {
	samples map[string][]sample
}

// Measure notes the bytes of a view and fills in its rates and the time left.
func (m *Meter) Measure(v *View, now time.Time) {
	seen := map[string][]sample{}
	observe := func(key string, p *Progress) {
		seen[key] = addSample(m.samples[key], sample{at: now, bytes: p.Bytes})
		p.Rate = transferRate(seen[key])
		p.Left = secondsLeft(*p)
	}
	v.Moving.Rate = 0
	for i := range v.Pods {
		p := &v.Pods[i]
		if !p.State.IsMoving() {
			continue
		}
		key := p.Name + "\n" + p.Revision + "\n" + string(p.State)
		observe(key, &p.Progress)
		v.Moving.Rate += p.Progress.Rate
		for j := range p.Items {
			if item := &p.Items[j]; p.State != Prefetching && item.Progress.Bytes < item.Progress.Total {
				observe(key+"\n"+item.Name+"\n"+item.Version, &item.Progress)
			}
		}
	}
	v.Moving.Left = secondsLeft(v.Moving)
	m.samples = seen
}

// addSample adds a sample. Those that left the window go, but for one as the base
// to count from; bytes that become fewer mean another download.
func addSample(samples []sample, s sample) []sample {
	if n := len(samples); n > 0 && s.bytes < samples[n-1].bytes {
		samples = nil
	}
	samples = append(samples, s)
	first := slices.IndexFunc(samples, func(x sample) bool { return x.at.After(s.at.Add(-window)) })
	return slices.Delete(samples, 0, max(first-1, 0))
}

func transferRate(samples []sample) int64 {
	first, last := samples[0], samples[len(samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds < 1 {
		return 0
	}
	return int64(float64(last.bytes-first.bytes) / seconds)
}

// secondsLeft is how many seconds the rest takes at this rate, rounded up.
func secondsLeft(p Progress) int64 {
	if p.Rate <= 0 || p.Bytes >= p.Total {
		return 0
	}
	return (p.Total - p.Bytes + p.Rate - 1) / p.Rate
}
