// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"os/exec"
	"strings"

	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// S3 calls clients for one server.
type S3 struct {
	// URL of the server, or of the meter before it.
	URL string
	// Key is an object, or a prefix with the slash at its end.
	Key string
}

func (s S3) tree() bool { return strings.HasSuffix(s.Key, "/") }

func (s S3) uri() string { return "s3://" + server.Bucket + "/" + s.Key }

func (s S3) env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + server.SecretKey,
		"AWS_REGION=" + server.Region, "AWS_DEFAULT_REGION=" + server.Region,
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true"}
}

// named tells the settings apart.
func named(name string, flags []string) (string, bool) {
	if len(flags) == 0 {
		return name, false
	}
	return name + ", tuned", true
}

// Kuda is kuda-runtime fetch.
func (s S3) Kuda(binary string) Client {
	return Client{Name: "kuda", Kind: Ours, Command: func(p Place) *exec.Cmd {
		return command(s.env(), binary, "fetch", s.uri(), p.Out(), "--endpoint", s.URL, "--path-style")
	}}
}

// S5cmd copies; general flags come before the command, the others after.
func (s S3) S5cmd(binary string, general, flags []string) Client {
	return s.s5cmd(binary, []string{"cp"}, general, flags)
}

// S5cmdSync brings a directory up to date, deletions included.
func (s S3) S5cmdSync(binary string, general, flags []string) Client {
	return s.s5cmd(binary, []string{"sync", "--delete"}, general, flags)
}

func (s S3) s5cmd(binary string, verb, general, flags []string) Client {
	name, tuned := named("s5cmd", append(append([]string{}, general...), flags...))
	return Client{Name: name, Kind: Peer, Tuned: tuned, Command: func(p Place) *exec.Cmd {
		args := append([]string{"--endpoint-url", s.URL}, general...)
		args = append(append(args, verb...), flags...)
		from := s.uri()
		if s.tree() {
			from += "*"
		}
		return command(s.env(), binary, append(args, from, p.Out()+"/")...)
	}}
}

// Rclone copies.
func (s S3) Rclone(binary string, flags ...string) Client {
	verb := "copyto"
	if s.tree() {
		verb = "copy"
	}
	return s.rclone(binary, verb, flags)
}

// RcloneSync brings a directory up to date.
func (s S3) RcloneSync(binary string, flags ...string) Client { return s.rclone(binary, "sync", flags) }

func (s S3) rclone(binary, verb string, flags []string) Client {
	name, tuned := named("rclone", flags)
	env := append(s.env(), "RCLONE_CONFIG=/dev/null", "RCLONE_S3_PROVIDER=Minio", "RCLONE_S3_ENV_AUTH=true",
		"RCLONE_S3_ENDPOINT="+s.URL, "RCLONE_S3_REGION="+server.Region)
	return Client{Name: name, Kind: Peer, Tuned: tuned, Command: func(p Place) *exec.Cmd {
		to := p.Out()
		if verb == "copyto" {
			to += "/" + s.Key[strings.LastIndexByte(s.Key, '/')+1:]
		}
		args := append([]string{verb}, flags...)
		return command(env, binary, append(args, ":s3:"+server.Bucket+"/"+s.Key, to)...)
	}}
}

// MC copies; with mirror it uses the command for trees that copies in parallel.
func (s S3) MC(binary string, mirror bool) Client {
	verb, name := []string{"cp"}, "mc"
	switch {
	case mirror:
		verb, name = []string{"mirror"}, "mc, tuned"
	case s.tree():
		verb = []string{"cp", "--recursive"}
	}
	host := strings.Replace(s.URL, "://", "://"+server.AccessKey+":"+server.SecretKey+"@", 1)
	return Client{Name: name, Kind: Peer, Tuned: mirror, Command: func(p Place) *exec.Cmd {
		args := append([]string{"--config-dir", p.State(), "--quiet"}, verb...)
		return command([]string{"MC_HOST_s=" + host}, binary, append(args, "s/"+server.Bucket+"/"+s.Key, p.Out()+"/")...)
	}}
}

// AWSCRT downloads an object with the AWS common runtime; dir is the Python
// tool's.
func (s S3) AWSCRT(dir string, tuned bool) Client {
	name, mode := "aws-crt", "default"
	if tuned {
		name, mode = "aws-crt, tuned", "tuned"
	}
	return Client{Name: name, Kind: Peer, Tuned: tuned, Command: func(p Place) *exec.Cmd {
		file := p.Out() + "/" + s.Key[strings.LastIndexByte(s.Key, '/')+1:]
		return command(s.env(), dir+"/bin/python", dir+"/aws_crt.py", mode, s.URL, server.Bucket, s.Key, file)
	}}
}
