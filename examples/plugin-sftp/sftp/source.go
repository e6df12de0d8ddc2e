// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"time"

	"github.com/pkg/sftp"

	"github.com/kuda-io/kuda/plugin"
)

// Source is a directory of an SFTP server.
type Source struct {
	settings settings
	pool     *pool
	now      func() time.Time
}

// New returns the source that c describes. It does not connect yet.
func New(c plugin.Config) (*Source, error) {
	s, err := parse(c)
	if err != nil {
		return nil, err
	}
	return &Source{settings: s, pool: &pool{dial: s.dial, max: s.connections}, now: time.Now}, nil
}

// Identity is sftp://host:port/root.
func (s *Source) Identity() string { return s.settings.identity() }

// Close ends the connections.
func (s *Source) Close() error {
	s.pool.close()
	return nil
}

// absolute is a path on the server. It does not leave the root.
func (s *Source) absolute(p string) string {
	return path.Join(s.settings.root, path.Clean("/"+p))
}

// settled is how old a modification time must be to be a proof.
const settled = 5 * time.Second

// identity is the modification time and the size. SFTP has whole seconds only:
// a file may change twice within one, and keep its size. As long as that second
// is not over for sure (clocks differ a little) the identity is weak.
func (s *Source) identity(info fs.FileInfo) plugin.Identity {
	if s.now().Sub(info.ModTime()) < settled {
		return "W/" + stamp(info)
	}
	return stamp(info)
}

func stamp(info fs.FileInfo) plugin.Identity {
	return plugin.Identity(fmt.Sprintf("%d-%d", info.ModTime().Unix(), info.Size()))
}

// same reports whether a file is still the one that was listed.
func same(e plugin.Entry, info fs.FileInfo) bool {
	want := stamp(info)
	return e.Size == info.Size() && (e.Identity == want || e.Identity == "W/"+want)
}

// failed gives an error of the session its class.
func failed(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return plugin.Wrap(ctx, op, err)
	}
	if _, ok := errors.AsType[*plugin.Error](err); ok { // of connecting
		return err
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &plugin.Error{Op: op, Class: plugin.ErrNotFound, Err: errors.New("the server has no such file; check remotePath and root")}
	case errors.Is(err, os.ErrPermission):
		return &plugin.Error{Op: op, Class: plugin.ErrDenied,
			Err: errors.New("the user may not read it; change its mode or its owner on the server")}
	}
	return plugin.Wrap(ctx, op, err) // temporary, but for errors of the network
}

// begin makes the first request of a call. A connection may have broken while it
// was idle, which only a request shows: then it is made again on another one.
// release is for the end of the connection's use.
func begin[T any](ctx context.Context, s *Source, f func(*connection) (T, error)) (value T, conn *connection, release func(), err error) {
	for again := true; ; again = false {
		c, free, err := s.pool.get(ctx)
		if err != nil {
			return value, nil, nil, err
		}
		value, err := await(ctx, func() (T, error) { return f(c) }) // f may outlive this call
		if err == nil {
			return value, c, free, nil
		}
		// What broke shows in the next request before it shows in the connection.
		_, reset := errors.AsType[net.Error](err)
		lost := reset || errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.EOF) || c.ended()
		if lost {
			c.close()
			<-c.gone
		}
		free()
		if !lost || !again || ctx.Err() != nil {
			return value, nil, nil, err
		}
	}
}

// await calls f, which cannot be cancelled, and returns when it does or ctx
// ends. Then f ends with its connection, or when the server answers.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := f()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
