// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package all is the registry of drivers: it opens the source that a Config
// describes. Only programs that deliver data import it, because it links every
// storage SDK.
package all
