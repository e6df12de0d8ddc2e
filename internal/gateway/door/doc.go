// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package door decides which requests reach the gateway's service.
//
// It stands in front of the connect handler and takes the steps in the order of
// what they cost: the header first, then the caller's token and pod, then the
// caller's share of what all need, and only then the body. The body is read within
// a deadline, unpacked within a limit, and counted before anything is unmarshalled.
// The handler gets one plain message of a known pod. What is refused is refused in
// the caller's own protocol, with a code after which a runtime tries again where
// trying again can help.
package door
