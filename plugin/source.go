// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"path/filepath"

	"github.com/kuda-io/kuda/internal/source"
)

// What a plugin implements and uses; the comments of each are its contract.
type (
	// Source is one storage system. It is safe for use by several goroutines.
	Source = source.Source
	// Entry is one file as a Source lists it.
	Entry = source.Entry
	// Identity names one immutable state of a file; one that begins with "W/"
	// is weak.
	Identity = source.Identity
	// Error is an error with its class.
	Error = source.Error
	// Secret is a value that is never printed.
	Secret = source.Secret
	// Mount is a directory of small files that another process keeps up to date: a
	// mounted Secret or ConfigMap.
	Mount = source.Mount
	// InvalidPathError tells that a remote name cannot be used as a file name.
	InvalidPathError = source.InvalidPathError
)

// The classes of error. The class decides whether Kuda tries again, and what
// the user reads; an error without one counts as ErrTemporary.
var (
	// ErrNotFound: nothing is stored at the path. Permanent.
	ErrNotFound = source.ErrNotFound
	// ErrDenied: the storage refused the credentials. Permanent.
	ErrDenied = source.ErrDenied
	// ErrThrottled: the storage asked to slow down; Error.RetryAfter says for
	// how long. Temporary.
	ErrThrottled = source.ErrThrottled
	// ErrChanged: the file is not the one that was listed. Kuda lists again.
	ErrChanged = source.ErrChanged
	// ErrTemporary: a failure that may pass, such as a cut connection.
	ErrTemporary = source.ErrTemporary
	// ErrUnreachable: the storage does not answer at its address. Temporary.
	ErrUnreachable = source.ErrUnreachable
	// ErrMisconfigured: the settings contradict themselves or the server. Permanent.
	ErrMisconfigured = source.ErrMisconfigured
	// ErrCredentials: the files of the Secret or the ConfigMap are not there, or
	// lack something. Permanent until they appear.
	ErrCredentials = source.ErrCredentials
)

// Helpers for sources.
var (
	// NewReader makes a reader of exactly so many bytes of a body, as
	// Source.Open promises it.
	NewReader = source.NewReader
	// Wrap gives an error of a network call its class, by its type.
	Wrap = source.Wrap
	// StatusClass returns the class of an HTTP status that is not a success.
	StatusClass = source.StatusClass
	// CheckPath reports whether a listed path can be a file's. Kuda does it with
	// every path: a Source need not.
	CheckPath = source.CheckPath
)

// Config describes a storage system, as a user's DataSet does.
type Config struct {
	// Settings are what the DataSet has below dataSources.plugin.config.
	Settings map[string]string
	// Secret has a file for each key of the Secret that secretRef names; nil
	// when it names none. The files change when the Secret does: read them when
	// they are needed, and keep nothing for longer than a connection.
	Secret *Mount
	// CA is the ConfigMap that caRef names, and CAKey the key; nil and "" when
	// it names none.
	CA    *Mount
	CAKey string
}

func newMount(kind, dir string) *Mount {
	if dir == "" {
		return nil
	}
	return &Mount{Dir: dir, Name: kind + ` "` + filepath.Base(dir) + `"`}
}
