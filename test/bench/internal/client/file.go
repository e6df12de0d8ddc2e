// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"os/exec"
	"path"
	"strings"
)

// HTTP calls clients for one file on a web server, by its URL.
type HTTP struct{ URL string }

// Kuda is kuda-runtime fetch.
func (h HTTP) Kuda(binary string) Client {
	return Client{Name: "kuda", Kind: Ours, Command: func(p Place) *exec.Cmd {
		return command(nil, binary, "fetch", h.URL, p.Out())
	}}
}

// Curl downloads over one connection.
func (h HTTP) Curl(binary string) Client {
	return Client{Name: "curl", Kind: Peer, Command: func(p Place) *exec.Cmd {
		return command(nil, binary, "--fail", "--silent", "--show-error", "--output-dir", p.Out(), "--remote-name", h.URL)
	}}
}

// CurlTo downloads over one connection into a file of that name.
func (h HTTP) CurlTo(binary, name string) Client {
	return Client{Name: "curl", Kind: Peer, Command: func(p Place) *exec.Cmd {
		return command(nil, binary, "--fail", "--silent", "--show-error", "--output", p.Out()+"/"+name, h.URL)
	}}
}

// Aria2 downloads over several connections, if flags say so.
func (h HTTP) Aria2(binary string, flags ...string) Client {
	name, tuned := named("aria2", flags)
	return Client{Name: name, Kind: Peer, Tuned: tuned, Command: func(p Place) *exec.Cmd {
		args := append([]string{"--no-conf", "--quiet", "--dir", p.Out()}, flags...)
		return command(nil, binary, append(args, h.URL)...)
	}}
}

// Rclone copies from a web server.
func (h HTTP) Rclone(binary string, flags ...string) Client {
	name, tuned := named("rclone", flags)
	root, file := h.URL[:strings.LastIndexByte(h.URL, '/')], path.Base(h.URL)
	env := []string{"RCLONE_CONFIG=/dev/null", "RCLONE_HTTP_URL=" + root}
	return Client{Name: name, Kind: Peer, Tuned: tuned, Command: func(p Place) *exec.Cmd {
		args := append([]string{"copyto"}, flags...)
		return command(env, binary, append(args, ":http:"+file, p.Out()+"/"+file)...)
	}}
}

// Rsync brings a directory up to date from a daemon, rsync://host:port/module/dir/.
func Rsync(binary, from string, flags ...string) Client {
	name, tuned := named("rsync", flags)
	return Client{Name: name, Kind: Peer, Tuned: tuned, Command: func(p Place) *exec.Cmd {
		args := append([]string{"--archive", "--delete"}, flags...)
		return command(nil, binary, append(args, from, p.Out()+"/")...)
	}}
}

// HDFS calls clients for one file on an HDFS.
type HDFS struct {
	// Address of the namenode, host:port.
	Address string
	User    string
	// Path is absolute.
	Path string
}

func (h HDFS) env() []string {
	return []string{"HADOOP_USER_NAME=" + h.User, "HADOOP_NAMENODE=" + h.Address, "HADOOP_CONF_DIR=/nonexistent"}
}

// Kuda is kuda-runtime fetch.
func (h HDFS) Kuda(binary string) Client {
	return Client{Name: "kuda", Kind: Ours, Command: func(p Place) *exec.Cmd {
		return command(h.env(), binary, "fetch", "hdfs://"+h.Address+h.Path, p.Out())
	}}
}

// Colinmarc is the command of colinmarc's library.
func (h HDFS) Colinmarc(binary string) Client {
	return Client{Name: "colinmarc", Kind: Peer, Command: func(p Place) *exec.Cmd {
		return command(h.env(), binary, "get", h.Path, p.Out()+"/"+path.Base(h.Path))
	}}
}

// DFS is "hdfs dfs -get".
func (h HDFS) DFS(classpath string) Client {
	return h.shell("hdfs dfs -get", classpath, func(p Place) []string { return []string{"-get", h.Path, p.Out() + "/"} })
}

// DFSStart is what of DFS is its start: it asks whether the file is there.
func (h HDFS) DFSStart(classpath string) Client {
	c := h.shell("hdfs dfs -test", classpath, func(Place) []string { return []string{"-test", "-e", h.Path} })
	c.Partial = true
	return c
}

func (h HDFS) shell(name, classpath string, args func(Place) []string) Client {
	return Client{Name: name, Kind: Peer, Command: func(p Place) *exec.Cmd {
		all := []string{"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath, "org.apache.hadoop.fs.FsShell", "-fs",
			"hdfs://" + h.Address}
		return command(h.env(), "java", append(all, args(p)...)...)
	}}
}

// Native is hdfs-native; dir is the Python tool's.
func (h HDFS) Native(dir string) Client {
	return Client{Name: "hdfs-native", Kind: Peer, Command: func(p Place) *exec.Cmd {
		return command(h.env(), dir+"/bin/hdfsn", "get", "hdfs://"+h.Address+h.Path, p.Out()+"/")
	}}
}
