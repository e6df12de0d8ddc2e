// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dashboard is kubectl kuda dashboard: it serves the page on the loopback interface,
// acts with the user's kubeconfig, and opens the browser.
package dashboard
