// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is the endpoint that the pods' runtimes talk to.
//
// It streams to each what its pod is to have, takes its reports, and runs the
// exec hooks that are declared. The caller is known by its token (package
// identity), and whatever it asks about is checked against that: a runtime can
// see and report its own pod's Data and nothing else. Every replica of the
// manager serves; which replica a runtime reaches makes no difference. The
// gateway never decides what a pod is to have, and never reads a Secret.
package gateway
