// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image makes container images without a base image, a registry or a
// container runtime, and brings them to the nodes. Images are reproducible:
// the same files give the same digest, whenever and wherever they are packed.
package image
