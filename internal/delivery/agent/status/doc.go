// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status is what a runtime says of its pod's data: phases, reasons and
// progress, for the local API, the gateway's reports and metrics; which reason an
// error has, and how long to wait before what failed for a reason is tried again.
//
// It decides nothing else and changes nothing. The agent's workers write it; inspect
// has reasons from it.
package status
