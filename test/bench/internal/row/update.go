// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kuda-io/kuda/internal/source/sourcetest/distance"
	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/measure"
	"github.com/kuda-io/kuda/test/bench/internal/meter"
	"github.com/kuda-io/kuda/test/bench/internal/race"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// The targets of an update.
const (
	bytesOfChanged = 1.001
	wallOfChanged  = 1.1
)

// onlyChanged is the client that fetches what changed, and knows it.
const onlyChanged = "kuda, only the changed"

func updatePaths(ctx context.Context, e *Env, dir string, result *report.Row) error {
	return runUpdate(ctx, &update{Env: e, dir: dir}, result)
}

func updateInPlace(ctx context.Context, e *Env, dir string, result *report.Row) error {
	return runUpdate(ctx, &update{Env: e, dir: dir, inPlace: true}, result)
}

// update is what its row works with.
type update struct {
	*Env
	dir     string
	inPlace bool
	// away is the distance to the server, nil for none, and firstByte its time.
	away      *distance.Proxy
	firstByte time.Duration

	before, after, changed content.Tree
	was, now               content.Sums

	s3    *server.S3
	rsync *server.Files // nil when there is none
	// stored are the times at which the last object of v1 and of v2 was there.
	stored [2]time.Time
}

// Keys of the S3 server, which are directories below files too.
const (
	keyOld, keyNew, keyLive = "v1/", "v2/", "live/"
	keyChanged              = "changed/"
	// keyFormer has what the changed files were before.
	keyFormer = "former/"
)

func runUpdate(ctx context.Context, u *update, result *report.Row) error {
	defer u.stop()
	if err := u.store(ctx); err != nil {
		return err
	}
	result.Bytes, result.Files = u.changed.Bytes(), len(u.changed)
	url := u.s3.URL
	if u.away != nil {
		at, err := reachBehind(u.s3, u.away)
		if err != nil {
			return err
		}
		url = at.URL
	}
	from, to := u.clients(ctx, url, u.rsyncAddr())
	r := u.race(u.dir, u.now, to)
	r.SumsOf = map[string]content.Sums{onlyChanged: of(u.now, u.changed)}
	r.Prepare = func(ctx context.Context, c client.Client, p client.Place) error { return u.prepare(ctx, from, c, p) }
	outcomes, err := r.Run(ctx)
	if err != nil {
		return err
	}
	result.SetClients(outcomes)
	received, err := u.count(ctx, outcomes)
	if err != nil {
		return err
	}
	u.checks(result, received)
	return nil
}

// files is where trees lie for being stored, and for rsync.
func (u *update) files(key string) string { return filepath.Join(u.dir, "files", key) }

// writeTrees writes both versions and what differs between them as files.
func (u *update) writeTrees() error {
	var former content.Tree
	for i := range u.before {
		if u.before[i] != u.after[i] {
			former = append(former, u.before[i])
		}
	}
	for key, tree := range map[string]content.Tree{keyOld: u.before, keyNew: u.after, keyChanged: u.changed, keyFormer: former} {
		sums, err := tree.Write(u.files(key))
		if err != nil {
			return err
		}
		switch key {
		case keyOld:
			u.was = sums
		case keyNew:
			u.now = sums
		}
	}
	return nil
}

// store writes all trees and starts the servers.
func (u *update) store(ctx context.Context) error {
	u.before = u.Sizes.update()
	u.after, u.changed = u.Sizes.change(u.before)
	var err error
	if u.s3, err = u.emptyS3(ctx, "minio", u.dir); err != nil {
		return err
	}
	u.Log("storing two versions of %d files, %d MiB; %d MiB in %d files change", len(u.before), u.before.Bytes()>>20,
		u.changed.Bytes()>>20, len(u.changed))
	if err := u.writeTrees(); err != nil {
		return err
	}
	if err := u.keepTimes(); err != nil {
		return err
	}
	live := []string{keyOld, keyNew, keyChanged}
	if u.inPlace {
		live = []string{keyLive, keyChanged}
	}
	for _, key := range live {
		from := key
		if key == keyLive {
			from = keyOld
		}
		if err := u.s3.PutTree(ctx, key, u.files(from)); err != nil {
			return err
		}
	}
	for i, key := range []string{keyOld, keyNew} {
		if u.stored[i], err = u.s3.Newest(ctx, key); err != nil {
			return err
		}
	}
	if u.Alone || u.away != nil {
		return nil
	}
	t, missing := u.Peers.Get(ctx, "rsync")
	if missing != nil {
		u.Log("no rsync: %v", missing) // and it is reported as a client that failed
		return nil
	}
	u.rsync, err = server.Rsync(ctx, t.Path, filepath.Join(u.dir, "rsyncd"), u.files(""))
	return err
}

// keepTimes gives files that did not change the time they had in the first
// version, and the others one that is a minute later: that is what rsync looks
// at, by the second.
func (u *update) keepTimes() error {
	for i := range u.after {
		info, err := os.Stat(filepath.Join(u.files(keyOld), u.after[i].Path))
		if err != nil {
			return err
		}
		at := info.ModTime()
		if u.before[i] != u.after[i] {
			at = at.Add(time.Minute)
		}
		if err := os.Chtimes(filepath.Join(u.files(keyNew), u.after[i].Path), at, at); err != nil {
			return err
		}
	}
	return nil
}

func (u *update) stop() {
	if u.s3 != nil {
		u.s3.Stop()
	}
	if u.rsync != nil {
		u.rsync.Stop()
	}
	if u.away != nil {
		u.away.Close()
	}
}

func (u *update) rsyncAddr() string {
	if u.rsync == nil {
		return ""
	}
	return u.rsync.Addr
}

// clients returns those that fetch the first version, by name, and those that
// fetch the second.
func (u *update) clients(ctx context.Context, url, rsyncAddr string) (from map[string]client.Client, to []client.Client) {
	old, now := keyOld, keyNew
	if u.inPlace {
		old, now = keyLive, keyLive
	}
	from = map[string]client.Client{}
	for _, c := range u.syncers(ctx, url, old, rsyncAddr, keyOld) {
		from[c.Name] = c
	}
	to = u.syncers(ctx, url, now, rsyncAddr, keyNew)
	only := client.S3{URL: url, Key: keyChanged}.Kuda(u.Kuda)
	only.Name, only.Kind = onlyChanged, client.Ceiling
	return from, append(to, only)
}

func (u *update) syncers(ctx context.Context, url, key, rsyncAddr, rsyncKey string) []client.Client {
	at := client.S3{URL: url, Key: key}
	clients := []client.Client{at.Kuda(u.Kuda)}
	clients = u.with(ctx, clients, "rclone", func(path string) []client.Client {
		return []client.Client{at.RcloneSync(path), at.RcloneSync(path, "--checksum", "--fast-list", "--use-server-modtime",
			"--transfers", "16", "--checkers", "32")}
	})
	clients = u.with(ctx, clients, "s5cmd", func(path string) []client.Client {
		many := s5cmdMany
		if u.away != nil {
			many = s5cmdFarMany
		}
		return []client.Client{at.S5cmdSync(path, nil, nil),
			at.S5cmdSync(path, many, []string{"--concurrency", "8", "--part-size", "16"})}
	})
	if u.away != nil {
		return clients // rsync's daemon is not behind the distance
	}
	return u.with(ctx, clients, "rsync", func(path string) []client.Client {
		from := "rsync://" + rsyncAddr + "/bench/" + rsyncKey
		return []client.Client{client.Rsync(path, from), client.Rsync(path, from, "--whole-file")}
	})
}

// prepare brings the first version into a place by the same client, and what it
// is to find then onto the server.
func (u *update) prepare(ctx context.Context, from map[string]client.Client, c client.Client, p client.Place) error {
	first, ok := from[c.Name]
	if !ok {
		return nil // it begins with nothing
	}
	if u.inPlace {
		if err := u.s3.PutTree(ctx, keyLive, u.files(keyFormer)); err != nil {
			return err
		}
	}
	if _, err := measure.Run(ctx, first.Command(p)); err != nil {
		return fmt.Errorf("fetching the first version: %w", err)
	}
	if err := content.Check(p.Out(), u.was); err != nil {
		return fmt.Errorf("fetching the first version: %w", err)
	}
	if u.inPlace {
		return u.s3.PutTree(ctx, keyLive, u.files(keyChanged))
	}
	if c.Kind == client.Ours {
		return nil
	}
	return u.age(p.Out())
}

// age makes files as old as they would be had the second version been stored
// after the first was fetched: clients compare these times.
func (u *update) age(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.ModTime().Before(u.stored[0]) {
			return err
		}
		return os.Chtimes(path, u.stored[0], u.stored[0])
	})
}

// traffic is what a client received, in bytes.
type traffic struct{ objects, others int64 }

// count has each client that works do the same once more through a meter.
func (u *update) count(ctx context.Context, outcomes []race.Outcome) (map[string]traffic, error) {
	web, err := meter.NewHTTP(u.s3.URL)
	if err != nil {
		return nil, err
	}
	defer web.Close()
	raw := &meter.TCP{}
	if u.rsync != nil {
		if raw, err = meter.NewTCP(u.rsync.Addr); err != nil {
			return nil, err
		}
		defer raw.Close()
	}
	from, to := u.clients(ctx, web.URL, raw.Addr)
	received := map[string]traffic{}
	for i, c := range to {
		if outcomes[i].Err != nil {
			continue
		}
		t, err := u.countOne(ctx, from, c, func() traffic {
			objects, others := web.Objects()
			return traffic{objects + raw.Received(), others}
		})
		if err != nil {
			return nil, fmt.Errorf("counting the bytes of %s: %w", c.Name, err)
		}
		u.Log("%-16s received %d bytes of files, %d others", c.Name, t.objects, t.others)
		received[c.Name] = t
	}
	return received, nil
}

func (u *update) countOne(ctx context.Context, from map[string]client.Client, c client.Client, now func() traffic) (traffic, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, u.Limit, measure.ErrTimeout)
	defer cancel()
	p := client.Place{Dir: filepath.Join(u.dir, "counted")}
	defer func() { _ = os.RemoveAll(p.Dir) }() // the row removes what is left
	if err := p.Make(); err != nil {
		return traffic{}, err
	}
	if err := u.prepare(ctx, from, c, p); err != nil {
		return traffic{}, err
	}
	before := now()
	if _, err := measure.Run(ctx, c.Command(p)); err != nil {
		return traffic{}, err
	}
	after := now()
	return traffic{after.objects - before.objects, after.others - before.others}, nil
}

// checks compares the bytes and the time.
func (u *update) checks(r *report.Row, received map[string]traffic) {
	r.Notes = append(r.Notes, "GB/s and cpu-s/GB are of the bytes that changed; rsync reads plain files from its own daemon, "+
		"counted with its protocol, and is told by their times which files may have changed")
	ours, ok := r.Client("kuda")
	if !ok {
		r.Failed = "kuda has no result"
		return
	}
	changed := float64(u.changed.Bytes())
	r.Ratio("bytes of files received, of the changed", " B", float64(received["kuda"].objects), changed, false, "changed",
		report.AtMost(bytesOfChanged))
	r.Add(report.Check{Metric: "bytes of listings received", Unit: " B", Ours: float64(received["kuda"].others),
		Value: float64(received["kuda"].others)})
	for _, c := range r.Clients {
		if t, ok := received[c.Name]; ok && c.Kind == client.Peer {
			r.Add(report.Check{Metric: "bytes of files received by " + c.Name + ", of the changed", Value: float64(t.objects) / changed})
		}
	}
	if only, ok := r.Client(onlyChanged); ok && u.away != nil {
		more := (ours.Wall - only.Wall) / u.firstByte.Seconds()
		r.Add(report.Check{Metric: "wall beside fetching only the changed, in times to the first byte", Value: more,
			Goal: report.AtMost(farUpdate)})
	} else if ok {
		r.Ratio("wall: of fetching only the changed", " s", ours.Wall, only.Wall, false, only.Name, report.AtMost(wallOfChanged))
	}
	for _, name := range []string{"rclone", "s5cmd", "rsync"} {
		fastest(r, ours, name, 0)
	}
}
