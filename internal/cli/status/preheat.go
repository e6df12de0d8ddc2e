// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/status"
)

// preheatLine says how many nodes have the data that spec.preheat puts there.
func preheatLine(p *v1alpha1.PreheatStatus, v *status.View, now time.Time) string {
	text := fmt.Sprintf("%d of %d nodes have it", p.Ready, p.Desired)
	if p.Failed > 0 {
		text += fmt.Sprintf(", %d failed", p.Failed)
	}
	if p.Revision != "" {
		m := status.Mark{Name: p.Revision}
		for _, known := range []status.Mark{v.Update, v.Stable} {
			if known.Name == p.Revision {
				m = known
			}
		}
		text += ", revision " + m.Label(v.Name)
	}
	if p.NextScheduleTime != nil {
		text += ", looked at again in " + duration.HumanDuration(max(p.NextScheduleTime.Sub(now), 0))
	}
	return text
}

func preheatTone(p *v1alpha1.PreheatStatus) frame.Tone {
	switch {
	case p.Failed > 0:
		return frame.Bad
	case p.Ready < p.Desired:
		return frame.Warning
	}
	return frame.Good
}

func preheatNode(n *v1alpha1.PreheatNodeStatus) string {
	text := string(n.Phase)
	if n.Reason != "" {
		text += ", " + n.Reason
	}
	if n.Message != "" {
		text += ": " + n.Message
	}
	return text
}

// preheatCacheLine says what the caches hold that spec.preheat fills.
func preheatCacheLine(c *v1alpha1.PreheatCacheStatus) string {
	text := fmt.Sprintf("%s, hold %s of %s", c.Phase, bytesize.Text(c.HeldBytes), bytesize.Text(c.TotalBytes))
	if c.Phase != v1alpha1.PreheatReady && c.Node != "" {
		text += ", filled from node " + c.Node
	}
	if c.Reason != "" {
		text += "; " + c.Reason + ": " + c.Message
	}
	return text
}

func preheatCacheTone(c *v1alpha1.PreheatCacheStatus) frame.Tone {
	switch c.Phase {
	case v1alpha1.PreheatReady:
		return frame.Good
	case v1alpha1.PreheatFailed:
		return frame.Bad
	}
	return frame.Warning
}
