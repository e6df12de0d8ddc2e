// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
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
	address, err := o.FreeAddress()
	if err != nil {
		return fmt.Errorf("starting the registry: %w", err)
	}
	endpoints := Endpoints{Address: address}
	if s.basic {
		endpoints.User, endpoints.Password = user, password
	}
	if err := s.write(o.Dir, address); err != nil {
		return fmt.Errorf("preparing the registry: %w", err)
	}
	return storage.Serve(ctx, o.Dir, func(ctx context.Context, processes *storage.Processes) error {
		if err := start(ctx, processes, o, address); err != nil {
			return err
		}
		if o.Content != "" {
			var err error
			if endpoints.Content, err = fill(ctx, endpoints, o.Content); err != nil {
				return err
			}
		}
		return ready(endpoints)
	})
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
