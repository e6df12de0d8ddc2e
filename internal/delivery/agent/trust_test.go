// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// vault is a server with one file, which it gives to those with the right token.
// It counts the bytes that it sends.
type vault struct {
	*httptest.Server
	content string
	sent    atomic.Int64

	mu     sync.Mutex
	tokens []string // none: to every caller
}

func newVault(t *testing.T, content string, tokens ...string) *vault {
	v := &vault{content: content, tokens: tokens}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *vault) accept(tokens ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens = tokens
}

// ServeHTTP implements http.Handler. The entity tag is the same whatever the
// content: a server that lies says what it likes.
func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	tokens := v.tokens
	v.mu.Unlock()
	allowed := tokens == nil
	for _, token := range tokens {
		allowed = allowed || r.Header.Get("Authorization") == "Bearer "+token
	}
	if !allowed {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	w.Header().Set("ETag", `"1"`)
	http.ServeContent(&counted{w, &v.sent}, r, "", time.Unix(1e9, 0), strings.NewReader(v.content))
}

type counted struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.sent.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// asks is an assignment of the vault's file.
func (v *vault) asks(dataset, revision string, change func(*gatewayv1alpha1.HTTPSource)) *gatewayv1alpha1.Assignment {
	s := &gatewayv1alpha1.HTTPSource{Url: v.URL}
	change(s)
	return &gatewayv1alpha1.Assignment{Data: dataset + "-pod", Dataset: dataset, Revision: revision,
		Sources: []*gatewayv1alpha1.Source{{Name: "http", Config: &gatewayv1alpha1.Source_Http{Http: s}}},
		Items: []*gatewayv1alpha1.Item{{Namespace: "default", Name: "model", Version: "v1", RemotePath: "model",
			LocalPath: "model", Source: "http"}}}
}

// secret mounts a Secret with a token into every pod of the node.
func (p *pod) secret(name, token string) {
	p.t.Helper()
	dir := filepath.Join(p.mounts.Secrets, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pod) snapshots() []store.Snapshot {
	p.t.Helper()
	list, err := p.open(store.Options{}).Snapshots()
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

func certificate(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func plainly(*gatewayv1alpha1.HTTPSource) {}

func TestAnAuthorsProxyDoesNotPoisonAnothersData(t *testing.T) {
	right := newVault(t, "the right bytes")
	forged := newVault(t, "forged by sb else")
	through := func(s *gatewayv1alpha1.HTTPSource) { s.Proxy = forged.URL }
	author := agenttest.NewGateway(t)
	author.Want(right.asks("mine", "r1", through))
	a := newPod(t, author)
	author.Success("mine-pod", "r1")
	a.wantFile("model", "forged by sb else")

	victim := agenttest.NewGateway(t)
	victim.Want(right.asks("theirs", "r1", plainly))
	b := a.beside(victim, "victim")
	r := victim.Success("theirs-pod", "r1")
	b.wantFile("model", "the right bytes")
	if got := r.GetItems()[0].GetOrigin(); got != gatewayv1alpha1.Origin_ORIGIN_SOURCE {
		t.Errorf("the bytes are said to come from %s", got)
	}

	// A DataSet that was led astray itself gets the right bytes once it is mended.
	author.Want(right.asks("mine", "r2", plainly))
	author.Success("mine-pod", "r2")
	a.wantFile("model", "the right bytes")
	a.restart()
	author.Success("mine-pod", "r2")
	a.wantFile("model", "the right bytes")
}

func TestSourceWithAnotherCAIsAnotherOrigin(t *testing.T) {
	v := newVault(t, "bytes")
	g := agenttest.NewGateway(t)
	g.Want(v.asks("ds", "r1", plainly))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	other := httptest.NewTLSServer(v)
	t.Cleanup(other.Close)
	if err := os.MkdirAll(filepath.Join(p.mounts.CAs, "author"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.mounts.CAs, "author", "ca.crt"), certificate(other), 0o644); err != nil {
		t.Fatal(err)
	}
	before := len(p.snapshots())
	sent := v.sent.Load()
	g2 := agenttest.NewGateway(t)
	g2.Want(v.asks("ds", "r1", func(s *gatewayv1alpha1.HTTPSource) {
		s.Ca = &gatewayv1alpha1.CertificateAuthority{ConfigMap: "author", Key: "ca.crt"}
	}))
	p.beside(g2, "other")
	g2.Success("ds-pod", "r1")
	if got := len(p.snapshots()); got != before+1 {
		t.Errorf("there are %d snapshots, not one for each way", got)
	}
	if got := v.sent.Load() - sent; got != int64(len("bytes")) {
		t.Errorf("%d bytes were sent: the other way's were taken for the own", got)
	}
}

func TestWhoHasNoCredentialsGetsNoPrivateBytes(t *testing.T) {
	v := newVault(t, "private bytes", "good")
	with := func(secret string) func(*gatewayv1alpha1.HTTPSource) {
		return func(s *gatewayv1alpha1.HTTPSource) { s.Secret = secret }
	}
	owner := agenttest.NewGateway(t)
	p := newPod(t, owner)
	p.secret("right", "good")
	p.secret("wrong", "bad")
	owner.Want(v.asks("theirs", "r1", with("right")))
	owner.Success("theirs-pod", "r1")
	for _, secret := range []string{"", "wrong"} {
		g := agenttest.NewGateway(t)
		g.Want(v.asks("mine", "r1", with(secret)))
		q := p.beside(g, "stranger"+secret)
		g.Failure("model", "AccessDenied")
		q.wantNoFile("model")
	}
	// Nor does a proxy of one's own that claims to have the file.
	liar := newVault(t, "private lies!")
	g := agenttest.NewGateway(t)
	g.Want(v.asks("mine", "r1", func(s *gatewayv1alpha1.HTTPSource) { s.Proxy = liar.URL }))
	q := p.beside(g, "liar")
	g.Success("mine-pod", "r1")
	q.wantFile("model", "private lies!")
}

// New credentials cause no download, no switch and no hook.
func TestRotatedCredentialsCauseNoDownloadSwitchOrHook(t *testing.T) {
	v := newVault(t, strings.Repeat("private bytes ", 1000), "old")
	with := func(s *gatewayv1alpha1.HTTPSource) { s.Secret = "key" }
	g := agenttest.NewGateway(t)
	a := v.asks("ds", "r1", with)
	a.Items[0].Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: exec()}
	p := newPod(t, g)
	p.secret("key", "old")
	g.Want(a)
	g.Success("ds-pod", "r1")
	if got := len(g.HookCalls()); got != 1 {
		t.Fatalf("%d hooks ran at first", got)
	}
	tree, err := os.Readlink(filepath.Join(p.dir().View(), ".kuda/ds"))
	if err != nil {
		t.Fatal(err)
	}
	v.accept("new")
	p.secret("key", "new")
	sent := v.sent.Load()
	g.Forget()
	p.restart()
	g.Success("ds-pod", "r1")
	now, err := os.Readlink(filepath.Join(p.dir().View(), ".kuda/ds"))
	if err != nil || now != tree {
		t.Errorf("the view was switched to %s, %v", now, err)
	}
	if v.sent.Load() != sent || len(g.HookCalls()) != 0 {
		t.Errorf("the running pod caused %d bytes and %d hooks", v.sent.Load()-sent, len(g.HookCalls()))
	}
	g2 := agenttest.NewGateway(t)
	g2.Want(v.asks("ds", "r1", with))
	q := p.beside(g2, "later")
	g2.Success("ds-pod", "r1")
	q.wantFile("model", v.content)
	if got := v.sent.Load() - sent; got != 1 {
		t.Errorf("the new pod caused %d bytes, want one that proves that it may read", got)
	}
	if got := len(p.snapshots()); got != 2 {
		t.Errorf("there are %d snapshots, want one for each principal", got)
	}
	for _, s := range p.snapshots() {
		if key := fmt.Sprintf("%+v", s.Key); strings.Contains(key, "old") || strings.Contains(key, "new") {
			t.Errorf("the credentials are in %s", key)
		}
	}
}

// Who could write to the store changed a file that a running pod has. The next pod
// gets the bytes of the source.
func TestAFileThatWasChangedIsNotServedToAnotherPod(t *testing.T) {
	for name, change := range map[string]func(file string, before os.FileInfo) error{
		"overwritten": func(file string, _ os.FileInfo) error { return os.WriteFile(file, []byte("forged!"), 0o644) },
		"overwritten, with its time set back": func(file string, before os.FileInfo) error {
			if err := os.WriteFile(file, []byte("forged!"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(file, before.ModTime(), before.ModTime())
		},
		"replaced, with its time set back": func(file string, before os.FileInfo) error {
			if err := os.WriteFile(file+".new", []byte("forged!"), 0o644); err != nil {
				return err
			}
			if err := os.Chtimes(file+".new", before.ModTime(), before.ModTime()); err != nil {
				return err
			}
			return os.Rename(file+".new", file)
		},
		"made executable": func(file string, _ os.FileInfo) error { return os.Chmod(file, 0o755) },
	} {
		v := newVault(t, "genuine")
		g := agenttest.NewGateway(t)
		g.Want(v.asks("ds", "r1", plainly))
		p := newPod(t, g)
		g.Success("ds-pod", "r1")
		file := filepath.Join(p.root, "snapshots", string(p.snapshots()[0].ID), "data", snapshot.FileName)
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(file, before); err != nil {
			t.Fatal(err)
		}
		g2 := agenttest.NewGateway(t)
		g2.Want(v.asks("ds", "r1", plainly))
		q := p.beside(g2, "other")
		g2.Success("ds-pod", "r1")
		if got := q.file("model"); got != "genuine" {
			t.Errorf("%s: the other pod reads %q", name, got)
		}
	}
}
