// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sftp reads from SFTP servers. Files are listed with the size and the
// modification time that the protocol has, and read with several requests under
// way; connections are shared, checked, and made again when they break. The
// server's host key is always verified.
package sftp
