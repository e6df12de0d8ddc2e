// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package link judges what programs link by the packages that they import, also
// through others: the runtime no Kubernetes, and only drivers storage SDKs.
package link
