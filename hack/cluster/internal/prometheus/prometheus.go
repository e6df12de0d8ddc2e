// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// startLimit is how long a start may take; a second or two is usual.
const startLimit = time.Minute

// Endpoints is what a client needs to know.
type Endpoints struct {
	// Address is host:port, and URL the same as http://host:port.
	Address string `json:"address"`
	URL     string `json:"url"`
}

// server is one server's place.
type server struct {
	dir     string
	address string
}

// Run is a storage.Run. Its settings are the targets, job=host:port, whose
// /metrics is read every second. It stores no content.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	config, err := configuration(o.Settings)
	if err != nil {
		return err
	}
	if o.Content != "" {
		return errors.New("prometheus stores no files: leave --content out")
	}
	s, err := newServer(o)
	if err != nil {
		return fmt.Errorf("preparing prometheus: %w", err)
	}
	if err := s.write(config); err != nil {
		return fmt.Errorf("preparing prometheus: %w", err)
	}
	return storage.Serve(ctx, o.Dir, func(ctx context.Context, processes *storage.Processes) error {
		if err := processes.Start("prometheus", s.command()); err != nil {
			return fmt.Errorf("%w; run 'kuda-cluster build --storage' as root, which installs it", err)
		}
		if err := poll.Until(ctx, startLimit, s.checkReady); err != nil {
			return err
		}
		return ready(Endpoints{Address: s.address, URL: "http://" + s.address})
	})
}

// jobName is what a label's value and a file of YAML take without ado.
var jobName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,63}$`)

// job is a target as Prometheus calls it.
type job struct {
	Name    string   `json:"job_name"`
	Targets []target `json:"static_configs"`
}

type target struct {
	Addresses []string `json:"targets"`
}

// configuration is the server's, for targets by job.
func configuration(targets map[string]string) ([]byte, error) {
	jobs := []job{}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		address := targets[name]
		host, port, err := net.SplitHostPort(address)
		if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || host == "" || n < 1 || n > 65535 || strings.ContainsAny(host, "/ ") {
			return nil, fmt.Errorf("setting %s: must be the target's host:port, not %q", name, address)
		}
		if !jobName.MatchString(name) {
			return nil, fmt.Errorf("setting %s: the name of a job must be of letters, digits, - and _", name)
		}
		jobs = append(jobs, job{Name: name, Targets: []target{{Addresses: []string{address}}}})
	}
	// YAML reads JSON.
	return json.MarshalIndent(map[string]any{
		"global":         map[string]string{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
		"scrape_configs": jobs,
	}, "", "  ")
}

func newServer(o storage.Options) (server, error) {
	dir, err := filepath.Abs(filepath.Join(o.Dir, "prometheus"))
	if err != nil {
		return server{}, err
	}
	address, err := o.FreeAddress()
	if err != nil {
		return server{}, err
	}
	return server{dir: dir, address: address}, nil
}

func (s server) file(name string) string { return filepath.Join(s.dir, name) }

func (s server) write(config []byte) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.file("prometheus.yml"), config, 0o644)
}

func (s server) command() *exec.Cmd {
	return exec.Command("prometheus",
		"--config.file="+s.file("prometheus.yml"),
		"--storage.tsdb.path="+s.file("data"),
		"--storage.tsdb.retention.time=2h",
		"--web.listen-address="+s.address,
		"--log.level=warn",
	)
}

// checkReady returns an error unless the server is ready for queries.
func (s server) checkReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/-/ready", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
