// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cachingproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// startLimit is how long a start may take; less than a second is usual.
const startLimit = time.Minute

// Endpoints is what a client needs to know.
type Endpoints struct {
	// URL of the proxy: http://host:port.
	URL string `json:"url"`
	// Log has a line for each request: the status, whether it was a HIT or a MISS,
	// the method, the URL, and the bytes.
	Log string `json:"log"`
	// Dir is where the cached bytes are.
	Dir string `json:"dir"`
	PID int    `json:"pid"`
}

const configuration = `daemon off;
%[5]spid %[1]s/nginx.pid;
error_log stderr error;
worker_processes 1;
events { worker_connections 512; }
http {
  log_format kuda '$status $upstream_cache_status $request_method $host$uri $body_bytes_sent';
  access_log %[3]s kuda;
  client_body_temp_path %[1]s/body;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  proxy_temp_path %[1]s/proxy;
  proxy_cache_path %[2]s levels=2 keys_zone=kuda:16m max_size=%[6]d inactive=7d use_temp_path=off;
  server {
    listen %[4]s;
    location / {
      slice 1m;
      proxy_pass http://$http_host$request_uri;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_set_header Range $slice_range;
      proxy_set_header If-Match "";
      proxy_cache kuda;
      proxy_cache_key $host$uri$slice_range;
      proxy_cache_valid 200 206 7d;
      proxy_cache_lock on;
      proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
    }
  }
}
`

// Run is a storage.Run.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	size := int64(1 << 30)
	for name, value := range o.Settings {
		var err error
		if name != "cache-size" {
			return fmt.Errorf("nginx has no setting %q", name)
		}
		if size, err = strconv.ParseInt(value, 10, 64); err != nil {
			return fmt.Errorf("reading the setting cache-size: %w", err)
		}
	}
	if o.Content != "" {
		return errors.New("a proxy has no content of its own; leave out --content")
	}
	address, err := o.FreeAddress()
	if err != nil {
		return fmt.Errorf("starting nginx: %w", err)
	}
	dir, err := filepath.Abs(filepath.Join(o.Dir, "nginx"))
	if err != nil {
		return err
	}
	e := Endpoints{URL: "http://" + address, Log: filepath.Join(dir, "access.log"), Dir: filepath.Join(dir, "cache")}
	config := filepath.Join(dir, "nginx.conf")
	as, err := workerLine()
	if err == nil {
		err = os.MkdirAll(e.Dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(config, fmt.Appendf(nil, configuration, dir, e.Dir, e.Log, address, as, size), 0o644)
	}
	if err != nil {
		return fmt.Errorf("preparing nginx: %w", err)
	}
	return storage.Serve(ctx, o.Dir, func(ctx context.Context, p *storage.Processes) error {
		cmd := exec.Command("/usr/sbin/nginx", "-c", config, "-p", dir)
		if err := p.Start("nginx", cmd); err != nil {
			return fmt.Errorf("%w; run 'kuda-cluster build --storage' as root, which installs it", err)
		}
		e.PID = cmd.Process.Pid
		err := poll.Until(ctx, startLimit, func(ctx context.Context) error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return conn.Close()
		})
		if err != nil {
			return fmt.Errorf("waiting for nginx: %w", err)
		}
		return ready(e)
	})
}

// workerLine has the workers run as who runs this program, which made the directories.
func workerLine() (string, error) {
	if os.Geteuid() != 0 {
		return "", nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("finding the user: %w", err)
	}
	return "user " + u.Username + ";\n", nil
}
