// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package http reads from HTTP servers: single files, and trees whose files an
// index named SHA256SUMS lists with their checksums. Ranges are tied to the
// entity tag that was listed. Credentials go to the configured host only.
package http
