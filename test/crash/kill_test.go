//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bufio"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/view"
)

// What a run is made of; "make crash" sets more.
const (
	envKills = "KUDA_CRASH_KILLS"
	envBytes = "KUDA_CRASH_BYTES"
	envFiles = "KUDA_CRASH_FILES"
)

func setting(name string, fallback int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return fallback
}

// patience is how long a victim may take to get to a phase.
const patience = 2 * time.Minute

// life is a running victim.
type life struct {
	cmd    *exec.Cmd
	phases chan string // closed when the victim is dead
	last   string      // the phase it is, or was, in
}

func start(t *testing.T, v victim) (*life, io.WriteCloser) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envVictim+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &life{cmd: cmd, phases: make(chan string, 1<<12)}
	go func() {
		defer close(l.phases)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			l.phases <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return l, in
}

// reach waits for the victim to begin a phase.
func (l *life) reach(t *testing.T, phase string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-l.phases:
			if !ok || strings.HasPrefix(line, "failed") {
				t.Fatalf("the victim ended by itself in %q: %s", l.last, line)
			}
			l.last = line
			if line == phase {
				return
			}
		case <-deadline:
			t.Fatalf("the victim never came to %q; it is in %q", phase, l.last)
		}
	}
}

// kill ends the victim, and returns the phase that it died in.
func (l *life) kill(t *testing.T) string {
	t.Helper()
	if err := l.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for line := range l.phases {
		if strings.HasPrefix(line, "failed") {
			t.Fatalf("the victim ended by itself in %q: %s", l.last, line)
		}
		l.last = line
	}
	_ = l.cmd.Wait() // it was killed
	return l.last
}

// strike lets a victim live until some moment of a phase, and kills it. It
// returns the phase that it died in, which may be a later one.
func strike(t *testing.T, v victim, phase string, span time.Duration) string {
	t.Helper()
	l, _ := start(t, v)
	l.reach(t, phase)
	timer := time.NewTimer(rand.N(span))
	defer timer.Stop()
	for {
		select {
		case line, ok := <-l.phases:
			if !ok || strings.HasPrefix(line, "failed") {
				t.Fatalf("the victim ended by itself in %q: %s", l.last, line)
			}
			l.last = line
		case <-timer.C:
			return l.kill(t)
		}
	}
}

// aim finds out how long after a phase began a victim must be killed to die in
// it: half of the strikes are to hit.
type aim map[string]time.Duration

func newAim(d data) aim {
	return aim{downloading: time.Duration(d.large>>20) * 2 * time.Millisecond, staging: 50 * time.Millisecond,
		publishing: 50 * time.Millisecond, switching: time.Millisecond, evicting: 50 * time.Millisecond}
}

func (a aim) learn(phase string, hit bool) {
	if hit {
		a[phase] = min(a[phase]*9/8, 10*time.Second)
	} else {
		a[phase] = max(a[phase]*7/8, 20*time.Microsecond)
	}
}

// Promise 5, and 1 and 2 with it: kill -9 at any moment of a delivery leaves
// only whole snapshots and a whole view of one version; the next process goes
// on, and asks again only for blocks that were not whole.
func TestPromise5KillsAtAnyMomentLeaveNoWrongByteAndLoseNothing(t *testing.T) {
	kills := int(setting(envKills, 25))
	d := data{large: setting(envBytes, 64<<20), files: int(setting(envFiles, 500))}
	s := newServer(t, d)
	j := newJudge(s, t.TempDir())
	// Victims that die before they evict leave more and more: at some point the
	// next one has to make room before it downloads.
	v := victim{Root: j.root, URL: s.url, Quota: 3 * (d.large + int64(d.files)*maxTreeFile)}
	spans := newAim(d)
	hits := map[string]int{}
	var onDisk, again int64
	resumed := 0
	version := 0
	for n := range kills {
		if deadline, ok := t.Deadline(); ok && time.Until(deadline) < patience {
			t.Errorf("there was time for %d of %d kills only", n, kills)
			break
		}
		phase := phases[n%len(phases)]
		died := strike(t, v, phase, spans[phase])
		spans.learn(phase, died == phase)
		hits[died]++
		j.snapshots(t)
		now := j.view(t)
		if now < version {
			t.Fatalf("after kill %d in %q the view went back from version %d to %d", n, died, version, now)
		}
		version = now
		t.Logf("kill %d: aimed at %s, hit %s; version %d", n, phase, died, version)
		if staged := j.staged(t, key("large", version+1)); staged > 0 {
			disk := j.onDisk(t, version+1)
			if disk < staged {
				t.Fatalf("after kill %d in %q: %d bytes are recorded, and %d on the disk", n, died, staged, disk)
			}
			onDisk += disk
			again += disk - staged
			resumed++
		}
	}
	t.Logf("kills: %v; the view came to version %d; %d MiB were compared", hits, version, j.read>>20)
	t.Logf("%d downloads of the large file were cut; %d MiB were on the disk, %d MiB of them were asked for again (%.2f %%)",
		resumed, onDisk>>20, again>>20, percent(again, onDisk))
	// Each of at most sixteen connections loses what it wrote since its last
	// record, and a small file is little more than that.
	if again > max(onDisk/20, int64(resumed)*16<<20) {
		t.Errorf("%d of %d bytes were asked for again after %d kills", again, onDisk, resumed)
	}
	if d.large >= 1<<30 && again > onDisk/20 {
		t.Errorf("%d of %d bytes were asked for again, more than 5 %%", again, onDisk)
	}
	for _, phase := range phases {
		if kills >= 40 && hits[phase] == 0 {
			t.Errorf("no kill hit %q", phase)
		}
	}
	finish(t, j, version)
}

func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(whole, 1)) }

// finish lets a last process end its work in peace, and looks at everything.
func finish(t *testing.T, j *judge, version int) {
	t.Helper()
	s, err := store.Open(store.Options{Root: j.root, PartialTTL: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	v, err := view.Open(viewDir(j.root), view.Options{Grace: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	r := &runtime{victim: victim{Root: j.root, URL: j.url}, store: s, view: v, engine: newEngine(s)}
	if err := r.bring(version + 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Collect(); err != nil {
		t.Fatal(err)
	}
	clear(j.compared)
	j.snapshots(t)
	if now := j.view(t); now != version+1 {
		t.Errorf("at the end the view is at version %d instead of %d", now, version+1)
	}
	if left := j.leftovers(t); len(left) > 0 {
		t.Errorf("at the end there is left: %s", strings.Join(left, ", "))
	}
	for _, l := range r.leases {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
