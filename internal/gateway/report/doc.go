// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report turns what runtimes report into the status of their Data.
//
// A runtime sits in a tenant's pod, so nothing in a report is believed beyond
// what it is about: items that the Data does not have are dropped, texts are cut
// and cleaned, and counts are made here. Reports are written as seldom as they
// can be: the newest replaces those that wait, and progress alone waits longest.
// It decides nothing about who may report; the gateway does before.
package report
