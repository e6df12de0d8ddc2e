// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sourcetest holds what tests of sources share: the contract suite that
// every driver passes against a real server (Run), proxies that break, slow
// down or falsify what the server says (Cutter, Proxy), and an HTTP server of
// files whose manners can be made worse. Only tests import it.
package sourcetest
