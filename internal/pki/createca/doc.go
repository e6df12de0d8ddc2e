// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package createca makes the Secret with Kuda's first CA: once, at
// installation, run by a Job that may create Secrets in Kuda's own namespace
// and nothing else. It never changes or reads a Secret that is there. It is
// `kuda-manager create-ca`.
package createca
