// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hook runs the actions that a user declares around a change of data:
// in order, with a timeout, with backoff, at least once. A journal that its
// user keeps on disk remembers what was done, so that a restart neither loses a
// hook nor repeats one without need.
//
// A hook that cannot run yet (ErrPending) is waited for and never counts as
// failed; one that keeps failing ends the run with a *FailedError, and what
// becomes of the data is for the caller to decide.
//
// The package calls 127.0.0.1 and nothing else: commands in containers are an
// Action that its user, the delivery agent, brings along. It knows nothing of
// Kubernetes, views or revisions.
package hook
