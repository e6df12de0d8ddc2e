// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/kuda-io/kuda/internal/source"
)

// Source is one registry.
type Source struct {
	identity  string
	way, host string
	keeper    keeper
	platform  platform
	client    *client
	transport *http.Transport
	scratch   *scratch

	mu       sync.Mutex
	archives map[digest.Digest]*slot
	closed   bool
	// ranges reports whether the registry understands ranges, nil until it has
	// been asked.
	ranges *bool
}

// slot holds an archive. Its lock is a channel, so that waiting for another
// reader of the layer can be cancelled.
type slot struct {
	lock    chan struct{}
	archive *archive
}

// New returns the source that c describes. It reads the certificates and does
// not connect yet.
func New(c Config) (*Source, error) {
	misconfigured := func(err error) error {
		return &source.Error{Op: "opening an OCI source", Class: source.ErrMisconfigured, Err: err}
	}
	base, err := c.registryURL()
	if err != nil {
		return nil, misconfigured(err)
	}
	p, err := parsePlatform(c.Platform)
	if err != nil {
		return nil, misconfigured(err)
	}
	transport, way, err := source.NewTransport(source.TransportConfig{CAFile: c.CAFile, CAName: c.CAName, Proxy: c.Proxy,
		Servers: []string{c.Registry}})
	if err != nil {
		return nil, err
	}
	return &Source{
		identity:  "oci://" + base.Host,
		way:       source.JoinWay(source.PlainWord(base), way),
		host:      source.PlainHost(base, c.Proxy),
		keeper:    keeper{host: base.Host, mount: c.Credentials},
		platform:  p,
		client:    newClient(base, c.Credentials, transport),
		transport: transport,
		scratch:   &scratch{dir: c.ScratchDir, limit: c.ScratchBytes},
		archives:  map[digest.Digest]*slot{},
	}, nil
}

// Identity is "oci://host:port".
func (s *Source) Identity() string { return s.identity }

// Provenance names the scheme, the proxy, the certificates, the platform that is
// chosen, and all of the credentials.
func (s *Source) Provenance(ctx context.Context) (source.Provenance, error) {
	principal, err := s.keeper.readPrincipal(ctx)
	return source.Provenance{Way: source.JoinWay(s.way, "platform="+s.platform.String()), Host: s.host, Principal: principal}, err
}

// Close frees idle connections and unpacked archives. It must not be called
// while a body is open.
func (s *Source) Close() error {
	s.transport.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, slot := range s.archives {
		if slot.archive != nil {
			slot.archive.close()
		}
	}
	clear(s.archives)
	return nil
}

// List yields the files of the manifest that path names, or the part of them
// that it asks for.
func (s *Source) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		r, err := parseReference(path)
		if err != nil {
			yield(source.Entry{}, &source.Error{Op: "reading the path", Class: source.ErrMisconfigured, Err: err})
			return
		}
		op := "listing " + s.identity + "/" + r.displayName()
		t, err := s.loadTree(ctx, op, r)
		if err == nil {
			t, err = selectPart(op, t, r)
		}
		if err != nil {
			yield(source.Entry{}, err)
			return
		}
		if t.file != nil {
			yield(s.newEntry("", t), nil)
			return
		}
		listed := 0
		for name, node := range t.allFiles("") {
			if err := context.Cause(ctx); err != nil {
				yield(source.Entry{}, source.Wrap(ctx, op, err))
				return
			}
			listed++
			if !yield(s.newEntry(name, node), nil) {
				return
			}
		}
		if listed == 0 {
			yield(source.Entry{}, &source.Error{Op: op, Class: source.ErrNotFound, Err: errors.New("there are no files in it")})
		}
	}
}

// selectPart returns the part of the files that a reference asks for.
func selectPart(op string, t *tree, r reference) (*tree, error) {
	if r.inside == "" {
		return t, nil
	}
	found := t.findNode(r.inside, maxLinks).followLink(maxLinks)
	if found == nil || (r.dir && found.children == nil) {
		return nil, &source.Error{Op: op, Class: source.ErrNotFound,
			Err: fmt.Errorf("it has no %q; check what follows the // in remotePath", r.inside)}
	}
	return found, nil
}

// loadTree reads the manifest and its layers.
func (s *Source) loadTree(ctx context.Context, op string, r reference) (*tree, error) {
	m, err := s.resolveReference(ctx, op, r)
	if err != nil {
		return nil, err
	}
	t := newTree()
	titles := map[string]descriptor{}
	for _, layer := range m.Layers {
		f, name, err := layerForm(layer)
		if err != nil {
			return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
		blob := key{repository: r.repository, blob: layer.Digest, size: layer.Size}
		switch f {
		case formFile:
			name = cmp.Or(memberName(name), name)
			if other, ok := titles[name]; ok && (other.Digest != layer.Digest || other.Size != layer.Size) {
				return nil, &source.Error{Op: op, Class: source.ErrMisconfigured,
					Err: fmt.Errorf("two of its layers, %s of %d bytes and %s of %d bytes, are the file %q; push it with a name for each",
						other.Digest, other.Size, layer.Digest, layer.Size, name)}
			}
			titles[name] = layer
			if err := s.probeRanges(ctx, op, blob); err != nil {
				return nil, err
			}
			t.putNode(name, &tree{file: &file{key: blob, size: layer.Size, checksum: layer.Digest.String()}})
		case formTar, formImage:
			a, err := s.loadArchive(ctx, blob)
			if err != nil {
				return nil, err
			}
			if err := t.addArchive(a, blob, f == formImage); err != nil {
				return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
			}
		case formNone:
		}
	}
	return t, nil
}

// probeRanges finds out once whether the registry understands ranges.
func (s *Source) probeRanges(ctx context.Context, op string, k key) error {
	if s.understandsRanges() != nil || k.size == 0 {
		return nil
	}
	ok, err := s.client.supportsRanges(ctx, op, k.repository, k.blob)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ranges == nil { // no other call has found out otherwise meanwhile
		s.ranges = &ok
	}
	return nil
}

// readWhole makes later listings say that blobs are to be read as a whole: a
// registry of many servers may have one that understands no ranges.
func (s *Source) readWhole(ctx context.Context) {
	s.mu.Lock()
	no := false
	known := s.ranges != nil && !*s.ranges
	s.ranges = &no
	s.mu.Unlock()
	if !known {
		source.Note(ctx, s.identity+" was asked for a part of a blob and sent all of it; its blobs are read as a whole from now on")
	}
}

func (s *Source) understandsRanges() *bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ranges
}

// loadArchive returns what is known of a layer, and reads it when it has not been read
// yet.
func (s *Source) loadArchive(ctx context.Context, k key) (*archive, error) {
	op := "reading layer " + s.identity + "/" + k.repository + "@" + k.blob.String()
	slot, err := s.archiveSlot(op, k.blob)
	if err != nil {
		return nil, err
	}
	select {
	case slot.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, source.Wrap(ctx, op, ctx.Err())
	}
	defer func() { <-slot.lock }()
	ranges := s.understandsRanges()
	if slot.archive != nil && (slot.archive.unpacked != nil || ranges == nil || *ranges) {
		return slot.archive, nil
	}
	if err := s.probeRanges(ctx, op, k); err != nil {
		return nil, err
	}
	ranges = s.understandsRanges()
	a, err := s.readArchive(ctx, op, k, ranges == nil || !*ranges)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		a.close()
		return nil, errClosed(op)
	}
	slot.archive = a
	return a, nil
}

func (s *Source) archiveSlot(op string, blob digest.Digest) (*slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed(op)
	}
	found, ok := s.archives[blob]
	if !ok {
		found = &slot{lock: make(chan struct{}, 1)}
		s.archives[blob] = found
	}
	return found, nil
}

func errClosed(op string) error {
	return &source.Error{Op: op, Class: source.ErrTemporary, Err: errors.New("the source was closed meanwhile")}
}

// newEntry is what a listing says of a node.
func (s *Source) newEntry(name string, t *tree) source.Entry {
	if t.file == nil {
		return source.Entry{Path: name, Link: t.link, Identity: source.Identity("link " + t.link)}
	}
	f := t.file
	e := source.Entry{
		Path: name, Key: f.key.String(), Size: f.size,
		// The content of a blob is its name: nothing else ever stands there.
		Identity: source.Identity(fmt.Sprintf("%s+%d", f.key.blob, f.key.offset)),
	}
	if digest.Digest(f.checksum).Validate() == nil && digest.Digest(f.checksum).Algorithm() == digest.SHA256 {
		e.Checksum = f.checksum
	}
	if f.member != nil {
		e.Mode = f.member.mode
		return e
	}
	// Without ranges a file has to be read as a whole, and with another digest
	// than SHA-256 too: only Open checks that.
	ranges := s.understandsRanges()
	e.NoRanges = (ranges != nil && !*ranges) || e.Checksum == ""
	return e
}

// Open opens a range of a blob in the registry, or of an unpacked layer.
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "reading " + s.identity + "/" + e.Key
	k, err := parseKey(e.Key)
	if err != nil {
		return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
	}
	if offset < 0 || length < 0 || offset+length > e.Size {
		return nil, &source.Error{Op: op, Class: source.ErrChanged,
			Err: fmt.Errorf("the file has %d bytes, and %d from %d on are wanted", e.Size, length, offset)}
	}
	if k.unpacked {
		return s.openUnpacked(ctx, op, k, offset, length)
	}
	body, err := s.client.openBlob(ctx, op, k.repository, k.blob, k.size, k.offset+offset, length)
	if errors.Is(err, errWhole) {
		s.readWhole(ctx)
	}
	if err != nil || k.blob.Algorithm() == digest.SHA256 || length != k.size {
		return body, err
	}
	return &verified{ReadCloser: body, op: op, digest: k.blob, verifier: k.blob.Verifier()}, nil
}

// openUnpacked reads from the scratch file; the layer is unpacked again if this
// source has not seen it yet.
func (s *Source) openUnpacked(ctx context.Context, op string, k key, offset, length int64) (io.ReadCloser, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, source.Wrap(ctx, op, err)
	}
	a, err := s.loadArchive(ctx, key{repository: k.repository, blob: k.blob, size: k.size})
	if err != nil {
		return nil, err
	}
	if a.unpacked == nil {
		return nil, &source.Error{Op: op, Class: source.ErrChanged, Err: errors.New("the layer is packed in another way than it was")}
	}
	section := io.NewSectionReader(a.unpacked, k.offset+offset, length)
	return source.NewReader(ctx, op, io.NopCloser(source.WithContext(ctx, section)), length), nil
}

// verified checks the digest of a whole blob before its end.
type verified struct {
	io.ReadCloser
	op       string
	digest   digest.Digest
	verifier digest.Verifier
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	_, _ = v.verifier.Write(p[:n]) // a hash never fails
	if errors.Is(err, io.EOF) && !v.verifier.Verified() {
		return n, &source.Error{Op: v.op, Class: source.ErrChanged, Err: fmt.Errorf("the bytes do not have the digest %s", v.digest)}
	}
	return n, err
}
