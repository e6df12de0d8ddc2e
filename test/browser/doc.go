// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package browser tests the dashboard in Chromium: each view in both languages and themes,
// steering by clicks, what is refused, what is shown while the API server is away, and ten
// thousand pods. It is a module of its own, so that Kuda does not depend on what drives the
// browser. "make browser" runs it.
package browser
