// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package author decides which rights a change of a DataSet requires of its
// author: Kuda reads Secrets, takes tokens, runs commands and creates pods because
// a DataSet says so, and the author must not gain rights by that.
//
// It is pure: it knows the DataSet before and after the change and the revisions
// that are stored. Package admission asks the API server whether the author has
// the rights. docs/design/009-authors-rights.md says why each right is the one.
package author
