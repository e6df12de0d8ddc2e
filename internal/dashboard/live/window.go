// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/insight/status"
)

// MaxWindow is how many pods a window has at most.
const MaxWindow = 200

// Query says which pods a page looks at.
type Query struct {
	// State that they are in; empty: any.
	State status.State
	// Text that is in their name, node or message.
	Text string
	// Sort is name, node or progress; empty: by state, those that need a look first.
	Sort          string
	Offset, Limit int
}

// Select returns the window of the pods that the query asks for.
func Select(pods []status.Pod, q Query) contract.Window {
	text := strings.ToLower(q.Text)
	var found []status.Pod
	for i := range pods {
		if p := &pods[i]; (q.State == "" || p.State == q.State) && hasText(p, text) {
			found = append(found, *p)
		}
	}
	sortPods(found, q.Sort)
	w := contract.Window{Total: len(found), Offset: min(max(q.Offset, 0), len(found))}
	limit := min(max(q.Limit, 0), MaxWindow)
	w.Pods = append([]status.Pod{}, found[w.Offset:min(w.Offset+limit, len(found))]...)
	return w
}

// hasText reports whether the pod has the text, in lower case, somewhere.
func hasText(p *status.Pod, text string) bool {
	return text == "" || strings.Contains(p.Name, text) || strings.Contains(p.Node, text) ||
		strings.Contains(strings.ToLower(p.Message), text)
}

func sortPods(pods []status.Pod, by string) {
	switch by {
	case "name":
		slices.SortStableFunc(pods, func(a, b status.Pod) int { return strings.Compare(a.Name, b.Name) })
	case "node":
		slices.SortStableFunc(pods, func(a, b status.Pod) int { return strings.Compare(a.Node, b.Node) })
	case "progress":
		slices.SortStableFunc(pods, func(a, b status.Pod) int { return cmp.Compare(share(a.Progress), share(b.Progress)) })
	}
}

func share(p status.Progress) float64 {
	if p.Total <= 0 {
		return 1
	}
	return float64(p.Bytes) / float64(p.Total)
}

// GroupByReason returns how many pods each reason holds back, the most first.
func GroupByReason(pods []status.Pod) []contract.Group {
	type key struct {
		state  status.State
		reason string
	}
	counts := map[key]int{}
	for i := range pods {
		if reason := podReason(&pods[i]); reason != "" {
			counts[key{pods[i].State, reason}]++
		}
	}
	groups := make([]contract.Group, 0, len(counts))
	for k, n := range counts {
		groups = append(groups, contract.Group{State: k.state, Reason: k.reason, Pods: n})
	}
	slices.SortFunc(groups, func(a, b contract.Group) int {
		return cmp.Or(cmp.Compare(b.Pods, a.Pods), strings.Compare(a.Reason, b.Reason), strings.Compare(string(a.State), string(b.State)))
	})
	return groups
}

// podReason returns the reason that holds a pod back, or nothing.
func podReason(p *status.Pod) string {
	for i := range p.Items {
		if item := &p.Items[i]; item.Reason != "" && (p.State == status.Failed) == (item.Phase == v1alpha1.DataFailed) {
			return item.Reason
		}
	}
	if p.State == status.Failed || p.State == status.Connecting {
		reason, _, _ := strings.Cut(p.Message, ":")
		if !strings.Contains(reason, " ") {
			return reason
		}
	}
	return ""
}
