// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oci reads artifacts and container images from registries of the OCI
// distribution specification.
//
// A path names a manifest, and perhaps a part of it:
//
//	repository:tag
//	repository@sha256:…
//	repository:tag//directory/or/file
//
// Without a part it is the tree of all files. A layer with a file name (ORAS,
// ModelPack) is that file, read by ranges straight from the registry. A layer
// that is a tar archive is the files in it, laid over those of the layers before
// it: an uncompressed one is read once to find and to hash its files, and by
// ranges from the registry afterwards; a compressed one is unpacked once into a
// scratch file without a name, of which nothing stays when the source is closed
// or the process killed. Nothing is listed of a manifest or an archive whose
// digest is another one; what is read by ranges carries its checksum in the
// listing. Devices, pipes and sockets in archives are left out.
//
// The package keeps what it knows of archives until Close. It asks only the
// registry, and the servers that the registry names for tokens and blobs; only
// the former two get credentials.
package oci
