// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/test/bench/internal/process"
)

// Files is a server of plain files.
type Files struct {
	*process.Process
	// Addr is its host:port.
	Addr string
}

const nginxConf = `daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
%[4]s
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  server { listen %[2]s; root %[3]s; }
}
`

// Nginx starts an nginx that serves the files below root with sendfile.
func Nginx(ctx context.Context, binary, dir, root string) (*Files, error) {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // the files need not be readable by others
	}
	return startFiles(ctx, dir, func(addr, conf string) (*exec.Cmd, string) {
		return exec.Command(binary, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log")),
			fmt.Sprintf(nginxConf, dir, addr, root, user)
	})
}

const rsyncConf = `use chroot = no
reverse lookup = no
pid file = %[1]s/rsyncd.pid
log file = %[1]s/rsyncd.log
[bench]
path = %[2]s
read only = yes
uid = %[3]d
gid = %[4]d
`

// Rsync starts an rsync daemon whose module "bench" is root.
func Rsync(ctx context.Context, binary, dir, root string) (*Files, error) {
	return startFiles(ctx, dir, func(addr, conf string) (*exec.Cmd, string) {
		host, port, _ := strings.Cut(addr, ":")
		return exec.Command(binary, "--daemon", "--no-detach", "--config="+conf, "--address="+host, "--port="+port),
			fmt.Sprintf(rsyncConf, dir, root, os.Geteuid(), os.Getegid())
	})
}

// startFiles writes the configuration, starts the server, and waits until it
// takes connections.
func startFiles(ctx context.Context, dir string, command func(addr, conf string) (*exec.Cmd, string)) (*Files, error) {
	addr, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "server.conf")
	cmd, text := command(addr, conf)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := process.Start(dir, "server", cmd)
	if err != nil {
		return nil, err
	}
	if err := p.Await(ctx, process.Accepts(addr)); err != nil {
		return nil, err
	}
	return &Files{Process: p, Addr: addr}, nil
}
