// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"regexp"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/plugin/wire"
	"github.com/kuda-io/kuda/internal/source/retry"
)

// Config describes a storage system that a plugin reads from.
type Config struct {
	// Name of the plugin, as the installation's configuration has it: a DNS label.
	Name string
	// Socket is the path at which the plugin listens.
	Socket string
	// Settings are the plugin's own.
	Settings map[string]string
	// SecretDir and CADir are directories in the plugin's container: the files
	// of the Secret, and of the ConfigMap with certificates; CAKey is the file
	// that matters in the latter. "" for none.
	SecretDir, CADir, CAKey string
}

// Limits of what is taken from a plugin.
const (
	// maxEntries bounds a listing. The engine keeps all entries in memory.
	maxEntries = 1 << 20
	// maxBytes bounds the sizes of all files of a listing together.
	maxBytes = 1 << 60
	// answerTime is how long a plugin may take to answer Info and Open.
	answerTime = 30 * time.Second
)

// start is how long New waits for a plugin whose container has only just
// started: about ten seconds.
var start = retry.Policy{Attempts: 12, Base: 100 * time.Millisecond, Cap: 2 * time.Second}

var nameForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Source is one storage system, read through a plugin.
type Source struct {
	name     string
	config   *sourcev1alpha1.Config
	lanes    *lanes
	identity string
}

// New asks the plugin for the source that c describes. A plugin that does not
// answer yet is waited for a short while; then the error is ErrUnreachable. One
// that speaks another protocol is ErrMisconfigured, as is one that refuses the
// settings.
func New(ctx context.Context, c Config) (*Source, error) {
	if err := c.checkSettings(); err != nil {
		return nil, &source.Error{Op: "opening a plugin's source", Class: source.ErrMisconfigured, Err: err}
	}
	s := &Source{
		name: c.Name,
		config: &sourcev1alpha1.Config{Settings: maps.Clone(c.Settings),
			SecretDir: c.SecretDir, CaDir: c.CADir, CaKey: c.CAKey},
		lanes: newLanes(c.Socket),
	}
	for failures := 1; ; failures++ {
		err := s.queryInfo(ctx)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, errAway) || !start.Again(ctx, failures, err) {
			s.lanes.close()
			return nil, err
		}
	}
}

func (c *Config) checkSettings() error {
	if !nameForm.MatchString(c.Name) {
		return fmt.Errorf("the plugin's name %q is no DNS label", c.Name)
	}
	if c.Socket == "" {
		return fmt.Errorf("plugin %s has no socket", c.Name)
	}
	for _, s := range []map[string]string{c.Settings, {c.SecretDir: c.CADir, "": c.CAKey}} {
		for key, value := range s {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return fmt.Errorf("the setting %q of plugin %s is not UTF-8", key, c.Name)
			}
		}
	}
	return nil
}

// queryInfo asks the plugin who it is, and what it calls the storage system.
func (s *Source) queryInfo(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, &source.Error{Op: "plugin " + s.name, Class: source.ErrUnreachable,
		Err: fmt.Errorf("it did not answer within %v; see the log of its container", answerTime)})
	defer cancel()
	l := s.lanes.get()
	defer s.lanes.put(l)
	info, err := l.client.Info(ctx, connect.NewRequest(&sourcev1alpha1.InfoRequest{Revision: wire.Revision}))
	if err != nil {
		return s.classifyError(ctx, "asking for its version", err)
	}
	if err := s.checkRevision(info.Msg); err != nil {
		return err
	}
	answer, err := l.client.Open(ctx, connect.NewRequest(&sourcev1alpha1.OpenRequest{Config: s.config}))
	if err != nil {
		return s.classifyError(ctx, "opening the source", err)
	}
	id := answer.Msg.GetIdentity()
	if id == "" || len(id) > wire.MaxIdentity {
		return s.protocolError("opening the source", fmt.Errorf("the source's identity has %d bytes, not 1 to %d", len(id), wire.MaxIdentity))
	}
	s.identity = "plugin:" + s.name + ":" + id
	return nil
}

// checkRevision reports whether the plugin and this program understand each other.
func (s *Source) checkRevision(info *sourcev1alpha1.InfoResponse) error {
	switch {
	case info.GetRevision() == 0:
		return s.protocolError("asking for its version", errors.New("it does not name its revision of the protocol"))
	case info.GetMinRuntimeRevision() > wire.Revision:
		return &source.Error{Op: "plugin " + s.name, Class: source.ErrMisconfigured,
			Err: fmt.Errorf("version %.100q of it needs revision %d of the plugin protocol, and this runtime has %d; "+
				"use an older image of the plugin, or upgrade Kuda and restart the pod",
				info.GetVersion(), info.GetMinRuntimeRevision(), wire.Revision)}
	}
	return nil
}

// Identity is "plugin:<name>:" and what the plugin calls the storage system.
func (s *Source) Identity() string { return s.identity }

// Provenance is made of the settings and of the names of the Secret and of the
// certificates, whose contents only the plugin sees. Settings may hold credentials,
// so there is always a principal. How the plugin finds its servers is not known, so
// it counts as by name.
func (s *Source) Provenance(context.Context) (source.Provenance, error) {
	c := s.config
	settings, err := json.Marshal([]any{c.GetSettings(), c.GetCaDir(), c.GetCaKey()})
	if err != nil {
		return source.Provenance{}, s.protocolError("naming its source", err)
	}
	return source.Provenance{Way: source.ContentWord("settings", settings), Host: s.name,
		Principal: source.MakePrincipal("plugin", source.Secret(s.name), source.Secret(c.GetSecretDir()), source.Secret(settings))}, nil
}

// Close frees idle connections.
func (s *Source) Close() error {
	s.lanes.close()
	return nil
}

// List yields what the plugin lists.
func (s *Source) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		op := fmt.Sprintf("listing %q", path)
		ctx, cancel := context.WithCancel(ctx)
		l := s.lanes.get()
		defer s.lanes.put(l)
		stream, err := l.client.List(ctx, connect.NewRequest(&sourcev1alpha1.ListRequest{Config: s.config, Path: []byte(path)}))
		if err != nil {
			cancel()
			yield(source.Entry{}, s.classifyError(ctx, op, err))
			return
		}
		defer func() {
			cancel()
			_ = stream.Close() // the outcome no longer matters
		}()
		var seen listing
		for stream.Receive() {
			source.Alive(ctx)
			for _, m := range stream.Msg().GetEntries() {
				entry, err := wire.ToEntry(m)
				if err == nil {
					err = seen.addEntry(entry)
				}
				if err != nil {
					yield(source.Entry{}, s.protocolError(op, err))
					return
				}
				if seen.entries > maxEntries {
					yield(source.Entry{}, &source.Error{Op: "plugin " + s.name + ": " + op, Class: source.ErrMisconfigured,
						Err: fmt.Errorf("the listing has more than %d files; deliver them as several items", maxEntries)})
					return
				}
				if !yield(entry, nil) {
					return
				}
			}
		}
		if err := stream.Err(); err != nil {
			yield(source.Entry{}, s.classifyError(ctx, op, err))
		}
	}
}

// listing counts what a plugin lists.
type listing struct{ entries, bytes int64 }

func (l *listing) addEntry(e source.Entry) error {
	l.entries++
	l.bytes += e.Size
	if l.bytes > maxBytes {
		return errors.New("the sizes in the listing cannot be true")
	}
	return nil
}

// Open opens a range of a file.
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	return s.startRead(ctx, e, offset, length)
}
