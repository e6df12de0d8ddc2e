// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/test/bench/internal/process"
)

// HDFS is a namenode and a datanode.
type HDFS struct {
	*process.Process
	// Addresses of the namenodes, host:port.
	Addresses []string `json:"addresses"`
	// User owns the files.
	User string `json:"user"`
	// Classpath of Hadoop's own client, of the server's version.
	Classpath string `json:"-"`

	input io.Closer
}

// StartHDFS starts one with blocks of 128 MiB and one datanode, that has the
// files of a directory in its root.
func StartHDFS(ctx context.Context, cluster, dir, content string) (*HDFS, error) {
	cmd := exec.Command(cluster, "storage", "run", "hdfs", "--dir", filepath.Join(dir, "data"), "--content", content,
		"--set", "datanodes=1", "--set", "replication=1", "--set", "block-size=134217728")
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd.Stdout = write
	p, err := process.Start(dir, "hdfs", cmd)
	write.Close()
	if err != nil {
		return nil, err
	}
	h := &HDFS{Process: p, input: input}
	stop := context.AfterFunc(ctx, func() { input.Close() }) // it ends, and so does the line below
	defer stop()
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err != nil {
		h.Stop()
		return nil, fmt.Errorf("starting HDFS: %w: %s", err, p.Tail())
	}
	if err := json.Unmarshal(line, h); err != nil {
		h.Stop()
		return nil, fmt.Errorf("reading what HDFS says of itself: %w", err)
	}
	if h.Classpath, err = clientClasspath(p.PID(), filepath.Join(dir, "conf")); err != nil {
		h.Stop()
		return nil, err
	}
	return h, nil
}

// Stop ends the servers; the program that runs them cleans up after them.
func (h *HDFS) Stop() {
	h.input.Close()
	h.Process.Stop()
}

// clientClasspath is what a client has of the server's jars, and a directory with
// a configuration that says nothing, without which the client does not start.
func clientClasspath(server int, conf string) (string, error) {
	all, err := classpath(server)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(conf, "core-site.xml"), []byte("<configuration/>\n"), 0o644); err != nil {
		return "", err
	}
	parts := []string{conf}
	for _, name := range []string{"hadoop-client-api-*.jar", "hadoop-client-runtime-*.jar", "commons-logging-*.jar", "slf4j-*.jar"} {
		jars, err := filepath.Glob(filepath.Join(strings.TrimSuffix(all, "*"), name))
		if err != nil || len(jars) == 0 {
			return "", fmt.Errorf("finding Hadoop's own client: %s has no %s", all, name)
		}
		parts = append(parts, jars...)
	}
	return strings.Join(parts, ":"), nil
}

// classpath returns that of the Java process which another one started.
func classpath(parent int) (string, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return "", err
	}
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that ended
		}
		for _, child := range strings.Fields(string(children)) {
			line, err := os.ReadFile(filepath.Join("/proc", child, "cmdline"))
			if err != nil {
				continue // a process that ended
			}
			args := strings.Split(string(line), "\x00")
			for i, arg := range args[:len(args)-1] {
				if arg == "-cp" {
					return args[i+1], nil
				}
			}
		}
	}
	return "", fmt.Errorf("finding Hadoop's own client: process %d runs no Java with a classpath", parent)
}
