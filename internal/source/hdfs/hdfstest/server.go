// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfstest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kuda-io/kuda/internal/storagetest"
)

// Server is a running HDFS. All that is stored belongs to User.
type Server struct {
	Addresses []string
	// User owns "/"; Stranger is another user.
	User, Stranger string
	Datanodes      []Datanode
	// Control takes the commands of Do.
	Control string
	// Kerberos is nil without it.
	Kerberos *Kerberos
	// Files is where what is stored is changed.
	Files string
}

// Datanode is one of the datanodes, with the directory of its blocks.
type Datanode struct{ Address, Dir string }

// Kerberos is how to authenticate.
type Kerberos struct {
	Krb5Conf                          string
	Principal, Keytab                 string
	StrangerPrincipal, StrangerKeytab string
	ServicePrincipal                  string
	Protection                        string
}

var (
	mu      sync.Mutex
	servers = map[string]*Server{}
	// stops keep the servers until the binary ends, and they with it.
	stops []func() error
)

// Shared returns the server with these settings (name=value) of
// 'kuda-cluster storage run hdfs'. It is started when it is not there yet.
func Shared(t testing.TB, settings ...string) *Server {
	t.Helper()
	slices.Sort(settings)
	key := strings.Join(settings, " ")
	mu.Lock()
	defer mu.Unlock()
	if servers[key] == nil {
		s := &Server{}
		stop, err := storagetest.Run(os.Getenv(storagetest.EnvCluster), s, append([]string{"hdfs"}, storagetest.Flags(settings)...)...)
		if err != nil {
			t.Fatal(err)
		}
		servers[key] = s
		stops = append(stops, stop)
	}
	return servers[key]
}

// Start is Shared for a test that breaks the server; it ends with the test.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := &Server{}
	storagetest.Start(t, "hdfs", s, settings...)
	return s
}

// Do has the server do one of its commands, such as "failover".
func (s *Server) Do(t testing.TB, command string) {
	t.Helper()
	response, err := http.Post(s.Control+"/"+command, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", command, body)
	}
}

// request asks the server to change a file, or a directory. It returns the length that
// the response states, which for HEAD is the file's.
func (s *Server) request(method, name, query string, content []byte) (length int64, err error) {
	target := url.URL{Path: "/" + name, RawQuery: query}
	r, err := http.NewRequest(method, s.Files+target.String(), bytes.NewReader(content))
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s %s: %s: %s", method, name, response.Status, text)
	}
	return response.ContentLength, nil
}

func (s *Server) change(t testing.TB, method, name, query string, content []byte) {
	t.Helper()
	if _, err := s.request(method, name, query, content); err != nil {
		t.Fatal(err)
	}
}

// Put stores a file that only its owner may read, in place of what was there.
func (s *Server) Put(t testing.TB, name string, content []byte) {
	t.Helper()
	s.change(t, http.MethodPut, name, "", content)
}

// PutReplicated stores a file with so many replicas.
func (s *Server) PutReplicated(t testing.TB, name string, content []byte, replicas int) {
	t.Helper()
	s.change(t, http.MethodPut, name, fmt.Sprintf("replication=%d", replicas), content)
}

// PutAll stores many files, several at a time.
func (s *Server) PutAll(t testing.TB, files map[string][]byte) {
	t.Helper()
	names := make(chan string)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for name := range names {
				if _, err := s.request(http.MethodPut, name, "", files[name]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for name := range files {
		names <- name
	}
	close(names)
	all.Wait()
}

// PutOpen writes the first bytes of a file that is not closed before the returned
// function is called.
func (s *Server) PutOpen(t testing.TB, name string, content []byte) (end func()) {
	t.Helper()
	s.change(t, http.MethodPut, name, "open=true", content)
	return func() {
		t.Helper()
		s.change(t, http.MethodPost, name, "close=true", nil)
	}
}

// Delete removes a file.
func (s *Server) Delete(t testing.TB, name string) {
	t.Helper()
	s.change(t, http.MethodDelete, name, "", nil)
}

// Mkdir makes a directory, and those above it.
func (s *Server) Mkdir(t testing.TB, name string) {
	t.Helper()
	s.change(t, http.MethodPost, name, "mkdir=true", nil)
}

// Chmod changes the mode of a file.
func (s *Server) Chmod(t testing.TB, name string, mode os.FileMode) {
	t.Helper()
	s.change(t, http.MethodPost, name, fmt.Sprintf("mode=%04o", mode), nil)
}

// Append adds to a file.
func (s *Server) Append(t testing.TB, name string, content []byte) {
	t.Helper()
	s.change(t, http.MethodPost, name, "append=true", content)
}

// Size returns the size of a file; -1 when there is none of that name.
func (s *Server) Size(name string) int64 {
	size, err := s.request(http.MethodHead, name, "", nil)
	if err != nil {
		return -1
	}
	return size
}
