// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/nodestore"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// keeperOf is the keeper that calls. The door has found it out.
func (s *service) keeperOf(ctx context.Context) (identity.Pod, error) {
	caller, err := s.callerOf(ctx)
	if err == nil && caller.Node == "" {
		err = connect.NewError(connect.CodeFailedPrecondition, errNoNode)
	}
	return caller, err
}

// WatchNode streams what the keeper of a node is to know until one of both ends goes away.
func (s *service) WatchNode(ctx context.Context, request *connect.Request[gatewayv1alpha1.WatchNodeRequest],
	stream *connect.ServerStream[gatewayv1alpha1.WatchNodeResponse]) error {
	caller, err := s.keeperOf(ctx)
	if err != nil {
		return err
	}
	// Before the first read: a change between the two must wake the stream.
	subscription := s.hub.Subscribe(caller.Namespace, caller.UID)
	defer subscription.Close()
	n := &nodeState{cached: s.cached, live: s.live, bundle: s.bundle, gone: map[directory]bool{}}
	for _, d := range request.Msg.GetDirectories() {
		n.directories = append(n.directories, directory{d.GetNamespace(), d.GetUid()})
	}
	subscription.Also(n.namespaces())
	s.hub.Reports(caller.UID, caller.Node)
	s.log.V(1).Info("opened a stream of a keeper", "pod", caller.Name, "node", caller.Node, "version", request.Msg.GetKeeperVersion())

	repeat := s.clock.NewTicker(addJitter(repeatAfter))
	defer repeat.Stop()
	age := s.clock.NewTimer(addJitter(maxStreamAge))
	defer age.Stop()
	var sent *digest
	for {
		now, err := n.read(ctx)
		if err != nil {
			return connect.NewError(connect.CodeUnavailable, err)
		}
		if sent, err = sendChanged(stream, now, sent); err != nil {
			return err
		}
		select {
		case <-subscription.Woken():
			s.pause(ctx, keeperSettle)
		case <-repeat.C():
			sent = nil
		case <-subscription.Ended():
			return connect.NewError(connect.CodeAborted, errReplaced)
		case <-subscription.Again():
			return connect.NewError(connect.CodeUnavailable, errCameBack)
		case <-age.C():
			return connect.NewError(connect.CodeUnavailable, errReconnect)
		case <-s.closing:
			return connect.NewError(connect.CodeUnavailable, errShutdown)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendChanged sends a message whose digest is not that of the one before, and returns its
// digest.
func sendChanged(stream *connect.ServerStream[gatewayv1alpha1.WatchNodeResponse], message *gatewayv1alpha1.WatchNodeResponse,
	sent *digest) (*digest, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	fresh := digest(sha256.Sum256(text))
	if sent != nil && *sent == fresh {
		return sent, nil
	}
	if err := stream.Send(message); err != nil {
		return nil, err
	}
	return &fresh, nil
}

// keeperSettle is how long it is waited after a change, so that changes in a row are one: each makes
// the gateway look at all namespaces of all nodes that have a store of the changed one.
const keeperSettle = 5 * time.Second

// pause waits, unless the call or the service ends.
func (s *service) pause(ctx context.Context, d time.Duration) {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-s.closing:
	case <-ctx.Done():
	}
}

// directory is that of a store.
type directory struct{ namespace, uid string }

func (d directory) toMessage() *gatewayv1alpha1.StoreDirectory {
	return &gatewayv1alpha1.StoreDirectory{Namespace: d.namespace, Uid: d.uid}
}

// nodeState finds out what one stream of a keeper is to say.
type nodeState struct {
	cached, live client.Reader
	bundle       func() []byte

	directories []directory
	// gone are those whose namespace is gone: the API server itself said so, and a UID does
	// not come back. The cache alone is not believed: it may not know a new namespace yet.
	gone map[directory]bool
}

func (n *nodeState) namespaces() (names []string) {
	for _, d := range n.directories {
		names = append(names, d.namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// read reads what there is to say now.
func (n *nodeState) read(ctx context.Context) (*gatewayv1alpha1.WatchNodeResponse, error) {
	out := &gatewayv1alpha1.WatchNodeResponse{CaBundle: n.bundle()}
	for _, d := range n.directories {
		uid, err := namespaceUID(ctx, n.cached, d.namespace)
		switch {
		case err != nil:
			return nil, err
		case uid == types.UID(d.uid):
			preheats, err := n.readPreheats(ctx, d)
			if err != nil {
				return nil, err
			}
			out.Preheats = append(out.Preheats, preheats)
			continue
		}
		if !n.gone[d] {
			// What cannot be asked is not known, and so not gone.
			if uid, err = namespaceUID(ctx, n.live, d.namespace); err != nil || uid == types.UID(d.uid) {
				continue
			}
			n.gone[d] = true
		}
		out.Gone = append(out.Gone, d.toMessage())
	}
	return out, nil
}

// namespaceUID returns "" for a namespace that there is not.
func namespaceUID(ctx context.Context, reader client.Reader, name string) (types.UID, error) {
	found := namespaceMetadata()
	if err := reader.Get(ctx, types.NamespacedName{Name: name}, found); err != nil {
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		return "", fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return found.UID, nil
}

func (n *nodeState) readPreheats(ctx context.Context, d directory) (*gatewayv1alpha1.NamespacePreheats, error) {
	var sets v1alpha1.DataSetList
	if err := n.cached.List(ctx, &sets, client.InNamespace(d.namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the DataSets of namespace %s: %w", d.namespace, err)
	}
	out := &gatewayv1alpha1.NamespacePreheats{Directory: d.toMessage(), Preheats: &gatewayv1alpha1.Preheats{}}
	for i := range sets.Items {
		if set := &sets.Items[i]; set.Spec.Preheat != nil && set.DeletionTimestamp == nil {
			out.Preheats.Datasets = append(out.Preheats.Datasets, set.Name)
		}
	}
	slices.Sort(out.Preheats.Datasets)
	return out, nil
}

// ReportNode takes a keeper's report of what the stores of its node hold.
func (s *service) ReportNode(ctx context.Context,
	request *connect.Request[gatewayv1alpha1.ReportNodeRequest]) (*connect.Response[gatewayv1alpha1.ReportNodeResponse], error) {
	err := s.reportNode(ctx, request.Msg)
	s.metrics.stores.WithLabelValues(callOutcome(err)).Inc()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&gatewayv1alpha1.ReportNodeResponse{}), nil
}

func (s *service) reportNode(ctx context.Context, r *gatewayv1alpha1.ReportNodeRequest) error {
	caller, err := s.keeperOf(ctx)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	// Before the write: a node that comes back during it must not be missed.
	s.hub.Reports(caller.UID, caller.Node)
	err = s.stores.SubmitNode(ctx, caller.Node, nodestore.Node(caller.Name, r, now), nodestore.NodeEntries(r, now))
	switch {
	case errors.Is(err, nodestore.ErrNoNode):
		return connect.NewError(connect.CodeFailedPrecondition, err)
	case err != nil:
		return connect.NewError(connect.CodeUnavailable, err)
	}
	s.tellDamages(ctx, caller.Node, r.GetDamages())
	return nil
}

// maxToldDamages is how many findings of one report become events.
const maxToldDamages = 8

// tellDamages records events about what a keeper found, at the NodeStore.
func (s *service) tellDamages(ctx context.Context, node string, damages []*gatewayv1alpha1.Damage) {
	if s.record == nil || len(damages) == 0 {
		return
	}
	var about v1alpha1.NodeStore
	if err := s.cached.Get(ctx, types.NamespacedName{Name: node}, &about); err != nil {
		about = v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: node}}
	}
	about.APIVersion, about.Kind = v1alpha1.GroupVersion.String(), "NodeStore"
	for _, d := range damages[:min(len(damages), maxToldDamages)] {
		became := "pods use it; their runtimes deliver it again"
		if d.GetOutcome() == gatewayv1alpha1.DamageOutcome_DAMAGE_OUTCOME_REMOVED {
			became = "no pod used it, and it was removed"
		}
		s.record.Eventf(&about, nil, corev1.EventTypeWarning, v1alpha1.EventSnapshotDamaged, "Verify",
			"snapshot %s of namespace %s (%s, version %s) was not what was delivered: %s %s; %s", sanitize.Line(d.GetSnapshot(), maxEventName),
			sanitize.Line(d.GetDirectory().GetNamespace(), maxEventName), sanitize.Line(d.GetPath(), maxEventText),
			sanitize.Line(d.GetVersion(), maxEventName), sanitize.Line(d.GetFile(), maxEventText), sanitize.Line(d.GetMessage(), maxEventText),
			became)
	}
}

// How much of a name, and of a text, an event has.
const (
	maxEventName = 64
	maxEventText = 200
)
