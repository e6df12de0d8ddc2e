// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"maps"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// disk is what a plan starts from.
type disk struct {
	// current is the revision in the view, "" for none.
	current string
	record  *podstate.Record
	// prefetched is what was fetched for later, by mark.
	prefetched map[string]podstate.Item
}

// plan is what a pass has to do for one assignment.
type plan struct {
	items []itemPlan
	// held: the revision was taken back and is not tried again.
	held *podstate.FailedRevision
	// switches: the view has to move.
	switches bool
	// pre and post are the hooks to run, in order.
	pre, post []hookPlan
	// told are all hooks that tell the application, those of post among them.
	told []hookPlan
	// notices are the hook marks that hold once everything is done.
	notices map[string]string
}

// isUpToDate reports whether everything is as it is to be, if it is still on disk.
func (p *plan) isUpToDate() bool {
	for _, ip := range p.items {
		if ip.have == nil {
			return false
		}
	}
	return !p.switches && len(p.post) == 0
}

// itemPlan is one item of a plan.
type itemPlan struct {
	item   *gatewayv1alpha1.Item
	source *gatewayv1alpha1.Source
	key    podstate.ItemKey
	// mark names the bytes, and way how they come.
	mark, way string
	// have is the delivered item with the same bytes, from any revision on disk.
	have *podstate.Item
	// noticed: the application is to be told of it.
	noticed bool
}

// hookPlan is one hook to run; key is empty for the assignment's own.
type hookPlan struct {
	id, mark string
	key      podstate.ItemKey
	item     *gatewayv1alpha1.Item
	hook     *gatewayv1alpha1.Hook
	point    gatewayv1alpha1.HookPoint
}

const (
	idPre  = "pre"
	idPost = "post"
)

// makePlan decides; it changes nothing.
func makePlan(a *gatewayv1alpha1.Assignment, d disk) plan {
	p := plan{notices: map[string]string{}, switches: d.current != a.GetRevision()}
	if f := d.record.Failed; f != nil && f.Revision == a.GetRevision() && p.switches {
		p.held = f
	}
	p.items = planItems(a.GetItems(), a.GetSources())
	current := d.record.Revisions[d.current].Items
	places := map[podstate.ItemKey]string{}
	var notices []string
	for n := range p.items {
		ip := &p.items[n]
		ip.have = findRecord(d, ip.key, ip.mark, ip.way)
		notice := noticeMark(ip.mark, ip.item.GetLocalPath())
		ip.noticed = d.record.Hooks[idPost+"/"+string(ip.key)] != notice
		places[ip.key] = notice
		notices = append(notices, notice)
		p.notices[idPost+"/"+string(ip.key)] = notice
	}
	whole := assignmentMark(notices)
	p.notices[idPost] = whole
	if !maps.Equal(places, placesOf(current)) {
		p.switches = true
	}
	p.planHooks(a, d, whole)
	return p
}

// planItems says of each item what its bytes are called and where they come from.
func planItems(items []*gatewayv1alpha1.Item, sources []*gatewayv1alpha1.Source) []itemPlan {
	named := make(map[string]*gatewayv1alpha1.Source, len(sources))
	for _, s := range sources {
		named[s.GetName()] = s
	}
	plans := make([]itemPlan, 0, len(items))
	for _, i := range items {
		s := named[i.GetSource()]
		plans = append(plans, itemPlan{item: i, source: s, key: podstate.KeyOf(i.GetNamespace(), i.GetName()),
			mark: item.Mark(i, s), way: sourceconfig.WayMark(s)})
	}
	return plans
}

func (p *plan) planHooks(a *gatewayv1alpha1.Assignment, d disk, whole string) {
	current := d.record.Revisions[d.current].Items
	// At the first delivery there is no application yet to be warned.
	if d.record.Hooks[idPost] != "" && p.switches && p.notices[idPost] != d.record.Hooks[idPost] {
		p.pre = appendHook(p.pre, hookPlan{id: idPre, mark: whole, hook: a.GetLifecycle().GetPreDownload(),
			point: gatewayv1alpha1.HookPoint_HOOK_POINT_PRE_DOWNLOAD})
		for _, ip := range p.items {
			if current[ip.key].Mark == ip.mark {
				continue
			}
			p.pre = appendHook(p.pre, hookPlan{id: idPre + "/" + string(ip.key), mark: ip.mark, key: ip.key, item: ip.item,
				hook: ip.item.GetLifecycle().GetPreDownload(), point: gatewayv1alpha1.HookPoint_HOOK_POINT_PRE_DOWNLOAD})
		}
	}
	for _, ip := range p.items {
		id := idPost + "/" + string(ip.key)
		p.addHook(ip.noticed, hookPlan{id: id, mark: p.notices[id], key: ip.key, item: ip.item,
			hook: ip.item.GetLifecycle().GetPostDownload(), point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD})
	}
	p.addHook(d.record.Hooks[idPost] != whole, hookPlan{id: idPost, mark: whole, hook: a.GetLifecycle().GetPostDownload(),
		point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD})
}

func (p *plan) addHook(due bool, h hookPlan) {
	p.told = appendHook(p.told, h)
	if due {
		p.post = appendHook(p.post, h)
	}
}

func appendHook(hooks []hookPlan, h hookPlan) []hookPlan {
	if h.hook.GetAction() == nil {
		return hooks
	}
	return append(hooks, h)
}

// findRecord looks for delivered bytes in the current revision first, then in the
// others, then in what was prefetched.
func findRecord(d disk, key podstate.ItemKey, mark, way string) *podstate.Item {
	if have, ok := d.record.Revisions[d.current].Items[key]; ok && have.IsOf(mark, way) {
		return &have
	}
	for _, rev := range d.record.Revisions {
		for _, have := range rev.Items {
			if have.IsOf(mark, way) {
				return &have
			}
		}
	}
	if have, ok := d.prefetched[mark]; ok && have.IsOf(mark, way) {
		return &have
	}
	return nil
}

func placesOf(items map[podstate.ItemKey]podstate.Item) map[podstate.ItemKey]string {
	out := make(map[podstate.ItemKey]string, len(items))
	for key, have := range items {
		out[key] = noticeMark(have.Mark, have.LocalPath)
	}
	return out
}
