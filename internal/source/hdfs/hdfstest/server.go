// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfstest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colinmarc/hdfs/v2"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"

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

	mu     sync.Mutex
	client *hdfs.Client
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

// NewClient returns another implementation's client, of the user who owns all.
func (s *Server) NewClient(t testing.TB) *hdfs.Client {
	t.Helper()
	o := hdfs.ClientOptions{Addresses: s.Addresses, User: s.User}
	if k := s.Kerberos; k != nil {
		conf, err := config.Load(k.Krb5Conf)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := keytab.Load(k.Keytab)
		if err != nil {
			t.Fatal(err)
		}
		user, realm, _ := strings.Cut(k.Principal, "@")
		o.KerberosClient = client.NewWithKeytab(user, realm, keys, conf, client.DisablePAFXFAST(true))
		if err := o.KerberosClient.Login(); err != nil {
			t.Fatal(err)
		}
		o.KerberosServicePrincipleName, o.DataTransferProtection = k.ServicePrincipal, k.Protection
	}
	c, err := hdfs.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Client is a NewClient that is shared by those who change what is stored.
func (s *Server) Client(t testing.TB) *hdfs.Client {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		s.client = s.NewClient(t)
	}
	return s.client
}

// Put stores a file that only its owner may read, in place of what was there.
func (s *Server) Put(t testing.TB, name string, content []byte) {
	t.Helper()
	putFile(t, s.Client(t), name, content)
}

func putFile(t testing.TB, c *hdfs.Client, name string, content []byte) {
	t.Helper()
	name = "/" + name
	if err := c.MkdirAll(path.Dir(name), 0o750); err != nil {
		t.Fatalf("making the directory of %s: %v", name, err)
	}
	// Renamed into its place, as careful writers do.
	tmp := fmt.Sprintf("/tmp-%p", t)
	_ = c.Remove(tmp)
	if err := createFile(c, tmp, content); err != nil {
		t.Fatalf("putting %s: %v", name, err)
	}
	_ = c.Remove(name)
	if err := c.Rename(tmp, name); err != nil {
		t.Fatalf("putting %s: %v", name, err)
	}
}

func createFile(c *hdfs.Client, name string, content []byte) error {
	w, err := c.CreateFile(name, 1, 128<<20, 0o640)
	if err != nil {
		return err
	}
	if len(content) > 0 { // else an empty block would be started that never ends
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return closeFile(w)
}

// closeFile closes a file. The namenode counts one as complete once a datanode
// reported its last block.
func closeFile(w *hdfs.FileWriter) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if err := w.Close(); !hdfs.IsErrReplicating(err) {
			return err
		}
		<-time.After(pause)
	}
}

// PutAll stores many files, several at a time.
func (s *Server) PutAll(t testing.TB, files map[string][]byte) {
	t.Helper()
	names := make(chan string)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c := s.NewClient(t)
			defer func() { _ = c.Close() }()
			for name := range names {
				if err := c.MkdirAll(path.Dir("/"+name), 0o750); err != nil {
					t.Error(err)
				}
				_ = c.Remove("/" + name)
				if err := createFile(c, "/"+name, files[name]); err != nil {
					t.Errorf("putting %s: %v", name, err)
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

// Delete removes a file.
func (s *Server) Delete(t testing.TB, name string) {
	t.Helper()
	if err := s.Client(t).Remove("/" + name); err != nil {
		t.Fatal(err)
	}
}

// Mkdir makes a directory, and those above it.
func (s *Server) Mkdir(t testing.TB, name string) {
	t.Helper()
	if err := s.Client(t).MkdirAll("/"+name, 0o750); err != nil {
		t.Fatal(err)
	}
}

// PutReplicated stores a file with so many replicas.
func (s *Server) PutReplicated(t testing.TB, name string, content []byte, replicas int) {
	t.Helper()
	c := s.Client(t)
	name = "/" + name
	_ = c.Remove(name)
	if err := c.MkdirAll(path.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	defaults, err := c.ServerDefaults()
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.CreateFile(name, replicas, defaults.BlockSize, 0o640)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = closeFile(w)
	}
	if err != nil {
		t.Fatalf("putting %s: %v", name, err)
	}
}

// Append adds to a file.
func (s *Server) Append(t testing.TB, name string, content []byte) {
	t.Helper()
	w, err := s.Client(t).Append("/" + name)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = closeFile(w)
	}
	if err != nil {
		t.Fatalf("appending to %s: %v", name, err)
	}
}
