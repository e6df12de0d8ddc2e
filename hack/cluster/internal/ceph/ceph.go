// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceph

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/kuda-io/kuda/hack/cluster/internal/bucket"
	"github.com/kuda-io/kuda/hack/cluster/internal/freeport"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// Run is a storage.Run. Its settings are accessKey, secretKey and bucket.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	l, err := newLayout(o)
	if err != nil {
		return err
	}
	e, err := bucket.Parse(o.Settings, l.s3)
	if err != nil {
		return err
	}
	if err := l.write(); err != nil {
		return fmt.Errorf("preparing Ceph: %w", err)
	}
	return bucket.Serve(ctx, o, e, ready, func(ctx context.Context, p *storage.Processes, e *bucket.Endpoints) error {
		if err := l.start(ctx, p, *e); err != nil {
			return fmt.Errorf("starting Ceph: %w", err)
		}
		return nil
	})
}

func newLayout(o storage.Options) (layout, error) {
	dir, err := filepath.Abs(filepath.Join(o.Dir, "ceph"))
	if err != nil {
		return layout{}, fmt.Errorf("preparing Ceph: %w", err)
	}
	monPort, err := freeport.Pick(loopback)
	if err != nil {
		return layout{}, fmt.Errorf("preparing Ceph: %w", err)
	}
	s3, err := o.FreeAddress()
	if err != nil {
		return layout{}, fmt.Errorf("preparing Ceph: %w", err)
	}
	return layout{dir: dir, fsid: newUUID(), monPort: monPort, s3: s3}, nil
}

// start starts the programs in the order in which they need each other.
func (l layout) start(ctx context.Context, processes *storage.Processes, e bucket.Endpoints) error {
	ctx, cancel := context.WithTimeout(ctx, bucket.StartLimit)
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
				"--access-key="+e.AccessKey, "--secret-key="+e.SecretKey)
		},
		func() error { return processes.Start("radosgw", l.command("radosgw", "-n", rgwName, "-f")) },
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
