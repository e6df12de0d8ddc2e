// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import "context"

// Observer hears what happens in a call of a Source beside its results. Its
// functions may be called from several goroutines.
type Observer struct {
	// Alive is called for each sign of life of the source that yields nothing
	// yet, such as a page of a listing without files. It may be nil.
	Alive func()
	// Note is called with what a user should know although the call succeeds,
	// such as that a server does not do what it says it can. It may be nil.
	Note func(text string)
}

type observerKey struct{}

// Observe returns a context whose calls tell the observer, and those that the
// context told before.
func Observe(ctx context.Context, o Observer) context.Context {
	if outer, ok := ctx.Value(observerKey{}).(Observer); ok {
		o = Observer{Alive: joinFuncs(o.Alive, outer.Alive), Note: bothNotes(o.Note, outer.Note)}
	}
	return context.WithValue(ctx, observerKey{}, o)
}

func joinFuncs(a, b func()) func() {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	return func() { a(); b() }
}

func bothNotes(a, b func(string)) func(string) {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	return func(text string) { a(text); b(text) }
}

type oneAtATimeKey struct{}

// OneAtATime returns a context whose calls of List have one request under way at a time:
// each of a source whose connections are limited counts as one.
func OneAtATime(ctx context.Context) context.Context {
	return context.WithValue(ctx, oneAtATimeKey{}, true)
}

// IsOneAtATime reports whether the context is one of OneAtATime.
func IsOneAtATime(ctx context.Context) bool { return ctx.Value(oneAtATimeKey{}) != nil }

// Alive tells the context's observer that the source is at work.
func Alive(ctx context.Context) {
	if o, ok := ctx.Value(observerKey{}).(Observer); ok && o.Alive != nil {
		o.Alive()
	}
}

// Note tells the context's observer something that a user should know.
func Note(ctx context.Context, text string) {
	if o, ok := ctx.Value(observerKey{}).(Observer); ok && o.Note != nil {
		o.Note(Redact(text))
	}
}
