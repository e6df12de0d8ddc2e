// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bytesize writes numbers of bytes for people, the same in objects and
// on the command line. Callers that calculate keep the number.
package bytesize
