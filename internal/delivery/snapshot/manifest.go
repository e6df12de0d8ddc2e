// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Format is the version of the manifest's form, and of the journal's that a store
// keeps of a download.
const Format = 1

// ErrDamaged tells that a snapshot's files are not those of its manifest, or that it has no
// manifest that can be read.
var ErrDamaged = errors.New("damaged in the store")

// FileName is the name, below Lease.Dir, of the only file of a snapshot that is
// one file.
const FileName = "file"

// The names in a snapshot's directory.
const (
	ManifestName = "manifest.json"
	DataDir      = "data"
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
	// Files is how many Entries there are; Commit sets it. It is 0 in the
	// manifest of an older release.
	Files int `json:"files,omitempty"`
	// File tells that the item is one file, whose entry has the Path FileName;
	// otherwise it is a tree.
	File bool `json:"file,omitempty"`
	// Entries are sorted by Path.
	Entries []Entry `json:"entries"`
	// Packed has the entries where Entries has none, in a tenth of the memory.
	Packed *Packed `json:"-"`
}

// All yields the entries, sorted by Path.
func (m *Manifest) All() iter.Seq[Entry] {
	if m.Packed != nil {
		return m.Packed.All()
	}
	return slices.Values(m.Entries)
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

// ReadManifest reads the manifest in a snapshot's directory: the header, and the entries
// packed. A broken one, or none, is ErrDamaged; any other error is the disk's.
func ReadManifest(dir string) (*Manifest, error) {
	m, entries := &Manifest{}, &Packed{}
	err := openManifest(dir, 64<<10, func(r io.Reader) error { return decodeManifest(r, m, entries.Add) })
	if err != nil {
		return nil, err
	}
	m.Packed = entries
	return m, nil
}

// ReadHeader is ReadManifest without the entries.
func ReadHeader(dir string) (*Manifest, error) {
	m := &Manifest{}
	err := openManifest(dir, 2<<10, func(r io.Reader) error { return decodeManifest(r, m, nil) })
	if err != nil {
		return nil, err
	}
	return m, nil
}

func openManifest(dir string, buffer int, decode func(io.Reader) error) error {
	f, err := os.OpenFile(filepath.Join(dir, ManifestName), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err == nil {
		defer f.Close()
		err = decode(bufio.NewReaderSize(f, buffer))
	}
	if err != nil {
		return damagedUnlessIO("reading the manifest", err)
	}
	return nil
}

// decodeManifest reads a manifest, and its entries one by one where they are
// wanted: a list of a hundred thousand of them would not fit the runtime.
func decodeManifest(r io.Reader, m *Manifest, add func(Entry) error) error {
	d := json.NewDecoder(r)
	if err := expectDelim(d, json.Delim('{')); err != nil {
		return err
	}
	fields := map[string]any{"format": &m.Format, "key": &m.Key, "digest": &m.Digest, "bytes": &m.Bytes,
		"files": &m.Files, "file": &m.File}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if name == "entries" {
			if m.Format != Format {
				return fmt.Errorf("it has the format %d, not %d", m.Format, Format)
			}
			if add == nil {
				return nil
			}
			return decodeEntries(d, m, add)
		}
		text, _ := name.(string)
		field := fields[text]
		if field == nil {
			field = &json.RawMessage{} // of a later release
		}
		if err := d.Decode(field); err != nil {
			return err
		}
	}
	return errors.New("it has no entries")
}

func decodeEntries(d *json.Decoder, m *Manifest, add func(Entry) error) error {
	if err := expectDelim(d, json.Delim('[')); err != nil {
		return err
	}
	var bytes int64
	count := 0
	for d.More() {
		var e Entry
		if err := d.Decode(&e); err != nil {
			return err
		}
		if err := add(e); err != nil {
			return err
		}
		count++
		if bytes > math.MaxInt64-e.Size {
			return errors.New("its files have more bytes than there can be")
		}
		bytes += e.Size
	}
	if err := expectDelim(d, json.Delim(']')); err != nil {
		return err
	}
	// Nothing is behind the entries; without the end the file was cut.
	if err := expectDelim(d, json.Delim('}')); err != nil {
		return err
	}
	if bytes != m.Bytes || (m.Files != 0 && m.Files != count) {
		return fmt.Errorf("it lists %d files with %d bytes instead of %d with %d", count, bytes, m.Files, m.Bytes)
	}
	return nil
}

func expectDelim(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err == nil && got != want {
		err = fmt.Errorf("it has %v instead of %v", got, want)
	}
	return err
}

// damagedUnlessIO tells a manifest that is wrong from a disk that is.
func damagedUnlessIO(op string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(e, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w: %w", op, ErrDamaged, err)
}

// WriteManifest writes the manifest into a snapshot's directory, the entries one by one,
// as they are read.
func WriteManifest(dir string, m *Manifest) error {
	f, err := os.OpenFile(filepath.Join(dir, ManifestName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriterSize(f, 64<<10)
	if err := encodeManifest(b, m); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func encodeManifest(b *bufio.Writer, m *Manifest) error {
	header := *m
	header.Entries = []Entry{}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	// A bufio.Writer keeps its first error for Flush.
	_, _ = b.Write(bytes.TrimSuffix(text, []byte("]}")))
	separator := ""
	for e := range m.All() {
		_, _ = b.WriteString(separator)
		separator = ","
		if text, err = json.Marshal(e); err != nil {
			return err
		}
		_, _ = b.Write(text)
	}
	_, _ = b.WriteString("]}\n")
	return nil
}
