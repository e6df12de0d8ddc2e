// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

// saltName is the file with the store's salt: random bytes without which the names
// of principals in manifests say nothing of credentials.
const saltName = "salt"

const saltBytes = 32

// Principal returns the name that keys of this store have for who asks with
// credentials; "" for none. It is a keyed hash: the same credentials have another
// name in each store, and nothing of them can be found by trying.
func (s *Store) Principal(credentials string) (string, error) {
	if credentials == "" {
		return "", nil
	}
	if err := s.presence.ensureExists(); err != nil {
		return "", err
	}
	salt, err := s.readSalt()
	if err != nil {
		return "", storeErrorf("naming who asks: %w", err)
	}
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(credentials))
	return hex.EncodeToString(mac.Sum(nil)[:16]), nil
}

func (d directory) readSalt() ([]byte, error) {
	f, err := os.OpenFile(d.saltFile(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, 2*saltBytes+1)
	n, err := f.Read(text)
	if err != nil {
		return nil, err
	}
	salt, err := hex.DecodeString(string(text[:max(n-1, 0)]))
	if err != nil || len(salt) != saltBytes {
		return nil, fmt.Errorf("%s is damaged: remove it, and the snapshots are delivered again", d.saltFile())
	}
	return salt, nil
}

// laySalt makes the salt where there is none. The caller has the lock of initStore.
func (p *presence) laySalt() error {
	_, err := os.Lstat(p.saltFile())
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	return atomicfile.Write(p.saltFile(), []byte(hex.EncodeToString(salt)+"\n"), 0o600)
}
