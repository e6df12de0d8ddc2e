// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuda-io/kuda/internal/shorten"
)

// MaxNoteBytes is the longest note that the API server accepts. An event with a
// longer one is refused, and is lost
// (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/).
const MaxNoteBytes = 1024

// Recorder is the part of events.EventRecorder that controllers use.
type Recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// Bounded returns a recorder that cuts notes to MaxNoteBytes and passes them on.
func Bounded(r Recorder) Recorder { return bounded{r} }

type bounded struct{ next Recorder }

// Eventf records an event with the formatted note.
func (b bounded) Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any) {
	b.next.Eventf(regarding, related, eventtype, reason, action, "%s", shorten.Text(fmt.Sprintf(note, args...), MaxNoteBytes))
}
