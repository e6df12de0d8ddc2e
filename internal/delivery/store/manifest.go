// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Format is the version of the manifest's and the journal's form.
const Format = 1

// FileName is the name, below Lease.Dir, of the only file of a snapshot that is
// one file.
const FileName = "file"

// The names in a snapshot's directory.
const (
	manifestName = "manifest.json"
	journalName  = "journal"
	dataDir      = "data"
)

// Manifest says what a snapshot holds. Entries come last, so that the rest can
// be read without them.
type Manifest struct {
	Format int `json:"format"`
	Key    Key `json:"key"`
	// Digest of the whole, as package digest defines it.
	Digest string `json:"digest"`
	// Bytes of all files.
	Bytes int64 `json:"bytes"`
	// File tells that the item is one file, whose entry has the Path FileName;
	// otherwise it is a tree.
	File bool `json:"file,omitempty"`
	// Entries are sorted by Path.
	Entries []Entry `json:"entries"`
}

// Entry is one file of a snapshot.
type Entry struct {
	// Path is slash-separated, relative to Lease.Dir, and safe to use there.
	Path string `json:"path"`
	// Size in bytes.
	Size int64 `json:"size"`
	// Mode has the permission bits.
	Mode fs.FileMode `json:"mode"`
	// Digest is "sha256:<hex>" or "xxh3:<hex>", the same kind in all entries;
	// "" of a link.
	Digest string `json:"digest,omitempty"`
	// Identity is what the source called this state of the file, if that proves
	// equal bytes.
	Identity string `json:"identity,omitempty"`
	// Link is the target where the file is a symbolic link, else "".
	Link string `json:"link,omitempty"`
	// Modified is the time of the last write here, in nanoseconds since 1970;
	// Verify compares it.
	Modified int64 `json:"modified,omitempty"`
}

// readManifest reads the manifest of a snapshot; a broken one is ErrDamaged.
func readManifest(dir string) (*Manifest, error) {
	m, err := decodeManifest(dir, true)
	if err != nil {
		return nil, err
	}
	for _, e := range m.Entries {
		if !fs.ValidPath(e.Path) {
			return nil, fmt.Errorf("reading the manifest: %w: it has the path %q", ErrDamaged, e.Path)
		}
	}
	return m, nil
}

// readHeader is readManifest without the entries.
func readHeader(dir string) (*Manifest, error) { return decodeManifest(dir, false) }

func decodeManifest(dir string, entries bool) (*Manifest, error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, damagedUnlessIO("reading the manifest", err)
	}
	defer f.Close()
	m := &Manifest{}
	d := json.NewDecoder(bufio.NewReaderSize(f, 64<<10))
	if entries {
		err = d.Decode(m)
	} else {
		err = decodeHeader(d, m)
	}
	if err != nil {
		return nil, damagedUnlessIO("reading the manifest", err)
	}
	if m.Format != Format {
		return nil, fmt.Errorf("reading the manifest: %w: it has the format %d, not %d", ErrDamaged, m.Format, Format)
	}
	return m, nil
}

// decodeHeader reads the fields of a manifest up to its entries.
func decodeHeader(d *json.Decoder, m *Manifest) error {
	if _, err := d.Token(); err != nil {
		return err
	}
	fields := map[string]any{"format": &m.Format, "key": &m.Key, "digest": &m.Digest, "bytes": &m.Bytes, "file": &m.File}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string)
		field, ok := fields[text]
		if !ok {
			return nil
		}
		if err := d.Decode(field); err != nil {
			return err
		}
	}
	return nil
}

// damagedUnlessIO tells a manifest that is wrong from a disk that is.
func damagedUnlessIO(op string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(e, fs.ErrNotExist) {
		return failf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w: %w", op, ErrDamaged, err)
}

func writeManifest(path string, m *Manifest) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriterSize(f, 64<<10)
	if err := json.NewEncoder(b).Encode(m); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}
