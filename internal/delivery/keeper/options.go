// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Gateway is what the keeper needs of the gateway; uplink.Client is one.
type Gateway interface {
	// WatchNode tells the handler what the keeper is to know until the context ends.
	WatchNode(context.Context, *gatewayv1alpha1.WatchNodeRequest, uplink.NodeHandler)
	// ReportNode says what stores hold; its errors have codes of package connect.
	ReportNode(context.Context, *gatewayv1alpha1.ReportNodeRequest) error
}

// Options of a Keeper. Base, Table and Gateway are required.
type Options struct {
	// Base is the directory of the stores: a directory for each namespace, and in it one for
	// each UID. It may be made after the start.
	Base string
	// Table is what is mounted on the node.
	Table   published.Table
	Gateway Gateway
	// Version of the keeper.
	Version string

	// NodeQuota is what the snapshots of all stores may have together, in bytes or as a
	// share of the file system; none where it is zero.
	NodeQuota store.Amount
	// Reserve is what downloads leave free of the file system. Where there is one, the
	// watermarks count for the file system, too.
	Reserve store.Amount
	// High and Low are the watermarks, in percent. 0 means 80 and 70.
	High, Low int
	// StoreQuota is the quota that the runtimes have for their store, for reports.
	StoreQuota store.Amount

	// VerifyEvery is how often each snapshot is compared with what was delivered; 0: never.
	VerifyEvery time.Duration
	// VerifyRate is how many bytes a second are read for that. 0 means 16 MiB.
	VerifyRate int64

	// Pace is how often what is done; the zero value of each has a default.
	Pace    Pace
	Metrics *Metrics
	Now     func() time.Time
	Log     logr.Logger
}

// Pace is how often a Keeper does what.
type Pace struct {
	// Settle is how long after a change it is looked, so that changes in a row are one.
	// Default: 200 ms.
	Settle time.Duration
	// Look is how often it is looked when no change is told. Default: 1 min.
	Look time.Duration
	// Apart is the shortest time between two reports. Default: 1 s.
	Apart time.Duration
	// Repeat is how often the same is reported again. Default: 5 min.
	Repeat time.Duration
	// Standby is how often a keeper looks whether the one before it has ended, and
	// whether the base is there. Default: 2 s.
	Standby time.Duration
	// Unseen is how long a pod counts as living that has a directory, no runtime and no
	// volume, and none of whose volumes this keeper ever saw; and Booted, how long after the
	// start of the machine. Default: 5 min, 15 min.
	Unseen, Booted time.Duration
	// Turn is how long it is deleted in one store before it is the next one's turn, and
	// how long it is evicted in one look. Default: 10 s.
	Turn time.Duration
}

func (p Pace) withDefaults() Pace {
	for _, d := range []struct {
		value *time.Duration
		is    time.Duration
	}{
		{&p.Settle, 200 * time.Millisecond}, {&p.Look, time.Minute}, {&p.Apart, time.Second}, {&p.Repeat, 5 * time.Minute},
		{&p.Standby, 2 * time.Second}, {&p.Unseen, 5 * time.Minute}, {&p.Booted, 15 * time.Minute}, {&p.Turn, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.is
		}
	}
	return p
}

// The default watermarks, in percent, and the default rate of comparing.
const (
	defaultHigh       = 80
	defaultLow        = 70
	defaultVerifyRate = 16 << 20
)

func (o *Options) completeAndValidate() error {
	if o.High == 0 && o.Low == 0 {
		o.High, o.Low = defaultHigh, defaultLow
	}
	if o.VerifyRate == 0 {
		o.VerifyRate = defaultVerifyRate
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	o.Pace = o.Pace.withDefaults()
	switch {
	case o.Base == "" || o.Table.File == "" || o.Table.Pods == "" || o.Gateway == nil:
		return errors.New("keeper: Base, Table and Gateway are required")
	case o.Low < 0 || o.Low > o.High || o.High > 100:
		return fmt.Errorf("the watermarks are %d %% and %d %%; the low one must be from 0 to the high one, which must not be above 100",
			o.High, o.Low)
	case o.VerifyEvery < 0 || o.VerifyRate < 0:
		return errors.New("how often, and how fast, snapshots are compared must not be negative")
	}
	return nil
}
