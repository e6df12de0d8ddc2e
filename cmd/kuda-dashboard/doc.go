// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-dashboard serves Kuda's page in the cluster. It has no rights of its own: it
// acts with the token of who signed in.
package main
