// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build powercut

package crash

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// diskBytes is the size of a disk; XFS wants 300 MiB.
const diskBytes = 320 << 20

// sector is what a disk writes whole, whatever happens.
const sector = 512

// command runs a program of the system.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// newImage makes an image with an empty file system.
func newImage(t *testing.T, path, kind string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, diskBytes); err != nil {
		t.Fatal(err)
	}
	flags := map[string][]string{"ext4": {"-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"}, "xfs": {"-q", "-K"}}[kind]
	command(t, "mkfs."+kind, append(flags, path)...)
}

func copyImage(t *testing.T, from, to string) {
	t.Helper()
	command(t, "cp", "--sparse=always", from, to)
}

// loggedDisk is a mounted file system whose disk logs what is written to it.
type loggedDisk struct {
	// log is the path of the log, mount that of the file system.
	log, mount string
	fuse, loop string
	server     *exec.Cmd
}

// mountLogged mounts a copy of the image.
func mountLogged(t *testing.T, image, dir string, options ...string) *loggedDisk {
	t.Helper()
	d := &loggedDisk{log: filepath.Join(dir, "log"), mount: filepath.Join(dir, "mount"), fuse: filepath.Join(dir, "fuse")}
	for _, path := range []string{d.mount, d.fuse} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	current := filepath.Join(dir, "current.img")
	copyImage(t, image, current)
	d.server = exec.Command(logdisk(t), current, d.log, d.fuse)
	d.server.Stderr = os.Stderr
	out, err := d.server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.unmount(t) })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the logging disk does not start: %q, %v", line, err)
	}
	d.loop = command(t, "losetup", "--find", "--show", filepath.Join(d.fuse, "disk"))
	command(t, "mount", slices.Concat(options, []string{d.loop, d.mount})...)
	return d
}

// logdisk is the program of hack/logdisk.
func logdisk(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KUDA_TEST_LOGDISK")
	if path == "" {
		t.Fatal("KUDA_TEST_LOGDISK does not name the program of hack/logdisk: run make powercut")
	}
	return path
}

// unmount takes the disk down; a second time it does nothing.
func (d *loggedDisk) unmount(t *testing.T) {
	t.Helper()
	if d.server == nil {
		return
	}
	for _, c := range [][]string{{"umount", d.mount}, {"losetup", "--detach", d.loop}, {"umount", d.fuse}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v, %s", strings.Join(c, " "), err, out)
			_ = d.server.Process.Kill()
		}
	}
	if err := d.server.Wait(); err != nil {
		t.Error(err)
	}
	d.server = nil
}

// logged is how many bytes the log has.
func (d *loggedDisk) logged(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(d.log)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// record is one write or flush of a log.
type record struct {
	// begins is where the record is in the log, length how many bytes of data follow its header.
	begins, offset, length int64
	flush                  bool
}

// headerBytes is the length of a record's header; hack/logdisk says what is in it.
const headerBytes = 17

// readLog lists the records of a log.
func readLog(t *testing.T, path string) (records []record) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var header [headerBytes]byte
	for at := int64(0); ; {
		if _, err := f.ReadAt(header[:], at); errors.Is(err, io.EOF) {
			return records
		} else if err != nil {
			t.Fatal(err)
		}
		r := record{begins: at, offset: int64(binary.BigEndian.Uint64(header[1:])), length: int64(binary.BigEndian.Uint64(header[9:])),
			flush: header[0] == 'F'}
		records = append(records, r)
		at += headerBytes + r.length
	}
}

// loss is what a cut does to the writes that no flush came after.
type loss string

// The losses. A disk may keep any of those writes, in any order, and of the one it
// was at only the first sectors.
const (
	lostNothing loss = "nothing lost"
	lostCache   loss = "cache lost"
	lostSome    loss = "some writes lost"
	lostTorn    loss = "some writes lost, one torn"
)

var losses = []loss{lostNothing, lostCache, lostSome, lostTorn}

// replay applies the records of a log to an image.
type replay struct {
	log, image *os.File
	records    []record
	// applied is how many of them the image has.
	applied int
}

func newReplay(t *testing.T, records []record, log, image string) *replay {
	t.Helper()
	l, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	i, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return &replay{log: l, image: i, records: records}
}

// write applies a record, or its first bytes, to an image.
func (p *replay) write(to *os.File, r record, length int64) error {
	if r.flush {
		return nil
	}
	data := make([]byte, length)
	if _, err := p.log.ReadAt(data, r.begins+headerBytes); err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	_, err := to.WriteAt(data, r.offset)
	return err
}

// cut makes at path the image that a cut before record number n leaves. Cuts are
// made in the order of their numbers.
func (p *replay) cut(t *testing.T, n int, l loss, path string) {
	t.Helper()
	durable := n
	for durable > 0 && !p.records[durable-1].flush {
		durable--
	}
	for ; p.applied < durable; p.applied++ {
		if err := p.write(p.image, p.records[p.applied], p.records[p.applied].length); err != nil {
			t.Fatal(err)
		}
	}
	copyImage(t, p.image.Name(), path)
	to, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	cached := p.records[durable:n]
	tear := -1
	if l == lostTorn && len(cached) > 0 {
		tear = rand.IntN(len(cached))
	}
	for i, r := range cached {
		length := r.length
		switch {
		case l == lostCache, (l == lostSome || l == lostTorn) && i != tear && rand.IntN(2) == 0:
			continue
		case i == tear && r.length > sector:
			length = sector * (1 + rand.Int64N(r.length/sector))
		}
		if err := p.write(to, r, min(length, r.length)); err != nil {
			t.Fatal(err)
		}
	}
}
