// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// listener is the other end of a reporter.
type listener struct {
	heard []*gatewayv1alpha1.ReportRequest
	err   error
}

func (l *listener) send(_ context.Context, r *gatewayv1alpha1.ReportRequest) error {
	if l.err != nil {
		return l.err
	}
	l.heard = append(l.heard, r)
	return nil
}

func report(data string, bytes uint64) *gatewayv1alpha1.ReportRequest {
	return &gatewayv1alpha1.ReportRequest{Data: data, Items: []*gatewayv1alpha1.ItemStatus{{Bytes: bytes}}}
}

func start(t *testing.T, l *listener) *uplink.Reporter {
	r := uplink.NewReporter(l.send, logr.Discard())
	go r.Run(t.Context())
	return r
}

func TestProgressIsReportedAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		r := start(t, l)
		for i := range uint64(100) {
			r.Put(report("a", i), false)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(l.heard); n < 5 || n > 7 {
			t.Errorf("5 s of progress made %d reports", n)
		}
		if last := l.heard[len(l.heard)-1].GetItems()[0].GetBytes(); last != 99 {
			t.Errorf("the last report says %d", last)
		}
	})
}

func TestPhaseChangeIsReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		r := start(t, l)
		r.Put(report("a", 1), false)
		synctest.Wait()
		for i, phase := range []gatewayv1alpha1.Phase{gatewayv1alpha1.Phase_PHASE_SUCCESS, gatewayv1alpha1.Phase_PHASE_FAILED} {
			r.Put(phased("a", phase), true)
			synctest.Wait()
			if len(l.heard) != i+2 {
				t.Errorf("%d reports after %s", len(l.heard), phase)
			}
		}
	})
}

func phased(data string, phase gatewayv1alpha1.Phase) *gatewayv1alpha1.ReportRequest {
	return &gatewayv1alpha1.ReportRequest{Data: data, Items: []*gatewayv1alpha1.ItemStatus{{Phase: phase}}}
}

func TestQuickDeliveryIsReportedOnce(t *testing.T) {
	const waiting, downloading, success = gatewayv1alpha1.Phase_PHASE_WAITING, gatewayv1alpha1.Phase_PHASE_DOWNLOADING,
		gatewayv1alpha1.Phase_PHASE_SUCCESS
	for name, c := range map[string]struct {
		step time.Duration
		want int
	}{
		"quick": {40 * time.Millisecond, 1}, "slow": {400 * time.Millisecond, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &listener{}
			r := start(t, l)
			for _, phase := range []gatewayv1alpha1.Phase{waiting, downloading, success} {
				r.Put(phased("a", phase), true)
				time.Sleep(c.step)
			}
			synctest.Wait()
			if len(l.heard) != c.want || l.heard[len(l.heard)-1].GetItems()[0].GetPhase() != success {
				t.Errorf("%s: heard %v, want %d reports and success in the last", name, l.heard, c.want)
			}
		})
	}
}

func TestReportsOutliveAnAbsentGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{err: connect.NewError(connect.CodeUnavailable, errors.New("away"))}
		r := start(t, l)
		r.Put(report("a", 1), true)
		r.Put(report("b", 1), true)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.Put(report("a", 2), true)
		r.Forget("b")
		synctest.Wait()
		l.err = nil
		r.Resend()
		synctest.Wait()
		if len(l.heard) != 1 || l.heard[0].GetItems()[0].GetBytes() != 2 {
			t.Errorf("heard %v, want the newest of a only", l.heard)
		}
	})
}

func TestAReportThatIsNotTakenIsRepeatedFewTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := uplink.NewReporter(func(context.Context, *gatewayv1alpha1.ReportRequest) error {
			calls++
			return connect.NewError(connect.CodeUnavailable, errors.New("busy"))
		}, logr.Discard())
		go r.Run(t.Context())
		r.Put(phased("a", gatewayv1alpha1.Phase_PHASE_SUCCESS), true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if calls < 5 || calls > 10 {
			t.Errorf("sent %d times in a minute", calls)
		}
	})
}

func TestRefusedReportIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := uplink.NewReporter(func(context.Context, *gatewayv1alpha1.ReportRequest) error {
			calls++
			return connect.NewError(connect.CodeNotFound, errors.New("no such Data"))
		}, logr.Discard())
		go r.Run(t.Context())
		r.Put(report("a", 1), true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if calls != 1 {
			t.Errorf("sent %d times", calls)
		}
	})
}

func TestPausesAreShortWhileAGatewayIsReplacedAndDiffer(t *testing.T) {
	seen := map[time.Duration]bool{}
	for failures := range 100 {
		limit := 3 * time.Second
		switch {
		case failures == 0:
			limit = 200 * time.Millisecond
		case failures > 20:
			limit = 15 * time.Second
		}
		p := uplink.Pause(failures)
		if p <= 0 || p > limit+time.Millisecond {
			t.Errorf("after %d failures: %s", failures, p)
		}
		seen[p] = true
	}
	if len(seen) < 90 {
		t.Errorf("only %d different pauses of 100", len(seen))
	}
}
