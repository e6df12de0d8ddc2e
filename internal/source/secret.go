// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// Presence is what can be told of a mount from inside the pod.
type Presence int

const (
	// Present says that it has all keys that were asked for.
	Present Presence = iota
	// NotMounted says that the pod has no volume of it. Volumes are fixed when a pod is made.
	NotMounted
	// Empty says that the volume has no keys. The object does not exist, has no keys, or was
	// made so lately that the kubelet has not brought it yet: the pod cannot tell.
	Empty
	// NoKey says that it lacks the key and has others.
	NoKey
)

// arrival is how long the kubelet takes to bring a change into a pod: it looks at a
// pod's volumes once in 60 to 90 seconds, and at what it knows of their objects then.
const arrival = "the kubelet brings it into the pod within about two minutes, and it is used at once"

// Look returns what the mount has of the keys, and the first key that it lacks.
func (m Mount) Look(keys ...string) (Presence, string) {
	entries, err := os.ReadDir(m.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return NotMounted, ""
	}
	// Names with two dots in front are the kubelet's own.
	if err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !strings.HasPrefix(e.Name(), "..") }) {
		return Empty, ""
	}
	for _, key := range keys {
		if _, err := os.Stat(filepath.Join(m.Dir, key)); errors.Is(err, fs.ErrNotExist) {
			return NoKey, key
		}
	}
	return Present, ""
}

// Read returns the value of a key without surrounding white space. A missing
// file, or an empty one, is ErrCredentials.
func (m Mount) Read(key string) (Secret, error) {
	value, err := m.ReadOptional(key)
	if err == nil && value == "" {
		what := "has no key " + key
		if presence, _ := m.Look(key); presence == Present {
			what = "has nothing in the key " + key
		}
		return "", &Error{Op: "reading the credentials", Class: ErrCredentials, Err: m.Lacks(what)}
	}
	return value, err
}

// Lacks says what the mount lacks, in the words that it is given, as in `has no key
// accessKey`, whether it lacks everything, and what to do. What is not mounted at all
// cannot come by itself.
func (m Mount) Lacks(what string) error {
	switch presence, _ := m.Look(); presence {
	case NotMounted:
		return fmt.Errorf("%s is not mounted into this pod: the pod was created before the DataSet named it, and mounts are fixed at creation; "+
			"restart the pod's workload, or change the DataSet back to the name that it had", m.Name)
	case Empty:
		return fmt.Errorf("%s is not there, or has not been mounted into this pod yet (it %s here); create it in the pod's namespace if it is "+
			"missing: %s", m.Name, what, arrival)
	}
	return fmt.Errorf("%s %s; add it: %s", m.Name, what, arrival)
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
