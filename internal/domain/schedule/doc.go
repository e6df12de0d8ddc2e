// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedule reads the cron expressions of spec.preheat.schedule: five
// fields, in UTC.
//
// It knows no clock and waits for nothing. The preheat controller asks it for
// the next time, the webhook whether an expression is one.
package schedule
