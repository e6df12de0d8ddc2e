// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"
)

// objectChecksum returns what the answer to a HEAD promises about the whole object,
// "<algorithm>:<hex>", the strongest first; "" when that is nothing.
func objectChecksum(info minio.ObjectInfo) string {
	if info.ChecksumMode == "" || info.ChecksumMode == minio.ChecksumFullObjectMode.String() {
		for _, c := range []struct {
			algorithm, value string
			size             int
		}{
			{"sha256", info.ChecksumSHA256, 32},
			{"crc64nvme", info.ChecksumCRC64NVME, 8},
			{"crc32c", info.ChecksumCRC32C, 4},
		} {
			// One that was made of the parts' has "-<parts>" at its end, and is no base64.
			if sum, err := base64.StdEncoding.DecodeString(c.value); err == nil && len(sum) == c.size {
				return c.algorithm + ":" + hex.EncodeToString(sum)
			}
		}
	}
	if sum := md5Tag(info); sum != "" {
		return "md5:" + sum
	}
	return ""
}

// md5Tag returns the ETag when it is the MD5 of the object: not when the object
// was stored in parts, nor when it is encrypted with a key that the service does
// not manage by itself. A listing does not tell the latter, so that its ETags
// promise nothing about bytes.
func md5Tag(info minio.ObjectInfo) string {
	tag := strings.ToLower(info.ETag)
	if sum, err := hex.DecodeString(tag); err != nil || len(sum) != 16 || isEncrypted(info) {
		return ""
	}
	return tag
}

// isEncrypted reports whether an object is encrypted with a key that the service does not
// manage by itself, so that its ETag is not made of its bytes.
func isEncrypted(info minio.ObjectInfo) bool {
	const encryption = "X-Amz-Server-Side-Encryption"
	for name := range info.Headers {
		if strings.HasPrefix(name, encryption+"-Customer") {
			return true
		}
	}
	with := info.Headers.Get(encryption)
	return with != "" && with != "AES256"
}

var tagForm = regexp.MustCompile(`^[0-9a-f]{32}(-[0-9]{1,5})?$`)

// tagSum returns the ETag as a checksum that tells equal objects of the service:
// it is made of their bytes, but for encrypted objects, which have one each.
// Nothing can be checked by it.
func tagSum(info minio.ObjectInfo) string {
	if tag := strings.ToLower(info.ETag); tagForm.MatchString(tag) {
		return "md5-tag:" + tag
	}
	return ""
}
