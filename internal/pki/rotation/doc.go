// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotation adds the next CA to the Secret in time and takes expired
// ones out. It only writes: it knows what the Secret holds from the mounted
// files, and needs the right to patch that one Secret by name. The leader of
// kuda-manager runs it.
package rotation
