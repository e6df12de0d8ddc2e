// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package page holds the files of the dashboard's page, which "make web" builds from web/
// into dist. They are not in git: a program that was built without them says so in their
// place.
package page
