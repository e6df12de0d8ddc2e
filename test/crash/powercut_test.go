// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build powercut

package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// envCuts is how many cuts are made in all.
	envCuts = "KUDA_POWER_CUTS"
	// chain is how many times in a row the power fails: each time the disk that a cut
	// left is what the next process finds.
	chain = 3
	// mostLogged bounds what one process writes.
	mostLogged = 256 << 20
)

// mark is where in the log a phase began.
type mark struct {
	phase string
	at    int64
}

// Promise 5 for the machine: whatever a power cut leaves of the writes that were
// not flushed, there are only whole snapshots, a whole view of one version and a
// whole published directory, and the next process goes on.
func TestPromise5PowerCutsLeaveNoWrongByteAndLoseNothing(t *testing.T) {
	if text := os.Getenv(envAfter); text != "" {
		afterCut(t, text)
		return
	}
	cuts := int(setting(envCuts, 100))
	s := newServer(t, data{large: 6 << 20, files: 60})
	kinds := []string{"ext4", "xfs"}
	hits := map[string]int{}
	for _, kind := range kinds {
		image := filepath.Join(t.TempDir(), "image")
		newImage(t, image, kind)
		for link := range chain {
			image = cutOnce(t, s, kind, link, image, (cuts+len(kinds)*chain-1)/(len(kinds)*chain), hits)
		}
	}
	for _, kind := range kinds {
		image := filepath.Join(t.TempDir(), "image")
		newImage(t, image, kind)
		for link := range chain {
			image = cutFetches(t, s, kind, link, image, max(cuts/20, 2), hits)
		}
	}
	t.Logf("cuts: %v", hits)
	for _, phase := range phases {
		if cuts >= 100 && hits[phase] == 0 {
			t.Errorf("no cut hit %q", phase)
		}
	}
}

// cutOnce lets a process work on a disk, cuts the power that many times in
// hindsight, and returns one of the disks that were left.
func cutOnce(t *testing.T, s *server, kind string, link int, image string, cuts int, hits map[string]int) string {
	t.Helper()
	dir := t.TempDir()
	disk := mountLogged(t, image, dir)
	marks := runVictim(t, s, disk, victim{}, func(versions int) bool { return versions == 5 })
	disk.unmount(t)
	return cutInHindsight(t, s, hindsight{kind: kind, link: link, image: image, dir: dir, log: disk.log, cuts: cuts, hits: hits},
		choose(readLog(t, disk.log), marks, phases, cuts))
}

// wrongs are what the judge says of a disk on which something is wrong that an
// application could be served with.
var wrongs = []string{"the complete snapshot", "snapshots without a manifest", "the view at version", "the current tree"}

// The harness itself: what a process leaves that forgets flushes is found to be
// wrong, in the words of the judge and not because the file system is broken.
func TestPowerCutsFindThatFlushesAreMissing(t *testing.T) {
	for name, calls := range map[string][]int{"each flush": flushes, "the flush of a snapshot's files": {unix.SYS_SYNCFS}} {
		t.Run(name, func(t *testing.T) { findMissing(t, calls) })
	}
}

func findMissing(t *testing.T, calls []int) {
	s := newServer(t, data{large: 6 << 20, files: 60})
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	newImage(t, image, "ext4")
	// What is not flushed the file system writes by itself, its own part first; here
	// it need not be waited for.
	disk := mountLogged(t, image, dir, "-o", "commit=1")
	marks := runVictim(t, s, disk, victim{Forgets: calls}, func(versions int) bool {
		flushed := slices.DeleteFunc(readLog(t, disk.log), func(r record) bool { return !r.flush })
		return versions >= 5 && len(flushed) >= 6
	})
	disk.unmount(t)
	found, others := map[string]int{}, 0
	h := hindsight{kind: "ext4", image: image, dir: dir, log: disk.log, hits: map[string]int{}, wrong: func(name, what string) {
		for _, text := range wrongs {
			if strings.Contains(what, text) {
				found[text]++
				return
			}
		}
		others++
		t.Logf("%s: %s", name, what)
	}}
	cuts := max(int(setting(envCuts, 100))/5, 10)
	cutInHindsight(t, s, h, choose(readLog(t, disk.log), marks, phases, cuts))
	t.Logf("wrong: %v, and %d for another reason, of %v cuts", found, others, h.hits)
	if len(found) == 0 {
		t.Error("flushes were missing, and nothing was found to be wrong")
	}
}

// fetching is the one phase of a fetch.
const fetching = "fetching"

// cutFetches is cutOnce for processes that fetch a tree into a directory, whose
// source changes before each of them.
func cutFetches(t *testing.T, s *server, kind string, link int, image string, cuts int, hits map[string]int) string {
	t.Helper()
	dir := t.TempDir()
	disk := mountLogged(t, image, dir)
	var marks []mark
	for range 4 {
		s.now.Add(1)
		marks = append(marks, mark{fetching, disk.logged(t)})
		fetchOnto(t, s, disk)
	}
	marks = append(marks, mark{"over", disk.logged(t)})
	disk.unmount(t)
	chosen := choose(readLog(t, disk.log), marks, []string{fetching}, cuts)
	return cutInHindsight(t, s, hindsight{kind: kind, link: link, image: image, dir: dir, log: disk.log, cuts: cuts, hits: hits,
		publish: published}, chosen)
}

// published is the directory that is fetched into, on the disk.
const published = "data/published"

// fetchOnto lets a process fetch the source as it is now onto a disk.
func fetchOnto(t *testing.T, s *server, disk *loggedDisk) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(disk.mount, filepath.Dir(published)), 0o755); err != nil {
		t.Fatal(err)
	}
	l, _ := start(t, victim{URL: s.url, Publish: filepath.Join(disk.mount, published)})
	for line := range l.phases {
		if strings.HasPrefix(line, "failed") {
			t.Fatalf("fetching onto a good disk: %s", line)
		}
	}
	if err := l.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// hindsight is a log whose disk is to lose its power.
type hindsight struct {
	kind string
	link int
	// image is the disk before the log, dir for what is made of it.
	image, dir, log string
	cuts            int
	hits            map[string]int
	// publish is the directory that the processes fetched into, if that is what they did.
	publish string
	// wrong is told what is wrong with a disk that was left; nil for an error of the test.
	wrong func(name, what string)
}

// cutInHindsight cuts the power at each of those records, looks at what is left,
// and returns one of the disks.
func cutInHindsight(t *testing.T, s *server, h hindsight, cuts []cutAt) string {
	t.Helper()
	records := readLog(t, h.log)
	rolling := filepath.Join(h.dir, "rolling.img")
	copyImage(t, h.image, rolling)
	p := newReplay(t, records, h.log, rolling)
	next := filepath.Join(t.TempDir(), "next.img")
	chosen := rand.IntN(len(cuts))
	for i, c := range cuts {
		l, reboot := losses[rand.IntN(len(losses))], rand.IntN(2) == 0
		left := filepath.Join(h.dir, "left.img")
		p.cut(t, c.number, l, left)
		if i == chosen {
			copyImage(t, left, next)
		}
		h.hits[c.phase]++
		name := fmt.Sprintf("%s, cut %d of chain link %d, at record %d of %d (%s), %s, new boot %v", h.kind, i, h.link, c.number,
			len(records), c.phase, l, reboot)
		if h.publish != "" {
			s.now.Add(rand.Int64N(2)) // the source may have changed meanwhile
		}
		a := after{Image: left, Dir: h.dir, URL: s.url, Reboot: reboot, Publish: h.publish, Now: int(s.now.Load())}
		if out, err := a.check(); err != nil && h.wrong != nil {
			h.wrong(name, out)
		} else if err != nil {
			kept := filepath.Join(os.TempDir(), fmt.Sprintf("kuda-powercut-%s-%d-%d.img", h.kind, h.link, i))
			copyImage(t, left, kept)
			t.Errorf("%s: %v; the disk is kept as %s\n%s", name, err, kept, out)
		} else {
			t.Logf("%s: %s", name, summary(out))
		}
		if err := os.Remove(left); err != nil {
			t.Fatal(err)
		}
	}
	return next
}

// runVictim lets a victim bring versions until they are enough, and returns when which
// phase began.
func runVictim(t *testing.T, s *server, disk *loggedDisk, v victim, enough func(versions int) bool) (marks []mark) {
	t.Helper()
	v.Root, v.URL, v.Quota = filepath.Join(disk.mount, "store"), s.url, 64<<20
	l, _ := start(t, v)
	for versions := 0; !enough(versions) && disk.logged(t) < mostLogged; {
		line, ok := <-l.phases
		if !ok || strings.HasPrefix(line, "failed") {
			t.Fatalf("the victim ended by itself in %q: %s", l.last, line)
		}
		l.last = line
		marks = append(marks, mark{line, disk.logged(t)})
		if line == evicting {
			versions++
		}
	}
	l.kill(t)
	return marks
}

// cutAt is a cut before a record.
type cutAt struct {
	number int
	phase  string
}

// choose takes cuts from all phases alike, in the order of the log.
func choose(records []record, marks []mark, phases []string, cuts int) (chosen []cutAt) {
	windows := map[string][][2]int{}
	index := func(at int64) int {
		n, _ := slices.BinarySearchFunc(records, at, func(r record, at int64) int { return int(r.begins - at) })
		return n
	}
	for i, m := range marks[:len(marks)-1] {
		windows[m.phase] = append(windows[m.phase], [2]int{index(m.at), index(marks[i+1].at)})
	}
	for n := range cuts {
		phase := phases[n%len(phases)]
		all := windows[phase]
		if len(all) == 0 {
			continue
		}
		w := all[rand.IntN(len(all))]
		chosen = append(chosen, cutAt{w[0] + rand.IntN(max(w[1]-w[0], 1)), phase})
	}
	slices.SortFunc(chosen, func(a, b cutAt) int { return a.number - b.number })
	return chosen
}

// envAfter makes the test look at what a cut left, with what is in it as JSON.
const envAfter = "KUDA_CRASH_AFTER"

// after is what the process after a cut is told.
type after struct {
	// Image is the disk, Dir a directory for the process.
	Image, Dir string
	URL        string
	// Reboot says that the machine has started again.
	Reboot bool
	// Publish is the directory that was fetched into, on the disk, and Now the
	// version that its source is at; empty for a store and a view.
	Publish string
	Now     int
}

// check looks at what a cut left, in a process with mounts of its own.
func (a after) check() (string, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestPromise5PowerCuts", "-test.v")
	cmd.Env = append(os.Environ(), envAfter+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// summary is what the process after a cut said at its end.
func summary(out string) string {
	_, text, _ := strings.Cut(out, "left: ")
	line, _, _ := strings.Cut(text, "\n")
	return line
}
