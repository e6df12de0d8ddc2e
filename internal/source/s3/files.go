// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"cmp"
	"sync"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kuda-io/kuda/internal/source"
)

// The names of the files with credentials.
const (
	fileAccessKey    = "accessKey"
	fileSecretKey    = "secretKey"
	fileSessionToken = "sessionToken"
)

// RequiredKeys returns the keys that a Secret with credentials must have.
func RequiredKeys() []string { return []string{fileAccessKey, fileSecretKey} }

// files is a provider of credentials that lie in files. The client asks it
// before every request whether they are still those it has.
type files struct {
	mount source.Mount

	mu    sync.Mutex
	stamp string
}

// Retrieve reads the files.
func (f *files) Retrieve() (credentials.Value, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stamp := f.mount.Stamp(fileAccessKey, fileSecretKey, fileSessionToken)
	access, err1 := f.mount.Read(fileAccessKey)
	secret, err2 := f.mount.Read(fileSecretKey)
	session, err3 := f.mount.ReadOptional(fileSessionToken)
	if err := cmp.Or(err1, err2, err3); err != nil {
		f.stamp = ""
		return credentials.Value{}, err
	}
	f.stamp = stamp
	return credentials.Value{
		AccessKeyID:     access.Reveal(),
		SecretAccessKey: secret.Reveal(),
		SessionToken:    session.Reveal(),
		SignerType:      credentials.SignatureV4,
	}, nil
}

// RetrieveWithCredContext reads the files.
func (f *files) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return f.Retrieve()
}

// IsExpired reports whether the files changed.
func (f *files) IsExpired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stamp == "" || f.stamp != f.mount.Stamp(fileAccessKey, fileSecretKey, fileSessionToken)
}
