// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// PanicError is a panic in code that reads from a source, as an error: it ends
// the work on one item and not the process, which serves others.
type PanicError struct {
	// Value that the code panicked with.
	Value any
	// Stack of the goroutine, for a log.
	Stack string
}

// Error names the value and the first place of the project in the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("a fault in Kuda or in a driver: %v (%s); report it", e.Value, e.sourceLine())
}

// sourceLine returns where the panic came from.
func (e *PanicError) sourceLine() string {
	_, after, found := strings.Cut(e.Stack, "\npanic(")
	if !found {
		after = e.Stack
	}
	for line := range strings.SplitSeq(after, "\n") {
		if file, ok := strings.CutPrefix(line, "\t"); ok && strings.Contains(file, ".go:") && !strings.Contains(file, "/runtime/") {
			place, _, _ := strings.Cut(file, " +")
			return place[strings.LastIndexByte(place, '/')+1:]
		}
	}
	return "unknown place"
}

// Catch is for a deferred call: it turns a panic into an error of the class
// ErrMisconfigured, which is not tried again at once.
func Catch(op string, err *error) { Rescue(op, recover(), err) }

// Rescue is Catch for a caller that has recovered the value itself; nil does
// nothing.
func Rescue(op string, value any, err *error) {
	if value != nil {
		*err = &Error{Op: op, Class: ErrMisconfigured, Err: &PanicError{Value: value, Stack: string(debug.Stack())}}
	}
}
