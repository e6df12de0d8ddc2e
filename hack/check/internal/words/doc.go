// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package words finds words that Kuda does not use: those that say less than a
// literal word would, in comments, documents, messages and names of tests.
package words
