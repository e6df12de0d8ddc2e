// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package exception holds findings against the reviewed list of those that are
// accepted. An exception needs a reason, may expire, and fails the check when
// no finding needs it: the list never holds more than is true today.
package exception
