// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	gopath "path"
	"path/filepath"
	"sort"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer is a layer that is written anew whenever it is read, and is not
// compressed: it goes to a node of this very machine, once.
type layer struct {
	pack func(*packer) error
	hash v1.Hash
	size int64
}

func newLayer(pack func(*packer) error) (v1.Layer, error) {
	l := &layer{pack: pack}
	h := sha256.New()
	count := &counter{}
	if err := l.writeTo(io.MultiWriter(h, count)); err != nil {
		return nil, fmt.Errorf("packing files: %w", err)
	}
	l.hash = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
	l.size = count.n
	return l, nil
}

func (l *layer) writeTo(w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	p := &packer{tar: tar.NewWriter(buffered), made: map[string]bool{}}
	if err := l.pack(p); err != nil {
		return err
	}
	if err := p.tar.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

func (l *layer) Digest() (v1.Hash, error) { return l.hash, nil }
func (l *layer) DiffID() (v1.Hash, error) { return l.hash, nil }
func (l *layer) Size() (int64, error)     { return l.size, nil }

func (l *layer) MediaType() (types.MediaType, error) { return types.DockerUncompressedLayer, nil }

func (l *layer) Compressed() (io.ReadCloser, error) { return l.Uncompressed() }

func (l *layer) Uncompressed() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(l.writeTo(w)) }()
	return r, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// epoch is the time of every packed file: a build's own time would give the
// same files another digest each time.
var epoch = time.Unix(0, 0)

// packer writes one layer.
type packer struct {
	tar  *tar.Writer
	made map[string]bool
}

func (p *packer) skeleton() error {
	if err := p.directory("/tmp", 0o1777); err != nil {
		return err
	}
	if err := p.body("/etc/passwd", "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"); err != nil {
		return err
	}
	return p.body("/etc/group", "root:x:0:\nnonroot:x:65532:\n")
}

func (p *packer) directory(path string, mode int64) error {
	path = gopath.Clean(path)
	if path == "/" || p.made[path] {
		return nil
	}
	if err := p.directory(gopath.Dir(path), 0o755); err != nil {
		return err
	}
	p.made[path] = true
	return p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(path, "/") + "/", Mode: mode, ModTime: epoch})
}

func (p *packer) body(path, content string) error {
	if err := p.directory(gopath.Dir(path), 0o755); err != nil {
		return err
	}
	err := p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(path, "/"), Mode: 0o644,
		Size: int64(len(content)), ModTime: epoch})
	if err != nil {
		return err
	}
	_, err = io.WriteString(p.tar, content)
	return err
}

func (p *packer) link(path, target string) error {
	if err := p.directory(gopath.Dir(path), 0o755); err != nil {
		return err
	}
	return p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: strings.TrimPrefix(path, "/"), Linkname: target,
		Mode: 0o777, ModTime: epoch})
}

// add packs a file, or a directory with all in it, as root's. A source that is
// itself a link is followed: programs in a toolset are links.
func (p *packer) add(source, dest string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return p.file(source, dest, info)
	}
	var paths []string
	err = filepath.WalkDir(source, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		return err
	}
	sort.Strings(paths)
	for _, path := range paths {
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		if err := p.entry(path, gopath.Join(dest, filepath.ToSlash(rel))); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) entry(source, dest string) error {
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return p.directory(dest, int64(info.Mode().Perm()))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return p.link(dest, target)
	case info.Mode().IsRegular():
		return p.file(source, dest, info)
	}
	return fmt.Errorf("%s is neither a file, a directory nor a link", source)
}

func (p *packer) file(source, dest string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a directory", source)
	}
	if err := p.directory(gopath.Dir(dest), 0o755); err != nil {
		return err
	}
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	// Readable by all: the image's user is seldom the one who built it.
	mode := int64(0o644)
	if info.Mode().Perm()&0o111 != 0 {
		mode = 0o755
	}
	err = p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(dest, "/"), Mode: mode,
		Size: info.Size(), ModTime: epoch})
	if err != nil {
		return err
	}
	_, err = io.Copy(p.tar, f)
	return err
}
