// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Disk is what a plan starts from.
type Disk struct {
	// Current is the revision in the view, "" for none.
	Current string
	Record  *podstate.Record
	// Prefetched is what was fetched for later, by mark.
	Prefetched map[string]podstate.Item
}

// Plan is what a pass has to do for one assignment.
type Plan struct {
	Items []Item
	// Held: the revision was taken back and is not tried again.
	Held *podstate.FailedRevision
	// Switches: the view has to move.
	Switches bool
	// Pre and Post are the hooks to run, in order.
	Pre, Post []Hook
	// Told are all hooks that tell the application, those of Post among them.
	Told []Hook
	// Notices are the hook marks that hold once everything is done.
	Notices map[string]string
}

// IsUpToDate reports whether everything is as it is to be, if it is still on disk.
func (p *Plan) IsUpToDate() bool {
	for _, ip := range p.Items {
		if ip.Have == nil {
			return false
		}
	}
	return !p.Switches && len(p.Post) == 0
}

// Item is one item of a plan.
type Item struct {
	Item   *gatewayv1alpha1.Item
	Source *gatewayv1alpha1.Source
	Key    podstate.ItemKey
	// Mark names the bytes, and Way how they come.
	Mark, Way string
	// Have is the delivered item with the same bytes, from any revision on disk.
	Have *podstate.Item
	// Noticed: the application is to be told of it.
	Noticed bool
}

// Hook is one hook to run; Key is empty for the assignment's own.
type Hook struct {
	ID, Mark string
	Key      podstate.ItemKey
	Item     *gatewayv1alpha1.Item
	Hook     *gatewayv1alpha1.Hook
	Point    gatewayv1alpha1.HookPoint
}

// The hooks of an assignment; those of its items have a slash and the item's key behind it.
const (
	PreID  = "pre"
	PostID = "post"
)

// Make decides; it changes nothing.
func Make(a *gatewayv1alpha1.Assignment, d Disk) Plan {
	p := Plan{Notices: map[string]string{}, Switches: d.Current != a.GetRevision()}
	if f := d.Record.Failed; f != nil && f.Revision == a.GetRevision() && p.Switches {
		p.Held = f
	}
	p.Items = ItemsOf(a.GetItems(), a.GetSources())
	current := d.Record.Revisions[d.Current].Items
	places := map[podstate.ItemKey]string{}
	var notices []string
	for n := range p.Items {
		ip := &p.Items[n]
		ip.Have = findRecord(d, ip.Key, ip.Mark, ip.Way)
		notice := NoticeMark(ip.Mark, ip.Item.GetLocalPath())
		ip.Noticed = d.Record.Hooks[PostID+"/"+string(ip.Key)] != notice
		places[ip.Key] = notice
		notices = append(notices, notice)
		p.Notices[PostID+"/"+string(ip.Key)] = notice
	}
	whole := AssignmentMark(notices)
	p.Notices[PostID] = whole
	if !maps.Equal(places, PlacesOf(current)) {
		p.Switches = true
	}
	p.planHooks(a, d, whole)
	return p
}

// ItemsOf returns for each item what its bytes are called and where they come from.
func ItemsOf(items []*gatewayv1alpha1.Item, sources []*gatewayv1alpha1.Source) []Item {
	named := make(map[string]*gatewayv1alpha1.Source, len(sources))
	for _, s := range sources {
		named[s.GetName()] = s
	}
	plans := make([]Item, 0, len(items))
	for _, i := range items {
		s := named[i.GetSource()]
		plans = append(plans, Item{Item: i, Source: s, Key: podstate.KeyOf(i.GetNamespace(), i.GetName()),
			Mark: item.Mark(i, s), Way: item.WayMark(s)})
	}
	return plans
}

func (p *Plan) planHooks(a *gatewayv1alpha1.Assignment, d Disk, whole string) {
	current := d.Record.Revisions[d.Current].Items
	// At the first delivery there is no application yet to be warned.
	if d.Record.Hooks[PostID] != "" && p.Switches && p.Notices[PostID] != d.Record.Hooks[PostID] {
		p.Pre = appendHook(p.Pre, Hook{ID: PreID, Mark: whole, Hook: a.GetLifecycle().GetPreDownload(),
			Point: gatewayv1alpha1.HookPoint_HOOK_POINT_PRE_DOWNLOAD})
		for _, ip := range p.Items {
			if current[ip.Key].Mark == ip.Mark {
				continue
			}
			p.Pre = appendHook(p.Pre, Hook{ID: PreID + "/" + string(ip.Key), Mark: ip.Mark, Key: ip.Key, Item: ip.Item,
				Hook: ip.Item.GetLifecycle().GetPreDownload(), Point: gatewayv1alpha1.HookPoint_HOOK_POINT_PRE_DOWNLOAD})
		}
	}
	for _, ip := range p.Items {
		id := PostID + "/" + string(ip.Key)
		p.addHook(ip.Noticed, Hook{ID: id, Mark: p.Notices[id], Key: ip.Key, Item: ip.Item,
			Hook: ip.Item.GetLifecycle().GetPostDownload(), Point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD})
	}
	p.addHook(d.Record.Hooks[PostID] != whole, Hook{ID: PostID, Mark: whole, Hook: a.GetLifecycle().GetPostDownload(),
		Point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD})
}

func (p *Plan) addHook(due bool, h Hook) {
	p.Told = appendHook(p.Told, h)
	if due {
		p.Post = appendHook(p.Post, h)
	}
}

func appendHook(hooks []Hook, h Hook) []Hook {
	if h.Hook.GetAction() == nil {
		return hooks
	}
	return append(hooks, h)
}

// findRecord looks for delivered bytes in the current revision first, then in the
// others, then in what was prefetched.
func findRecord(d Disk, key podstate.ItemKey, mark, way string) *podstate.Item {
	if have, ok := d.Record.Revisions[d.Current].Items[key]; ok && have.IsOf(mark, way) {
		return &have
	}
	for _, rev := range d.Record.Revisions {
		for _, have := range rev.Items {
			if have.IsOf(mark, way) {
				return &have
			}
		}
	}
	if have, ok := d.Prefetched[mark]; ok && have.IsOf(mark, way) {
		return &have
	}
	return nil
}

// PlacesOf returns, of each item, what the application was told of it.
func PlacesOf(items map[podstate.ItemKey]podstate.Item) map[podstate.ItemKey]string {
	out := make(map[podstate.ItemKey]string, len(items))
	for key, have := range items {
		out[key] = NoticeMark(have.Mark, have.LocalPath)
	}
	return out
}
