// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inspect is the command "inspect" of kuda-runtime. It looks, from
// inside of a pod and beside its runtime, at what the pod has, and at what
// another revision would change and cost here. It reads with the mounts that the
// runtime has and changes nothing; kubectl kuda runs it, as its user.
package inspect
