// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestAServerThatEndsByItselfIsTheReasonAndNotWhatWaitedForIt(t *testing.T) {
	p := NewProcesses(t.TempDir())
	defer p.Stop()
	err := p.Serve(t.Context(), func(ctx context.Context) error {
		if err := p.Start("short", exec.Command("sh", "-c", "echo no room >&2; exit 3")); err != nil {
			return err
		}
		<-ctx.Done()
		return errors.New("no answer")
	})
	if err == nil || !strings.Contains(err.Error(), "short ended (exit status 3)") || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got %v", err)
	}
}

func TestTheCallersWishIsTheReason(t *testing.T) {
	p := NewProcesses(t.TempDir())
	defer p.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Serve(ctx, func(context.Context) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatCannotBeFilledIsTheReason(t *testing.T) {
	p := NewProcesses(t.TempDir())
	defer p.Stop()
	refused := errors.New("refused")
	if err := p.Serve(t.Context(), func(context.Context) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}
