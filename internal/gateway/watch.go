// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/gateway/hub"
	"github.com/kuda-io/kuda/internal/gateway/peer"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const (
	// repeatAfter is how long a stream is silent at most. A repeated state
	// costs little, and heals whatever kept a change from being noticed.
	repeatAfter = 5 * time.Minute
	// maxStreamAge makes a runtime prove itself again and spreads runtimes
	// over the replicas that have come since.
	maxStreamAge = 40 * time.Minute
)

// Watch streams the caller's desired state until one of both ends goes away.
func (s *service) Watch(ctx context.Context, request *connect.Request[gatewayv1alpha1.WatchRequest],
	stream *connect.ServerStream[gatewayv1alpha1.WatchResponse]) error {
	caller, err := s.callerOf(ctx)
	if err != nil {
		return err
	}
	// Before the first read: a change between the two must wake the stream.
	subscription := s.hub.Subscribe(caller.Namespace, caller.UID)
	defer subscription.Close()
	defer s.book.Enter(caller.UID, peer.Heard(ctx))()
	s.log.V(1).Info("opened a stream", "namespace", caller.Namespace, "pod", caller.Name,
		"node", caller.Node, "version", request.Msg.GetRuntimeVersion())

	want := newDesires(s, caller, request.Msg.GetDatasets())
	subscription.About(want.datasets)
	repeat := s.clock.NewTicker(addJitter(repeatAfter))
	defer repeat.Stop()
	age := s.clock.NewTimer(addJitter(maxStreamAge))
	defer age.Stop()
	var sent *digest
	for {
		now, fresh, err := readState(ctx, want, subscription)
		if err != nil {
			return err
		}
		if sent == nil || *sent != fresh {
			if err := stream.Send(now); err != nil {
				return err
			}
			sent = &fresh
		}
		select {
		case <-subscription.Woken():
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

// readState reads what the pod is to have now, and has the stream woken for all DataSets
// of it: the order of the assignments goes by them, also by those that the runtime does
// not know yet.
func readState(ctx context.Context, want *desires, subscription *hub.Subscription) (*gatewayv1alpha1.WatchResponse, digest, error) {
	now, err := want.readDesired(ctx)
	if err == nil && subscription.About(dataSetsOf(now)) {
		// One may have changed before the stream was to be woken for it.
		now, err = want.readDesired(ctx)
	}
	if err != nil {
		return nil, digest{}, connect.NewError(connect.CodeUnavailable, err)
	}
	fresh, err := digestOf(now)
	if err != nil {
		return nil, digest{}, connect.NewError(connect.CodeInternal, err)
	}
	return now, fresh, nil
}

// dataSetsOf returns the names of the DataSets that a state speaks of.
func dataSetsOf(m *gatewayv1alpha1.WatchResponse) []string {
	names := make([]string, 0, len(m.GetAssignments()))
	for _, a := range m.GetAssignments() {
		names = append(names, a.GetDataset())
	}
	return names
}

// digest stands for a state that was sent. States may be large, and there are as
// many streams as pods.
type digest [sha256.Size]byte

func digestOf(m *gatewayv1alpha1.WatchResponse) (digest, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return digest{}, fmt.Errorf("comparing states: %w", err)
	}
	return sha256.Sum256(data), nil
}

// addJitter keeps thousands of streams that opened together from acting together.
func addJitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}
