// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
)

func TestSecondCommandWaitsUntilTheFirstEnds(t *testing.T) {
	name := fmt.Sprintf("@kuda-cluster-test-%d", os.Getpid())
	first, err := Acquire(t.Context(), name, io.Discard)
	if err != nil {
		t.Fatal(err)
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Acquire(gone, name, io.Discard); !errors.Is(err, context.Canceled) {
		t.Fatalf("acquired a held lock: %v", err)
	}

	told := make(chan struct{})
	acquired := make(chan error, 1)
	go func() {
		second, err := Acquire(t.Context(), name, writerFunc(func() { close(told) }))
		if err == nil {
			second.Close()
		}
		acquired <- err
	}()
	<-told
	first.Close()
	if err := <-acquired; err != nil {
		t.Fatal(err)
	}
}

type writerFunc func()

func (w writerFunc) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}
