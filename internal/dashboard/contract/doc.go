// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package contract has what the dashboard's page and its server say to each other as
// JSON, beside the views of packages under internal/insight, which the command line prints
// by -o json. TypeScript returns the same types for the page; a test holds that the file
// in web/src is what it returns.
package contract
