// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sftp runs an OpenSSH server that offers one directory over SFTP, for
// tests of the example plugin and for trying it out.
package sftp
