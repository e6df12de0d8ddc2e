// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

// State is what the pod has, for the local API.
type State struct {
	// Connected to the gateway.
	Connected bool `json:"connected"`
	// Message says why not, and what to do, where that is known.
	Message string `json:"message,omitempty"`
	// DataSets, sorted by name.
	DataSets []DataSet `json:"dataSets"`
}

// DataSet is what the pod has of one DataSet.
type DataSet struct {
	Name string `json:"name"`
	// Revision that the application sees; empty: none yet.
	Revision string `json:"revision"`
	// DesiredRevision is what it is on its way to, or at.
	DesiredRevision string `json:"desiredRevision,omitempty"`
	// Retained: the DataSet is no longer assigned; the data stays.
	Retained bool `json:"retained,omitempty"`
	// Items of the desired revision.
	Items []Item `json:"items"`
	// Prefetch is the revision that is fetched for later, if there is one. What
	// it points to is never written to.
	Prefetch *Prefetch `json:"prefetch,omitempty"`
	// Credentials are the Secrets and ConfigMaps that the sources name, as they are
	// mounted; nil where they name none. What it points to is never written to.
	Credentials *sourceconfig.Credentials `json:"credentials,omitempty"`
}

// Prefetch is how far a revision is that is to be in the store.
type Prefetch struct {
	Revision string `json:"revision"`
	// Phase is waiting, downloading, success (all of it is there) or failed.
	Phase   string `json:"phase"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Bytes on disk, of TotalBytes as far as they are known.
	Bytes      int64 `json:"bytes"`
	TotalBytes int64 `json:"totalBytes"`
}

// Item is the state of one item.
type Item struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	// Path below the data directory.
	Path string `json:"path"`
	// Phase is waiting, downloading, success or failed.
	Phase   string `json:"phase"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Bytes on disk, of TotalBytes.
	Bytes      int64     `json:"bytes"`
	TotalBytes int64     `json:"totalBytes"`
	Digest     string    `json:"digest,omitempty"`
	Origin     string    `json:"origin,omitempty"`
	Started    time.Time `json:"startTime,omitzero"`
	Completed  time.Time `json:"completionTime,omitzero"`
	// Cache is what the source's cache did; nil where it has none. What it points to is
	// never written to.
	Cache *podstate.CacheUse `json:"cache,omitempty"`
	// CacheFill is how far the source's cache is filled; nil where it is not to be. What
	// it points to is never written to.
	CacheFill *CacheFill `json:"cacheFill,omitempty"`
}

// CacheFill is how far a cache is filled with an item.
type CacheFill struct {
	// Held bytes are in the cache, of Total that may come from it as far as they are
	// known.
	Held  int64 `json:"heldBytes"`
	Total int64 `json:"totalBytes"`
	// Holders are the hosts that hold most of these.
	Holders []CacheHolder `json:"holders,omitempty"`
	// Done: the cache holds all of it, or Reason and Message say why it does not.
	Done    bool   `json:"done,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// MaxCacheHolders is how many hosts a CacheFill names at most, and maxReportHolders all of
// a report.
const (
	MaxCacheHolders  = 32
	maxReportHolders = 256
)

// CacheHolder is a host that holds bytes of a cache.
type CacheHolder struct {
	Host  string `json:"host"`
	Bytes int64  `json:"bytes"`
}

// SetPhase changes the phase.
func (i *Item) SetPhase(phase, reason, message string) {
	i.Phase, i.Reason, i.Message = phase, reason, message
}

// BeginDownload says that the item is downloaded now, unless it says something that
// outlasts another try.
func (i *Item) BeginDownload() {
	if !i.KeepsPhase() {
		i.SetPhase(PhaseDownloading, ReasonDownloading, "")
	}
}

// KeepsPhase reports whether what the item says holds until a try has got
// further: why the last one failed, or that it is in the store and waits.
func (i *Item) KeepsPhase() bool {
	return i.Phase == PhaseFailed || i.Phase == PhaseWaiting && i.Digest != ""
}

// HasAdvanced reports whether a try got beyond the point at which the last one
// failed. Bytes say nothing where not the way to them was the failure.
func (i *Item) HasAdvanced(p transfer.Progress) bool {
	return !OutlastsDownload(i.Reason) && i.Phase == PhaseFailed && p.Received > 0 && p.Done > i.Bytes
}

// OutlastsDownload reports whether a failure for the reason persists while bytes arrive.
func OutlastsDownload(reason string) bool {
	switch reason {
	case ReasonDigestMismatch, ReasonInvalidPath, ReasonPathConflict, ReasonHookFailed:
		return true
	default:
		return false
	}
}

// ShowFailure shows a failure that leaves the other items as they are.
func (d *DataSet) ShowFailure(f *podstate.FailedRevision) {
	for i := range d.Items {
		item := &d.Items[i]
		if slices.Contains(f.Items, podstate.ItemKey(item.Namespace+"/"+item.Name)) {
			item.SetPhase(PhaseFailed, ReasonHookFailed, f.Message)
		}
	}
}

// SetStored takes over what is known once an item is in the store. A later try finds
// it there, which is not where it came from.
func (i *Item) SetStored(l *store.Lease, origin string, use *podstate.CacheUse) {
	if origin != "" && i.Digest == "" {
		i.Origin, i.Cache = origin, use
	}
	i.Bytes, i.TotalBytes, i.Digest = l.Bytes(), l.Bytes(), l.Digest()
}

// maxMessage is what the API takes, in bytes.
const maxMessage = 4000

var phases = map[string]gatewayv1alpha1.Phase{
	PhaseWaiting:     gatewayv1alpha1.Phase_PHASE_WAITING,
	PhaseDownloading: gatewayv1alpha1.Phase_PHASE_DOWNLOADING,
	PhaseSuccess:     gatewayv1alpha1.Phase_PHASE_SUCCESS,
	PhaseFailed:      gatewayv1alpha1.Phase_PHASE_FAILED,
}

// Origins of an item's bytes.
const (
	OriginSource = "source"
	OriginCache  = "cache"
	OriginNode   = "node"
)

// OriginOf returns how the local API and logs name the origin of a delivery.
func OriginOf(o transfer.Origin) string {
	switch o {
	case transfer.OriginNode:
		return OriginNode
	case transfer.OriginCache:
		return OriginCache
	}
	return OriginSource
}

var origins = map[string]gatewayv1alpha1.Origin{
	OriginSource: gatewayv1alpha1.Origin_ORIGIN_SOURCE,
	OriginCache:  gatewayv1alpha1.Origin_ORIGIN_CACHE,
	OriginNode:   gatewayv1alpha1.Origin_ORIGIN_NODE,
}

// NewReport says the same to the gateway.
func (d *DataSet) NewReport(data string, withdrawn bool) *gatewayv1alpha1.ReportRequest {
	r := &gatewayv1alpha1.ReportRequest{Data: data, Revision: d.DesiredRevision, CurrentRevision: d.Revision, Withdrawn: withdrawn,
		Mounts: d.Credentials.Message()}
	if p := d.Prefetch; p != nil {
		r.Prefetch = &gatewayv1alpha1.PrefetchStatus{Revision: p.Revision, Phase: phases[p.Phase], Reason: p.Reason,
			Message: shorten.Text(p.Message, maxMessage), Bytes: uint64(max(p.Bytes, 0)), TotalBytes: uint64(max(p.TotalBytes, 0))}
	}
	holders := maxReportHolders / max(len(d.Items), 1)
	for _, i := range d.Items {
		r.Items = append(r.Items, &gatewayv1alpha1.ItemStatus{
			Namespace: i.Namespace, Name: i.Name, Version: i.Version,
			Phase: phases[i.Phase], Reason: i.Reason, Message: shorten.Text(i.Message, maxMessage),
			StartTime: protoTimestamp(i.Started), CompletionTime: protoTimestamp(i.Completed),
			Bytes: uint64(max(i.Bytes, 0)), TotalBytes: uint64(max(i.TotalBytes, 0)), Digest: i.Digest, Origin: origins[i.Origin],
			Cache: cacheMessage(i.Cache), CacheFill: cacheFillMessage(i.CacheFill, holders),
		})
	}
	return r
}

func cacheMessage(u *podstate.CacheUse) *gatewayv1alpha1.CacheUse {
	if u == nil {
		return nil
	}
	return &gatewayv1alpha1.CacheUse{
		ServedBytes: uint64(max(u.ServedBytes, 0)), SourceBytes: uint64(max(u.SourceBytes, 0)),
		RejectedBytes: uint64(max(u.RejectedBytes, 0)), FallbackReason: u.Reason, Message: shorten.Text(u.Message, maxCacheMessage),
	}
}

func cacheFillMessage(c *CacheFill, most int) *gatewayv1alpha1.CacheFill {
	if c == nil {
		return nil
	}
	m := &gatewayv1alpha1.CacheFill{HeldBytes: uint64(max(c.Held, 0)), TotalBytes: uint64(max(c.Total, 0)), Done: c.Done,
		Reason: c.Reason, Message: shorten.Text(c.Message, maxCacheMessage)}
	for _, h := range c.Holders[:min(len(c.Holders), most)] {
		m.Holders = append(m.Holders, &gatewayv1alpha1.CacheHolder{Host: h.Host, Bytes: uint64(max(h.Bytes, 0))})
	}
	return m
}

// maxCacheMessage is what the API takes, in bytes.
const maxCacheMessage = 500

// OnlyBytesDiffer reports whether b says nothing new but how far items are.
func OnlyBytesDiffer(a, b *gatewayv1alpha1.ReportRequest) bool {
	return a != nil && proto.Equal(withoutBytes(a), withoutBytes(b))
}

func withoutBytes(r *gatewayv1alpha1.ReportRequest) *gatewayv1alpha1.ReportRequest {
	c := proto.CloneOf(r)
	for _, i := range c.GetItems() {
		i.Bytes, i.TotalBytes = 0, 0
		if i.GetCacheFill() != nil {
			i.CacheFill.HeldBytes, i.CacheFill.TotalBytes = 0, 0
		}
	}
	if p := c.GetPrefetch(); p != nil {
		p.Bytes, p.TotalBytes = 0, 0
	}
	return c
}

func protoTimestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
