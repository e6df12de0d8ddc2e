// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// startLimit is how long the servers may take to start; ten seconds is usual, and minutes
// where the machine is busy.
const startLimit = 10 * time.Minute

// Endpoints is what clients and tests need to know.
type Endpoints struct {
	// Master is where clients connect to, host:port.
	Master string `json:"master"`
	// Proxy is host:port of the HTTP proxy; "" without.
	Proxy string `json:"proxy,omitempty"`
	// Root is the directory that is cached; "" where other storage is.
	Root string `json:"root,omitempty"`
	// Servers by their names: master, worker0, …, proxy.
	Servers map[string]Server `json:"servers"`
	// Control takes POST /start?NAME.
	Control string `json:"control"`
}

// Server is one process.
type Server struct {
	PID     int    `json:"pid"`
	Address string `json:"address"`
	// Dir is where a worker keeps its blocks.
	Dir string `json:"dir,omitempty"`
}

// Run is a storage.Run.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	s, err := parseSettings(o.Settings)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(o.Dir, "alluxio"))
	if err != nil {
		return err
	}
	cache, err := build.OpenCache()
	if err != nil {
		return err
	}
	jars, err := build.MavenJars(cache, "alluxio")
	if err != nil {
		return err
	}
	c, err := newCluster(s, dir, o.Address)
	if err != nil {
		return fmt.Errorf("starting Alluxio: %w", err)
	}
	if err := c.prepare(); err != nil {
		return fmt.Errorf("preparing Alluxio: %w", err)
	}
	if o.Content != "" {
		if s.ufs != "" {
			return errors.New("the content is stored in a directory only; leave out the setting ufs")
		}
		if err := os.CopyFS(c.root(), os.DirFS(o.Content)); err != nil {
			return fmt.Errorf("storing the content: %w", err)
		}
	}
	return storage.Serve(ctx, o.Dir, func(ctx context.Context, p *storage.Processes) error {
		e, err := c.start(ctx, p, jars)
		if err != nil {
			return err
		}
		return ready(e)
	})
}

// start starts the servers and returns when they are ready.
func (c *cluster) start(ctx context.Context, p *storage.Processes, jars string) (*Endpoints, error) {
	// A journal has to be there before a master starts.
	format := process.Helper(ctx, "java", c.buildArguments(jars, "alluxio.cli.Format master", nil)...)
	format.Env = javaEnvironment()
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("formatting the journal: %w: %s", err, out)
	}
	e := &Endpoints{Master: c.servers[0].rpc, Servers: map[string]Server{}}
	if c.settings.ufs == "" {
		e.Root = c.root()
	}
	starts := map[string]func() (int, error){}
	for _, s := range c.servers {
		starts[s.name] = func() (int, error) {
			cmd := exec.Command("java", c.buildArguments(jars, s.class, s.own)...)
			cmd.Env = javaEnvironment()
			if err := p.StartMortal(s.name, cmd); err != nil {
				return 0, err
			}
			return cmd.Process.Pid, nil
		}
		pid, err := starts[s.name]()
		if err != nil {
			return nil, err
		}
		one := Server{PID: pid, Address: s.rpc, Dir: s.own["alluxio.worker.tieredstore.level0.dirs.path"]}
		if s.name == "proxy" {
			e.Proxy, one.Address = s.web, s.web
		}
		e.Servers[s.name] = one
	}
	if err := c.awaitServers(ctx); err != nil {
		return nil, fmt.Errorf("starting Alluxio: %w; see the logs in %s", err, p.Dir)
	}
	var err error
	e.Control, err = serveControl(ctx, c, starts)
	return e, err
}

// awaitServers returns when every server listens and the master knows all workers.
func (c *cluster) awaitServers(ctx context.Context) error {
	return poll.Until(ctx, startLimit, func(ctx context.Context) error {
		for _, s := range c.servers {
			if err := c.checkServer(ctx, s); err != nil {
				return fmt.Errorf("waiting for the %s: %w", s.name, err)
			}
		}
		return c.checkWorkers(ctx)
	})
}

// checkServer connects to where a server listens.
func (c *cluster) checkServer(ctx context.Context, s server) error {
	address := s.rpc
	if s.name == "proxy" {
		address = s.web
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// checkWorkers asks the master for the workers that registered.
func (c *cluster) checkWorkers(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.servers[0].web+"/api/v1/master/info", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var info struct {
		Workers []json.RawMessage `json:"workers"`
	}
	if err := json.NewDecoder(response.Body).Decode(&info); err != nil {
		return fmt.Errorf("asking the master for its workers: %w", err)
	}
	if len(info.Workers) < c.settings.workers {
		return fmt.Errorf("%d of %d workers registered", len(info.Workers), c.settings.workers)
	}
	return nil
}

// serveControl serves POST /start?NAME on loopback until the context ends, and returns
// the URL. Its answer is the new process's id.
func serveControl(ctx context.Context, c *cluster, starts map[string]func() (int, error)) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("serving the control: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		start := starts[r.URL.RawQuery]
		if start == nil {
			http.Error(w, "there is no server "+r.URL.RawQuery, http.StatusNotFound)
			return
		}
		pid, err := start()
		if err == nil {
			err = c.awaitServers(ctx)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.Copy(w, strings.NewReader(fmt.Sprint(pid)))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // ends with the context
	return "http://" + listener.Addr().String(), nil
}
