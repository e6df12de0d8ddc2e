// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime"
)

type notes []string

func (n *notes) Eventf(_, _ runtime.Object, _, _, _, note string, args ...any) {
	*n = append(*n, fmt.Sprintf(note, args...))
}

func TestALongNoteIsCutToWhatTheAPIServerAccepts(t *testing.T) {
	var recorded notes
	r := Bounded(&recorded)
	r.Eventf(nil, nil, "Warning", "PodFailed", "RollOut", "pod %s failed: %s", "search-0", strings.Repeat("坏", 1000))
	r.Eventf(nil, nil, "Warning", "PodFailed", "RollOut", "100%% of %d", 3)
	r.Eventf(nil, nil, "Warning", "PodFailed", "RollOut", "%s", "50%off")
	if n := recorded[0]; len(n) > MaxNoteBytes || len(n) < MaxNoteBytes-3 || !utf8.ValidString(n) ||
		!strings.HasPrefix(n, "pod search-0 failed: 坏") || !strings.HasSuffix(n, "坏…") {
		t.Errorf("%d bytes: %q", len(n), n)
	}
	if recorded[1] != "100% of 3" || recorded[2] != "50%off" {
		t.Errorf("short notes: %q", recorded[1:])
	}
}
