// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import "fmt"

// The verbs.
const (
	VerbPause   = "pause"
	VerbResume  = "resume"
	VerbPromote = "promote"
	VerbAbort   = "abort"
	VerbRetry   = "retry"
	VerbUndo    = "undo"
	// VerbHistory is no change; hints name it.
	VerbHistory = "history"
)

// Say puts a verb into the caller's words: the command line names the command, the
// dashboard its button.
type Say func(verb string) string

// Code is the reason of a Refusal in one word, for callers that say it in other languages.
type Code string

// The codes.
const (
	AlreadyPaused     Code = "AlreadyPaused"
	NotPaused         Code = "NotPaused"
	Unobserved        Code = "Unobserved"
	Complete          Code = "Complete"
	RolloutFailed     Code = "RolloutFailed"
	RollingBack       Code = "RollingBack"
	RolledBack        Code = "RolledBack"
	Prefetching       Code = "Prefetching"
	Retrying          Code = "Retrying"
	Paused            Code = "Paused"
	AtStep            Code = "AtStep"
	NoStep            Code = "NoStep"
	NoOtherRevision   Code = "NoOtherRevision"
	NothingFailed     Code = "NothingFailed"
	NothingToGoBackTo Code = "NothingToGoBackTo"
	NoSuchRevision    Code = "NoSuchRevision"
	SameRevision      Code = "SameRevision"
)

// Codes returns all codes.
func Codes() []Code {
	return []Code{AlreadyPaused, NotPaused, Unobserved, Complete, RolloutFailed, RollingBack, RolledBack, Prefetching, Retrying, Paused,
		AtStep, NoStep, NoOtherRevision, NothingFailed, NothingToGoBackTo, NoSuchRevision, SameRevision}
}

// Refusal is the error of a change that makes no sense now. Its message says why, and what
// to do instead.
type Refusal struct {
	Code    Code
	Message string
}

func (r *Refusal) Error() string { return r.Message }

func refuse(code Code, format string, args ...any) error {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}
