// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server is kuda-webhook put together: the admission handlers with
// their caches, the certificate that they are served with, the publisher of the
// CA bundle, health and metrics. It decides nothing.
package server
