// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package published finds out which volumes of kuda-node are mounted into pods of this
// node, and so exactly which pods live: the kubelet unmounts a pod's volumes when its
// containers have ended, and the kernel lists what is mounted.
//
// It reads /proc/self/mountinfo of a container that has the kubelet's directory of
// pods mounted with the propagation HostToContainer. It opens nothing below that
// directory, which it may not. The kernel says when the list changes, so nothing is
// looked at in between. The keeper uses it.
package published
