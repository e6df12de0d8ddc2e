// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceph

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// startLimit is how long a start may take; some seconds is usual.
const startLimit = 3 * time.Minute

// Endpoints is what a client needs to know.
type Endpoints struct {
	// Endpoint is http://host:port. Buckets are in the path.
	Endpoint  string `json:"endpoint"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
	Region    string `json:"region"`
	Bucket    string `json:"bucket"`
}

// region is what clients sign with; RGW takes any.
const region = "us-east-1"

// Run is a storage.Run. Its settings are accessKey, secretKey and bucket.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	user, err := parseSettings(o.Settings)
	if err != nil {
		return err
	}
	l, err := newLayout(o)
	if err != nil {
		return err
	}
	if err := l.write(); err != nil {
		return fmt.Errorf("preparing Ceph: %w", err)
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
	if err := l.start(running, processes, user, o.Content); err != nil {
		return fmt.Errorf("starting Ceph: %w", reason(ctx, running, err))
	}
	err = ready(Endpoints{
		Endpoint: "http://" + l.s3, AccessKey: user.accessKey, SecretKey: user.secretKey, Region: region, Bucket: user.bucket,
	})
	if err != nil {
		return err
	}
	<-running.Done()
	return reason(ctx, running, nil)
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

func newLayout(o storage.Options) (layout, error) {
	dir, err := filepath.Abs(filepath.Join(o.Dir, "ceph"))
	if err != nil {
		return layout{}, fmt.Errorf("preparing Ceph: %w", err)
	}
	_, monPort, err := freePort(loopback)
	if err != nil {
		return layout{}, fmt.Errorf("preparing Ceph: %w", err)
	}
	s3, _, err := freePort(o.Address)
	if err != nil {
		return layout{}, fmt.Errorf("preparing Ceph: %w; give an --address of this machine", err)
	}
	return layout{dir: dir, fsid: newUUID(), monPort: monPort, s3: s3}, nil
}

func freePort(address string) (hostPort string, port int, err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "", 0, err
	}
	defer l.Close()
	return l.Addr().String(), l.Addr().(*net.TCPAddr).Port, nil
}

// start starts the programs in the order in which they need each other.
func (l layout) start(ctx context.Context, processes *storage.Processes, user userSettings, content string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	osd := newUUID()
	for _, step := range []func() error{
		func() error {
			return l.run(ctx, "monmaptool", "--create", "--fsid", l.fsid, "--addv", "a", "["+l.monAddress()+"]", l.monmap())
		},
		func() error {
			return l.run(ctx, "ceph-mon", "-i", "a", "--mkfs", "--monmap", l.monmap(), "--keyring", l.keyring())
		},
		func() error { return processes.Start("ceph-mon", l.command("ceph-mon", "-i", "a", "-f")) },
		func() error {
			return l.run(ctx, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "--no-mon-config")
		},
		// The first that needs the monitor, and waits for it.
		func() error { return l.run(ctx, "ceph", "-n", adminName, "osd", "new", osd, "0") },
		func() error { return processes.Start("ceph-osd", l.command("ceph-osd", "-i", "0", "-f")) },
		// It waits for the OSD, and makes the gateway's pools.
		func() error {
			return l.run(ctx, "radosgw-admin", "-n", rgwName, "user", "create", "--uid=kuda", "--display-name=Kuda",
				"--access-key="+user.accessKey, "--secret-key="+user.secretKey)
		},
		func() error { return processes.Start("radosgw", l.command("radosgw", "-n", rgwName, "-f")) },
		func() error { return fill(ctx, l.s3, user, content) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (l layout) command(name string, args ...string) *exec.Cmd {
	return l.withEnvironment(exec.Command(name, append([]string{"--conf=" + l.conf()}, args...)...))
}

// withEnvironment keeps settings of the user's own Ceph away.
func (l layout) withEnvironment(cmd *exec.Cmd) *exec.Cmd {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "CEPH_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	return cmd
}

// run runs a program to its end. It dies with this process.
func (l layout) run(ctx context.Context, name string, args ...string) error {
	if name != "monmaptool" {
		args = append([]string{"--conf=" + l.conf()}, args...)
	}
	cmd := l.withEnvironment(exec.CommandContext(ctx, name, args...))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The death signal is sent when the thread ends that started the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: run 'kuda-cluster build --storage' as root, which installs it", err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, tail(output.String()))
	}
	return nil
}

// tail is the end of a program's output, where it says what it did not like.
func tail(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "\n")
}
