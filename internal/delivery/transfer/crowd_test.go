// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

// envChildCrowd makes the child of the tests deliver, or only plan, a crowd:
// "<files> <version> deliver" or "… plan".
const envChildCrowd = "KUDA_TEST_CHILD_CROWD"

// crowd is a source of many small files. It holds nothing in memory: what it lists
// and delivers follows from a file's number. Every hundredth file differs from
// version to version.
type crowd struct {
	files   int
	version string
}

func (c *crowd) Identity() string { return "crowd://bucket" }
func (c *crowd) Close() error     { return nil }

func (c *crowd) content(i int) []byte {
	if i%100 == 0 {
		return fmt.Appendf(nil, "%d of version %s\n", i, c.version)
	}
	return fmt.Appendf(nil, "%d\n", i)
}

func (c *crowd) List(_ context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		for i := range c.files {
			content := c.content(i)
			sum := md5.Sum(content)
			name := fmt.Sprintf("class-%04d/image-%08d.jpeg", i/500, i)
			if !yield(source.Entry{Path: name, Key: path + "/" + name, Size: int64(len(content)),
				Identity: source.Identity(fmt.Sprintf("%q", fmt.Sprintf("%x", sum))), Checksum: fmt.Sprintf("md5:%x", sum)}, nil) {
				return
			}
		}
	}
}

func (c *crowd) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	number := e.Path[strings.LastIndexByte(e.Path, '-')+1:]
	i, err := strconv.Atoi(strings.TrimSuffix(number, ".jpeg"))
	if err != nil {
		return nil, err
	}
	body := io.NopCloser(bytes.NewReader(c.content(i)[offset : offset+length]))
	return source.NewReader(ctx, "reading "+e.Key, body, length), nil
}

// crowdChild delivers or plans a crowd as the runtime does, within the memory that
// the runtime tries to stay in, and tells the digest, the bytes that came or would,
// and how much memory the process had at most.
func crowdChild(root, what string) error {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(48 << 20)
	c, job := &crowd{}, ""
	if _, err := fmt.Sscan(what, &c.files, &c.version, &job); err != nil {
		return err
	}
	s, err := store.Open(store.Options{Root: root})
	if err != nil {
		return err
	}
	key := snapshot.Key{Source: c.Identity(), Path: "data", Version: c.version}
	r := NewRequest(c, key, func(p Progress) { fmt.Println("progress", p.Done) })
	engine := New(Options{Store: s})
	var did crowdResult
	if job == "plan" {
		did, err = planCrowd(engine, r)
	} else {
		var result *Result
		if result, err = engine.Deliver(context.Background(), r); err == nil {
			did = crowdResult{digest: result.Lease.Digest(), received: result.Received, reused: result.Reused}
		}
	}
	if err != nil {
		return err
	}
	did.peak, err = peakOf(os.Getpid())
	fmt.Println("delivered", did.digest, did.received, did.reused, did.peak)
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the parent closes it
	return err
}

// planCrowd plans a delivery, of which there is no digest.
func planCrowd(engine *Engine, r Request) (did crowdResult, err error) {
	did.digest = "none"
	err = engine.Plan(context.Background(), r, func(p Planned) {
		if p.Here {
			did.reused += p.Size
		} else {
			did.received += p.Size
		}
	})
	return did, err
}

// peakOf is the most memory that a process ever had, in bytes.
func peakOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, err = fmt.Sscan(rest, &kib)
	return kib << 10, err
}

// crowdResult is what a child tells of its delivery.
type crowdResult struct {
	digest           string
	received, reused int64
	peak             int64
}

func startCrowd(t *testing.T, root string, files int, version, job string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	t.Setenv(envChildCrowd, fmt.Sprintf("%d %s %s", files, version, job))
	return startChild(t, root, "")
}

// deliverCrowd runs a child to its end.
func deliverCrowd(t *testing.T, root string, files int, version string) crowdResult {
	t.Helper()
	return runCrowd(t, root, files, version, "deliver")
}

func runCrowd(t *testing.T, root string, files int, version, job string) crowdResult {
	t.Helper()
	cmd, out := startCrowd(t, root, files, version, job)
	var r crowdResult
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatalf("the delivery ended early: %v", err)
		}
		if !strings.HasPrefix(line, "delivered") {
			continue
		}
		if _, err := fmt.Sscanf(line, "delivered %s %d %d %d", &r.digest, &r.received, &r.reused, &r.peak); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return r
	}
}

// killCrowd kills a child when it has delivered half of the files' bytes.
func killCrowd(t *testing.T, root string, files int, version string) {
	t.Helper()
	c := &crowd{files: files, version: version}
	var half int64
	for i := range files / 2 {
		half += int64(len(c.content(i)))
	}
	cmd, out := startCrowd(t, root, files, version, "deliver")
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatalf("the delivery ended early: %v", err)
		}
		var done int64
		if _, err := fmt.Sscanf(line, "progress %d", &done); err == nil && done >= half {
			break
		}
		if strings.HasPrefix(line, "delivered") {
			t.Fatal("the delivery was quicker than its death")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}
