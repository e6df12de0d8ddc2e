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

func TestServeReturnsTheErrorOfAServerThatExits(t *testing.T) {
	err := Serve(t.Context(), t.TempDir(), func(ctx context.Context, p *Processes) error {
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

func TestServeReturnsTheCancellationOfTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Serve(ctx, t.TempDir(), func(context.Context, *Processes) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestServeReturnsTheErrorOfStart(t *testing.T) {
	refused := errors.New("refused")
	if err := Serve(t.Context(), t.TempDir(), func(context.Context, *Processes) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}
