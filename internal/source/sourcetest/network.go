// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

// networkTests are the tests of what a network does to calls.
type networkTests struct{ Harness }

func (h networkTests) runNetwork(t *testing.T) {
	t.Run("a cut connection is not an end", h.testCutConnection)
	t.Run("a cut connection does not stay broken", h.afterCut)
	t.Run("a stalled server can be cancelled", h.testStalledServer)
	t.Run("bytes that trickle arrive right", h.testSlowServer)
	t.Run("an address without a server is unreachable", h.testUnreachableServer)
}

func (h networkTests) testCutConnection(t *testing.T) {
	content := randomContent(4<<20, 1)
	h.Put(t, "cut/file", content)
	s, cutter := h.openCut(t)
	entry := h.listOneFile(t, s, "cut/file")
	cutter.After(1<<20, false)
	got, err := tryRead(t.Context(), s, entry, 0, entry.Size)
	isOneOf(t, "reading", err, source.ErrTemporary)
	if !bytes.HasPrefix(content, got) {
		t.Error("the bytes before the cut are others")
	}
}

// afterCut: a pool must not hand out connections that broke while they were idle.
func (h networkTests) afterCut(t *testing.T) {
	content := randomContent(100_000, 1)
	h.Put(t, "after-cut/file", content)
	s, cutter := h.openCut(t)
	entry := h.listOneFile(t, s, "after-cut/file")
	for range 3 {
		cutter.Cut()
		got, err := tryRead(t.Context(), s, entry, 0, entry.Size)
		if err != nil && source.Temporary(err) { // callers try again
			got, err = tryRead(t.Context(), s, entry, 0, entry.Size)
		}
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
}

func (h networkTests) testStalledServer(t *testing.T) {
	h.Put(t, "stalled/file", randomContent(24<<20, 1))
	s, cutter := h.openCut(t)
	entry := h.listOneFile(t, s, "stalled/file")
	cutter.After(1<<20, true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		select {
		case <-cutter.Stalled():
		case <-t.Context().Done():
		}
		cancel()
	}()
	err := runPromptly(t, func() error {
		body, err := s.Open(ctx, entry, 0, entry.Size)
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.Copy(io.Discard, body)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func (h networkTests) testSlowServer(t *testing.T) {
	content := randomContent(200_000, 1)
	h.Put(t, "trickle/file", content)
	s, cutter := h.openCut(t)
	cutter.Trickle(1777)
	entry := h.listOneFile(t, s, "trickle/file")
	if got := readRange(t, s, entry, 0, entry.Size); !bytes.Equal(got, content) {
		t.Error("the bytes are others")
	}
}

func (h networkTests) testUnreachableServer(t *testing.T) {
	const closed = "127.0.0.1:1"
	var s source.Source
	if h.OpenVia != nil {
		via := map[string]string{h.Addr: closed}
		for _, other := range h.Others {
			via[other] = closed
		}
		s = h.OpenVia(t, via)
	} else {
		s = h.Open(t, closed)
	}
	isOneOf(t, "listing", h.listError(t.Context(), s, "tree/"), source.ErrUnreachable)
}
