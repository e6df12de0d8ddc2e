// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/kuda-io/kuda/internal/delivery/agent"
	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/agent/worker"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
)

// pod is a runtime without its process.
type pod struct {
	t       testing.TB
	root    string
	uid     string
	gateway *agenttest.Gateway
	waitFor []string
	quota   int64
	mounts  sourceconfig.Mounts
	agent   *agent.Agent
	stop    func()
	// engine stands before the pod's own, which it is given; nil for none.
	engine func(worker.Engine) worker.Engine
	// pause is how long failed items wait; zero is short.
	pause time.Duration
	// failed gets a reason after each try that failed, as long as there is room.
	failed chan string
}

func newPod(t testing.TB, g *agenttest.Gateway, waitFor ...string) *pod {
	t.Helper()
	p := makePod(t, g, waitFor...)
	p.begin()
	return p
}

// makePod is newPod without a start.
func makePod(t testing.TB, g *agenttest.Gateway, waitFor ...string) *pod {
	p := &pod{t: t, root: t.TempDir(), uid: "uid", gateway: g, waitFor: waitFor, stop: func() {}, failed: make(chan string, 1)}
	p.mounts = sourceconfig.Mounts{Secrets: filepath.Join(p.root, "secrets"), CAs: filepath.Join(p.root, "cas")}
	return p
}

// beside is another pod of the same node, with a gateway of its own.
func (p *pod) beside(g *agenttest.Gateway, uid string) *pod {
	p.t.Helper()
	other := &pod{t: p.t, root: p.root, uid: uid, gateway: g, quota: p.quota, mounts: p.mounts, stop: func() {}, failed: make(chan string, 1)}
	other.begin()
	return other
}

func (p *pod) begin() {
	p.t.Helper()
	if err := os.WriteFile(p.tokenFile(), []byte(agenttest.Token+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.start()
	p.t.Cleanup(func() { p.stop() })
}

func (p *pod) tokenFile() string { return filepath.Join(p.root, "token") }
func (p *pod) dir() podstate.Dir { return podstate.Of(p.root, p.uid) }

func (p *pod) start() {
	p.t.Helper()
	log := funcr.New(func(_, args string) { p.t.Log(args) }, funcr.Options{Verbosity: 1})
	st, err := store.Open(store.Options{Root: p.root, Quota: p.quota, Needed: podstate.NewPods(p.root).Needed,
		Wanted: podstate.NewPods(p.root).Wanted})
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := uplink.New(uplink.Options{Address: p.gateway.Address, CA: p.gateway.CA,
		CAFile: filepath.Join(p.root, "ca.pem"), TokenFile: p.tokenFile(), Log: log})
	if err != nil {
		p.t.Fatal(err)
	}
	var engine worker.Engine = transfer.New(transfer.Options{Store: st, Attempts: 1})
	if p.engine != nil {
		engine = p.engine(engine)
	}
	p.agent, err = agent.New(agent.Options{Dir: p.dir(), WaitFor: p.waitFor, Gateway: client, Store: st,
		Sources: sourceconfig.Opener{Mounts: p.mounts}, Engine: engine, Log: log,
		Hooks: hook.Policy{Attempts: 3, Backoff: time.Millisecond, PendingBackoff: time.Millisecond, PendingMax: 10 * time.Millisecond},
		Retry: func(reason string, _ int) time.Duration {
			select {
			case p.failed <- reason:
			default:
			}
			return cmp.Or(p.pause, 20*time.Millisecond)
		}})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan error, 1)
	go func(a *agent.Agent) { ended <- a.Run(ctx) }(p.agent)
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("the agent ended: %v", err)
		}
		client.Close()
	})
}

func (p *pod) restart() {
	p.t.Helper()
	p.stop()
	p.start()
}

// wait waits until the agent's state is as the test wants it.
func (p *pod) wait(what string, match func(status.State) bool) status.State {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		next := p.agent.Changed()
		s := p.agent.State()
		if match(s) {
			return s
		}
		select {
		case <-next:
		case <-deadline:
			p.t.Fatalf("never came: %s; state is %+v", what, s)
		}
	}
}

// retries waits until so many more tries have failed.
func (p *pod) retries(n int) {
	p.t.Helper()
	select {
	case <-p.failed: // from before
	default:
	}
	for range n {
		select {
		case <-p.failed:
		case <-time.After(20 * time.Second):
			p.t.Fatal("it is not tried again")
		}
	}
}

func (p *pod) wantFile(path, want string) {
	p.t.Helper()
	got, err := os.ReadFile(filepath.Join(p.dir().View(), path))
	if err != nil || string(got) != want {
		p.t.Errorf("the application reads %q, %v at %s, want %q", got, err, path, want)
	}
}

// file is what the application reads, "" for nothing.
func (p *pod) file(path string) string {
	content, _ := os.ReadFile(filepath.Join(p.dir().View(), path))
	return string(content)
}

func (p *pod) wantNoFile(path string) {
	p.t.Helper()
	if _, err := os.Stat(filepath.Join(p.dir().View(), path)); err == nil {
		p.t.Errorf("the application still finds %s", path)
	}
}
