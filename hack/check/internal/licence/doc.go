// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package licence collects the licence texts of what is linked into Kuda's
// programs, for the images that distribute them, and holds each against the
// list of licences that go with Apache-2.0.
package licence
