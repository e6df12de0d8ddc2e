// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Secret is a value that is never printed.
type Secret string

const redacted = "**redacted**"

// String hides the value.
func (Secret) String() string { return redacted }

// GoString hides the value.
func (Secret) GoString() string { return redacted }

// MarshalText hides the value.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the value, to be sent to the source it belongs to.
func (s Secret) Reveal() string { return string(s) }

// Mount is a directory of small files that another process keeps up to date,
// such as a Secret that the kubelet mounts.
type Mount struct {
	// Dir has one file per key.
	Dir string
	// Name is what messages call it, such as `Secret "models"`.
	Name string
}

// Read returns the value of a key without surrounding white space. A missing
// file, or an empty one, is ErrCredentials.
func (m Mount) Read(key string) (Secret, error) {
	value, err := m.ReadOptional(key)
	if err == nil && value == "" {
		return "", &Error{Op: "reading the credentials", Class: ErrCredentials,
			Err: m.Lacks("has no key " + key)}
	}
	return value, err
}

// Lacks says that the mount lacks something, as in `has no key accessKey`, and what
// to do. A mount that is not there at all cannot come by itself.
func (m Mount) Lacks(what string) error {
	if _, err := os.Stat(m.Dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not mounted into this pod: the pod was created before the DataSet named it, and mounts are fixed at creation; "+
			"restart the pod's workload, or change the DataSet back to the name that it had", m.Name)
	}
	return fmt.Errorf("%s is not there or %s; add it in the pod's namespace, it is used within a minute or two", m.Name, what)
}

// ReadOptional is Read for a key that may be missing; then it returns "".
func (m Mount) ReadOptional(key string) (Secret, error) {
	value, err := os.ReadFile(filepath.Join(m.Dir, key))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", &Error{Op: "reading the credentials", Class: ErrCredentials,
			Err: fmt.Errorf("key %s of %s cannot be read: %w", key, m.Name, err)}
	}
	return Secret(strings.TrimSpace(string(value))), nil
}

// Stamp changes when the files of the given keys may have changed.
func (m Mount) Stamp(keys ...string) string {
	var b strings.Builder
	for _, key := range keys {
		info, err := os.Stat(filepath.Join(m.Dir, key))
		if err != nil {
			b.WriteString("-;")
			continue
		}
		fmt.Fprintf(&b, "%d,%d,%d;", info.ModTime().UnixNano(), info.Size(), inodeOf(info))
	}
	return b.String()
}
