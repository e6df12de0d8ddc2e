// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package digest defines the digests that snapshots carry, of two kinds.
//
// A digest of the kind sha256 is what a user writes into a DataSet: of a file
// the SHA-256 of its bytes, of a tree the SHA-256 of its listing.
//
// A digest of the kind xxh3 tells equal bytes from different ones where no
// digest is given, and can be computed of ranges that arrive in any order. Of a
// file it is the XXH3-128 of a list: the XXH3-128 of each block of 8 MiB (the
// last may be shorter), 16 bytes each in big-endian order, followed by the
// file's size, 8 bytes. Of a tree it is the XXH3-128 of its listing.
//
// A listing is a line "<digest>  <path>\n" per file, sorted by path, with the
// file's digest of the same kind in hex: what sha256sum prints, down to the
// backslash before a line whose path has backslashes. Symbolic links are not
// listed. All pods with the same bytes get the same digest.
//
// Beside digests there are the checksums that storage systems promise of their
// files, "<algorithm>:<hex>", with the algorithms sha256, md5, crc32c and
// crc64nvme: hex of the sum in big-endian order. They are compared when a file
// arrives; those of the CRCs are put together of the sums of its ranges.
//
// The store and the transfer engine use the package; it does no I/O of its own.
package digest
