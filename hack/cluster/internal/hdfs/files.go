// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colinmarc/hdfs/v2"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"
)

// parallel is how many requests change files at the same time.
const parallel = 8

// files changes what is stored, over HTTP, as the user who owns it: so that tests write
// by another implementation of HDFS than the one they test, and do not link it.
//
//	PUT /PATH?replication=N&mode=0640   stores the body, in place of what was there
//	PUT /PATH?open=true                 writes it and leaves the file open
//	POST /PATH?close=true               closes that file
//	POST /PATH?append=true              appends the body
//	POST /PATH?mkdir=true               makes a directory, and those above it
//	POST /PATH?mode=0755                changes the mode
//	HEAD /PATH                          has the size as Content-Length
//	DELETE /PATH                        removes a file
type files struct {
	clients   chan *hdfs.Client
	newClient func() (*hdfs.Client, error)
	// written counts the files that were written under a temporary name.
	written atomic.Int64

	mu sync.Mutex
	// open are the files that were left open.
	open map[string]*hdfs.FileWriter
}

// serveFiles serves files on loopback until the context ends, and returns the URL.
func serveFiles(ctx context.Context, e *Endpoints) (string, error) {
	f := &files{clients: make(chan *hdfs.Client, parallel), newClient: e.newClient, open: map[string]*hdfs.FileWriter{}}
	for range parallel {
		f.clients <- nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("serving files: %w", err)
	}
	server := &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}

// newClient returns a client of the user who owns all that is stored.
func (e *Endpoints) newClient() (*hdfs.Client, error) {
	o := hdfs.ClientOptions{Addresses: e.Addresses, User: e.User}
	if k := e.Kerberos; k != nil {
		conf, err := config.Load(k.Krb5Conf)
		if err != nil {
			return nil, err
		}
		keys, err := keytab.Load(k.Keytab)
		if err != nil {
			return nil, err
		}
		name, realm, _ := strings.Cut(k.Principal, "@")
		o.KerberosClient = client.NewWithKeytab(name, realm, keys, conf, client.DisablePAFXFAST(true))
		if err := o.KerberosClient.Login(); err != nil {
			return nil, err
		}
		o.KerberosServicePrincipleName, o.DataTransferProtection = k.ServicePrincipal, k.Protection
	}
	return hdfs.NewClient(o)
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := <-f.clients
	defer func() { f.clients <- c }()
	if c == nil {
		made, err := f.newClient()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		c = made
	}
	err := f.change(c, w, r)
	switch {
	case errors.Is(err, os.ErrNotExist):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (f *files) change(c *hdfs.Client, w http.ResponseWriter, r *http.Request) error {
	name, query := r.URL.Path, r.URL.Query()
	switch {
	case r.Method == http.MethodHead:
		info, err := c.Stat(name)
		if err == nil {
			w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
		}
		return err
	case r.Method == http.MethodDelete:
		return c.Remove(name)
	case r.Method == http.MethodPut && query.Has("open"):
		return f.openFile(c, name, r.Body)
	case r.Method == http.MethodPut:
		return f.putFile(c, name, query.Get("replication"), query.Get("mode"), r.Body)
	case query.Has("close"):
		return f.closeOpen(name)
	case query.Has("append"):
		out, err := c.Append(name)
		if err != nil {
			return err
		}
		return writeAll(out, r.Body)
	case query.Has("mkdir"):
		return c.MkdirAll(name, 0o750)
	default:
		mode, err := strconv.ParseUint(query.Get("mode"), 8, 32)
		if err != nil {
			return err
		}
		return c.Chmod(name, os.FileMode(mode))
	}
}

// putFile stores a file as careful writers do: it is renamed into its place.
func (f *files) putFile(c *hdfs.Client, name, replication, mode string, content io.Reader) error {
	replicas, perm, dirPerm := 1, os.FileMode(0o640), os.FileMode(0o750)
	if replication != "" {
		n, err := strconv.Atoi(replication)
		if err != nil {
			return err
		}
		replicas = n
	}
	if mode != "" {
		m, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			return err
		}
		perm, dirPerm = os.FileMode(m), 0o755
	}
	if err := c.MkdirAll(path.Dir(name), dirPerm); err != nil {
		return err
	}
	defaults, err := c.ServerDefaults()
	if err != nil {
		return err
	}
	tmp := fmt.Sprintf("/tmp-%d", f.written.Add(1))
	out, err := c.CreateFile(tmp, replicas, defaults.BlockSize, perm)
	if err != nil {
		return err
	}
	if err := writeAll(out, content); err != nil {
		return err
	}
	_ = c.Remove(name) // where it is not, the renaming says what is wrong
	return c.Rename(tmp, name)
}

// openFile begins a file, of blocks of a mebibyte, which stays open.
func (f *files) openFile(c *hdfs.Client, name string, content io.Reader) error {
	out, err := c.CreateFile(name, 1, 1<<20, 0o640)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.open[name] = out
	f.mu.Unlock()
	if _, err := io.Copy(out, content); err != nil {
		return err
	}
	return out.Flush()
}

func (f *files) closeOpen(name string) error {
	f.mu.Lock()
	out := f.open[name]
	delete(f.open, name)
	f.mu.Unlock()
	if out == nil {
		return fmt.Errorf("%s is not open: %w", name, os.ErrNotExist)
	}
	return closeFile(out)
}

// writeAll writes the content, if there is any: else an empty block would be started
// that never ends.
func writeAll(out *hdfs.FileWriter, content io.Reader) error {
	if _, err := io.Copy(out, content); err != nil {
		return err
	}
	return closeFile(out)
}

// closeFile closes a file. The namenode counts one as complete once a datanode reported
// its last block.
func closeFile(out *hdfs.FileWriter) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if err := out.Close(); !hdfs.IsErrReplicating(err) {
			return err
		}
		time.Sleep(pause)
	}
}
