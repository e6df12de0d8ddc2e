// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import "sync"

// onceEach returns note without repetitions.
func onceEach(note func(string)) func(string) {
	if note == nil {
		return nil
	}
	var (
		mu   sync.Mutex
		said = map[string]bool{}
	)
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if !said[text] && len(said) < maxNotes {
			said[text] = true
			note(text)
		}
	}
}

// maxNotes is how many notes a delivery makes at most.
const maxNotes = 10
