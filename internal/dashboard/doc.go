// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dashboard serves Kuda's page and the API that it reads: what DataSets, pods and
// nodes are at, live, and the changes that steer rollouts.
//
// It has no rights of its own: every read and every change is made with the credentials of
// who asks (package session), so the API server decides what that is. It never impersonates
// and shares nothing that was read among users. What it shows is computed by the packages
// under internal/insight, which the command line uses, too. It is served by kubectl kuda
// dashboard for one user, and by kuda-dashboard in the cluster for many.
package dashboard
