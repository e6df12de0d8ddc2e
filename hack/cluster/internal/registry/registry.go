// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// startLimit is how long a start may take; less than a second is usual.
const startLimit = time.Minute

// Endpoints is what a client needs to know.
type Endpoints struct {
	// Address is host:port; the registry speaks plain HTTP there.
	Address string `json:"address"`
	// User and Password, when the registry asks for them itself.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// Content is the artifact with the files of --content, "" without.
	Content string `json:"content,omitempty"`
}

// Run is a storage.Run. Its settings are
//
//	auth=true           users have to sign in with a name and a password
//	realm=URL, jwks=FILE  users need a token from URL, signed by one of the keys in FILE
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	s, err := parseSettings(o.Settings)
	if err != nil {
		return err
	}
	address, err := freeAddress(o.Address)
	if err != nil {
		return fmt.Errorf("starting the registry: %w; give an --address of this machine", err)
	}
	endpoints := Endpoints{Address: address}
	if s.basic {
		endpoints.User, endpoints.Password = user, password
	}
	if err := s.write(o.Dir, address); err != nil {
		return fmt.Errorf("preparing the registry: %w", err)
	}
	processes := storage.NewProcesses(o.Dir)
	defer processes.Stop()
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-processes.Ended():
			cancel(err)
		case <-running.Done():
		}
	}()
	if err := start(running, processes, o, address); err != nil {
		return reason(ctx, running, err)
	}
	if o.Content != "" {
		if endpoints.Content, err = fill(running, endpoints, o.Content); err != nil {
			return reason(ctx, running, err)
		}
	}
	if err := ready(endpoints); err != nil {
		return err
	}
	<-running.Done()
	return reason(ctx, running, nil)
}

// start starts the registry and returns when it answers.
func start(ctx context.Context, processes *storage.Processes, o storage.Options, address string) error {
	cmd := exec.Command(filepath.Join(o.Tools.Bin(), "registry"), "serve", configFile(o.Dir))
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := processes.Start("registry", cmd); err != nil {
		return fmt.Errorf("starting the registry: %w; run 'kuda-cluster build' first", err)
	}
	err := poll.Until(ctx, startLimit, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v2/", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("the registry answered %s", response.Status)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the registry: %w", err)
	}
	return nil
}

// reason says why it is over: the caller's wish, else the program that ended,
// else err.
func reason(outer, running context.Context, err error) error {
	switch {
	case outer.Err() != nil:
		return outer.Err()
	case running.Err() != nil:
		return context.Cause(running)
	}
	return err
}

func freeAddress(ip string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
