// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package prometheus runs Debian's Prometheus server, which looks at its targets every
// second, for tests of analysis steps and for trying them out.
package prometheus
