// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceph

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// The names by which the programs know each other.
const (
	adminName = "client.admin"
	rgwName   = "client.rgw"
)

// newKeyring returns the text of a keyring with new keys for all users. The
// monitor takes it over when its data is made.
func newKeyring() string {
	var b strings.Builder
	for _, entity := range []struct{ name, caps string }{
		{"mon.", `caps mon = "allow *"`},
		{adminName, `caps mon = "allow *"` + "\n" + `caps osd = "allow *"`},
		{rgwName, `caps mon = "allow *"` + "\n" + `caps osd = "allow *"`},
		{"osd.0", `caps mon = "allow profile osd"` + "\n" + `caps osd = "allow *"`},
	} {
		fmt.Fprintf(&b, "[%s]\nkey = %s\n%s\n", entity.name, newKey(time.Now()), entity.caps)
	}
	return b.String()
}

// newKey is a random key as Ceph writes them: type (1 is AES), time of making
// in seconds and nanoseconds, length, and 16 bytes, in base64.
func newKey(made time.Time) string {
	const aes, size = 1, 16
	secret := make([]byte, size)
	_, _ = rand.Read(secret) // never fails
	b := binary.LittleEndian.AppendUint16(nil, aes)
	b = binary.LittleEndian.AppendUint32(b, uint32(made.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(made.Nanosecond()))
	b = binary.LittleEndian.AppendUint16(b, size)
	return base64.StdEncoding.EncodeToString(append(b, secret...))
}
