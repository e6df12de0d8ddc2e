// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/kuda-io/kuda/internal/gateway/bounds"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/peer"
	"github.com/kuda-io/kuda/internal/gateway/share"
)

// What one request may hold. A runtime that works as it should stays far below
// each; docs/operations.md says what all of them together come to.
const (
	// maxItems is what a DataSet may have (128), twice.
	maxItems = 256
	// maxDataSets bounds what one runtime may ask about; a pod is not matched by more.
	maxDataSets = 256
	// maxSnapshots and maxMarks are what runtimes list at most.
	maxSnapshots = 256
	maxMarks     = 16
	// maxMounts is above two for each kind of source.
	maxMounts = 64
	// maxMessage is above what runtimes cut messages at (4000 bytes).
	maxMessage = 4 << 10
	// maxPlace is the longest remote path in the API. What is stored of one is shorter.
	maxPlace = 4 << 10

	// maxWatchBytes is for 256 names of 253 bytes.
	maxWatchBytes = 72 << 10
	// maxReportBytes is for 128 items whose messages are all as long as they can be.
	maxReportBytes = 768 << 10
	// maxStoreBytes is for 256 snapshots with 16 marks each and paths of a kilobyte.
	maxStoreBytes = 768 << 10
	// maxDirectories is what a keeper lists at most.
	maxDirectories = 1024
	// maxStores and maxDamages are what one report of a keeper has at most.
	maxStores  = 64
	maxDamages = 64
	// maxWatchNodeBytes is for 1024 namespaces of 63 bytes with their UIDs, maxNodeBytes
	// for these and a list of stores as large as that of one with long names.
	maxWatchNodeBytes = 144 << 10
	maxNodeBytes      = 1 << 20
	// maxHolders is how many hosts a runtime says a cache is on.
	maxHolders = 32
	// maxHookBytes is for five names.
	maxHookBytes = 4 << 10
)

// table bounds the fields of messages. Texts without an entry are names: 512 bytes.
var table = bounds.Table{
	"kuda.gateway.v1alpha1.WatchRequest.datasets":         {Count: maxDataSets},
	"kuda.gateway.v1alpha1.ReportRequest.items":           {Count: maxItems},
	"kuda.gateway.v1alpha1.Mounts.missing":                {Count: maxMounts},
	"kuda.gateway.v1alpha1.ItemStatus.message":            {Length: maxMessage},
	"kuda.gateway.v1alpha1.CacheFill.holders":             {Count: maxHolders},
	"kuda.gateway.v1alpha1.PrefetchStatus.message":        {Length: maxMessage},
	"kuda.gateway.v1alpha1.ReportStoreRequest.snapshots":  {Count: maxSnapshots},
	"kuda.gateway.v1alpha1.StoredSnapshot.marks":          {Count: maxMarks},
	"kuda.gateway.v1alpha1.StoredSnapshot.source":         {Length: maxPlace},
	"kuda.gateway.v1alpha1.StoredSnapshot.path":           {Length: maxPlace},
	"kuda.gateway.v1alpha1.WatchNodeRequest.directories":  {Count: maxDirectories},
	"kuda.gateway.v1alpha1.ReportNodeRequest.directories": {Count: maxDirectories},
	"kuda.gateway.v1alpha1.ReportNodeRequest.stores":      {Count: maxStores},
	"kuda.gateway.v1alpha1.ReportNodeRequest.damages":     {Count: maxDamages},
	"kuda.gateway.v1alpha1.StoreContents.unreadable":      {Length: maxMessage},
	"kuda.gateway.v1alpha1.Damage.source":                 {Length: maxPlace},
	"kuda.gateway.v1alpha1.Damage.path":                   {Length: maxPlace},
	"kuda.gateway.v1alpha1.Damage.version":                {Length: maxPlace},
	"kuda.gateway.v1alpha1.Damage.file":                   {Length: maxPlace},
	"kuda.gateway.v1alpha1.Damage.message":                {Length: maxMessage},
}

// Times. Each phase of a request has its own, so that no caller holds anything by
// being slow.
const (
	// patience is how long a connection may be open before a call on it is accepted.
	// A runtime's first call comes with the handshake.
	patience = 15 * time.Second
	// headerTimeout bounds the TLS handshake.
	headerTimeout = 10 * time.Second
	// bodyTimeout is for the largest body over a line of 1 Mbit/s.
	bodyTimeout = 10 * time.Second
	// messageTimeout bounds how long a caller may take to receive one message.
	messageTimeout = 30 * time.Second
	// reportTimeout is above the time that a write of a status may take.
	reportTimeout = 30 * time.Second
	// hookTimeout bounds one run of a hook, hookCallTimeout the call for it.
	hookTimeout     = 60 * time.Second
	hookCallTimeout = hookTimeout + 20*time.Second
	// A connection that says nothing for pingAfter is asked whether it lives, so that
	// its silence is noticed within attendance.Hold. It is given up much later: a runtime
	// that is short of CPU is not to lose its connection.
	pingAfter   = 4 * time.Second
	pingTimeout = 40 * time.Second
	idleTimeout = 5 * time.Minute
	// shutdownTimeout bounds how long calls may go on when the manager ends.
	shutdownTimeout = 10 * time.Second
)

// Sizes of the transport.
const (
	// maxHeaderBytes is for a token (1.2 KB, at most 6 KB) and what HTTP adds.
	maxHeaderBytes = 16 << 10
	// streamsPerConnection is many times what one runtime uses at once.
	streamsPerConnection = 32
	// receiveBuffer is the least that HTTP/2 has for a connection. It bounds what a
	// caller can leave in memory before anything is read.
	receiveBuffer = 64 << 10
	// streamBuffer is the same for one call. It must not be less than HTTP/2's own
	// default: what a caller sends before it has heard of it would be an error.
	streamBuffer = 64 << 10
	// readFrame is the least that HTTP/2 allows.
	readFrame = 16 << 10
	// headerTable is HTTP/2's own default, written down because it is memory of
	// every connection, in both directions.
	headerTable = 4 << 10
	// maxResponse is what runtimes accept.
	maxResponse = 16 << 20
)

// Shares of what all need: in all, of a pod, of a namespace, and what is kept for
// namespaces that hold nothing yet.
var (
	// connections: one of a pod takes about 60 KB. A pod has one, and a second one
	// for a moment.
	// A request whose answer is not taken yet holds up to 40 KB, most of it its header.
	connections = peer.Limits{
		Strangers: 2048, Patience: patience, Known: 8192, PerPod: 4, PerNamespace: 6144,
		Visits: 1024, Calls: share.Limits{Total: 16384, PerPod: 64, PerNamespace: 8192, Reserve: 2048},
	}
	// streams: a pod has one; package hub ends older ones when there are more than two.
	streamSlots = share.Limits{Total: 8192, PerPod: 6, PerNamespace: 6144, Reserve: 1024}
	// calls: a runtime reports one thing at a time, and runs one hook per DataSet.
	callSlots = share.Limits{Total: 8192, PerPod: 40, PerNamespace: 4096, Reserve: 1024}
	// decoding: bytes of requests. A pod may send its largest report and the state of
	// its store together.
	decoding = share.Limits{Total: 128 << 20, PerPod: 8 << 20, PerNamespace: 32 << 20, Reserve: 32 << 20, Waiters: 2048}
	// hookSlots: each hook is a connection to the API server for up to a minute.
	hookSlots = share.Limits{Total: 64, PerPod: 4, PerNamespace: 16, Reserve: 16}
	// writeSlots: writes of statuses that are open together.
	writeSlots = share.Limits{Total: 128, PerPod: 4, PerNamespace: 64, Reserve: 32, Waiters: 8192}
	// storeSlots: writes of NodeStores, of which each node has one at a time. All
	// namespaces of a node are in one, so it has no share of a namespace.
	storeSlots = share.Limits{Total: 64, PerPod: 1, PerNamespace: 1, Waiters: 16384}
)

// What pods may send over time, in bytes a second, and at once. A runtime with 128
// items sends 30 KB a second while it downloads, and 100 KB of what the node holds
// every few seconds.
const (
	podVolume, podVolumeAtOnce             = 256 << 10, 4 << 20
	namespaceVolume, namespaceVolumeAtOnce = 8 << 20, 64 << 20
)

// maxLimited bounds the pods whose calls are counted; those that called
// longest ago are forgotten first.
const maxLimited = 16384

// paces keep one pod from calling more often than a runtime needs.
type paces struct {
	mu   sync.Mutex
	pods *lru.Cache
}

type podPaces struct {
	watches, reports, hooks, stores, lookups *rate.Limiter
}

func newPaces() *paces { return &paces{pods: lru.New(maxLimited)} }

func (l *paces) limitersFor(pod types.UID) *podPaces {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.pods.Get(pod); ok {
		return known.(*podPaces)
	}
	fresh := &podPaces{
		watches: rate.NewLimiter(1, 10),
		reports: rate.NewLimiter(20, 100),
		hooks:   rate.NewLimiter(2, 20),
		stores:  rate.NewLimiter(2, 20),
		// Questions to the API server whether a DataSet is gone.
		lookups: rate.NewLimiter(2, 64),
	}
	l.pods.Add(pod, fresh)
	return fresh
}

func (l *paces) allowWatch(pod types.UID) bool  { return l.limitersFor(pod).watches.Allow() }
func (l *paces) allowReport(pod types.UID) bool { return l.limitersFor(pod).reports.Allow() }
func (l *paces) allowHook(pod types.UID) bool   { return l.limitersFor(pod).hooks.Allow() }
func (l *paces) allowStore(pod types.UID) bool  { return l.limitersFor(pod).stores.Allow() }
func (l *paces) allowLookup(pod types.UID) bool { return l.limitersFor(pod).lookups.Allow() }

// volumes bounds what pods and namespaces send over time.
type volumes struct {
	clock clock.PassiveClock

	mu               sync.Mutex
	pods, namespaces *lru.Cache
}

func newVolumes(passive clock.PassiveClock) *volumes {
	return &volumes{clock: passive, pods: lru.New(maxLimited), namespaces: lru.New(maxLimited)}
}

// Left reports whether the pod may send more now.
func (v *volumes) Left(p identity.Pod) bool {
	pod, namespace := v.limitersFor(p)
	now := v.clock.Now()
	return pod.TokensAt(now) > 0 && namespace.TokensAt(now) > 0
}

// Spend notes bytes that the pod has sent. More than there is left is a debt.
func (v *volumes) Spend(p identity.Pod, n int) {
	pod, namespace := v.limitersFor(p)
	now := v.clock.Now()
	pod.ReserveN(now, min(n, podVolumeAtOnce))
	namespace.ReserveN(now, min(n, namespaceVolumeAtOnce))
}

func (v *volumes) limitersFor(p identity.Pod) (pod, namespace *rate.Limiter) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return getLimiter(v.pods, p.UID, podVolume, podVolumeAtOnce), getLimiter(v.namespaces, p.Namespace, namespaceVolume, namespaceVolumeAtOnce)
}

func getLimiter(known *lru.Cache, key any, perSecond rate.Limit, burst int) *rate.Limiter {
	if l, ok := known.Get(key); ok {
		return l.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(perSecond, burst)
	known.Add(key, fresh)
	return fresh
}
