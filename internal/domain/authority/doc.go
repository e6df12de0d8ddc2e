// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authority tells whether a pod was given the certificate authority of another
// installation of Kuda than the one that runs: after Kuda was uninstalled and
// installed again, the runtimes of older pods do not trust the gateway, for ever, and
// cannot say so to it.
//
// It compares certificates and contacts no one. The cache of pods keeps a description of
// what a pod was given, and the Data controller compares it with what is published
// now. Rotation is no such change: a certificate is published from before it signs
// until it expires.
package authority
