// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// uidForm is that of the UIDs that the API server gives to objects.
var uidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

const (
	// gonePrefix begins the names of what is being deleted.
	gonePrefix = ".gone-"
	// maxSwept is how many stores of earlier namespaces are removed at a time.
	maxSwept = 16
)

// Remains is the directory that a store lies in.
type Remains struct {
	dir, self string
	// created is when the namespace was made; zero if that is not known.
	created time.Time
	now     func() time.Time
}

// Beside returns what lies beside the store at root. It is nil unless the root is
// named by a UID: beside other stores lie files that are not Kuda's. created is when
// the namespace was made, zero if that is not known.
func Beside(root string, created time.Time) *Remains {
	root, err := filepath.Abs(root)
	if err != nil || !uidForm.MatchString(filepath.Base(root)) {
		return nil
	}
	return &Remains{dir: filepath.Dir(root), self: filepath.Base(root), created: created, now: time.Now}
}

// Close makes the store's directory where it is missing, and closes it and the one
// around it to all other users. Mounts of what is below are not affected: who has
// a view mounted has not come through here.
func (r *Remains) Close() error {
	root := filepath.Join(r.dir, r.self)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return fmt.Errorf("making the store's directory: %w", err)
	}
	if err := os.Chmod(root, 0o700); err != nil {
		return fmt.Errorf("closing the store's directory to other users: %w", err)
	}
	// Where the volume is mounted at the root itself, this is the image's.
	err := os.Chmod(r.dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("closing the store's directory to other users: %w", err)
	}
	return nil
}

// Legacy returns the store that v0.1.0 made for this namespace, nil if there is none.
func (r *Remains) Legacy() *store.Legacy {
	if r.isForeign() {
		return nil
	}
	return store.OpenLegacy(r.dir)
}

// isForeign reports whether the store of v0.1.0 is older than the namespace: then it is
// one of an earlier namespace of the same name.
func (r *Remains) isForeign() bool {
	info, err := os.Lstat(filepath.Join(r.dir, "id"))
	return !r.created.IsZero() && err == nil && info.ModTime().Before(r.created)
}

// The pauses of Run.
const (
	firstSweep = time.Minute
	sweeps     = time.Hour
)

// Run sweeps soon, and then every hour, until the context ends. The store of
// v0.1.0 is left alone at first: it may have what this runtime is about to bring.
func (r *Remains) Run(ctx context.Context, log logr.Logger) error {
	timer := time.NewTimer(firstSweep)
	defer timer.Stop()
	for legacy := false; ; legacy = true {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		removed, err := r.Sweep(ctx, legacy)
		if len(removed) > 0 {
			log.Info("removed what was left beside the store", "directory", r.dir, "names", removed)
		}
		if err != nil && ctx.Err() == nil {
			log.Error(err, "what is left beside the store was not removed", "directory", r.dir)
		}
		timer.Reset(sweeps)
	}
}

// Sweep removes the stores of earlier namespaces that no process uses any more, and
// with legacy that of v0.1.0. It returns the names of what it removed.
func (r *Remains) Sweep(ctx context.Context, legacy bool) (removed []string, err error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, fmt.Errorf("looking beside the store: %w", err)
	}
	defer root.Close()
	names, err := listDirectories(root, ".")
	if err != nil {
		return nil, fmt.Errorf("looking beside the store: %w", err)
	}
	var errs []error
	for _, name := range names {
		if ctx.Err() != nil || len(removed) == maxSwept {
			break
		}
		switch {
		case strings.HasPrefix(name, gonePrefix):
			errs = append(errs, root.RemoveAll(name))
		case uidForm.MatchString(name) && name != r.self:
			gone, err := r.removeEarlier(root, name)
			errs = append(errs, err)
			if gone {
				removed = append(removed, name)
			}
		}
	}
	if (legacy || r.isForeign()) && ctx.Err() == nil {
		gone, err := r.removeLegacy(root)
		errs = append(errs, err)
		if gone {
			removed = append(removed, "the store of v0.1.0")
		}
	}
	return removed, errors.Join(errs...)
}

// removeEarlier removes the store of an earlier namespace if nothing lives in it.
// The namespace is gone, and all that is asked is whether a process of it still
// runs.
func (r *Remains) removeEarlier(root *os.Root, name string) (bool, error) {
	sub, err := openDir(root, name)
	if err != nil {
		return false, fmt.Errorf("looking at the store of an earlier namespace: %w", err)
	}
	defer sub.Close()
	held, locks, err := lockStore(sub)
	defer held.releaseAll()
	if err != nil || !locks {
		return false, err
	}
	lives, err := r.hasLivePods(sub, patience{ended: 0, missed: podstate.RestartPause})
	if err != nil || lives {
		return false, err
	}
	aside := gonePrefix + name
	if err := root.Rename(name, aside); err != nil {
		return false, fmt.Errorf("removing the store of an earlier namespace: %w", err)
	}
	return true, root.RemoveAll(aside)
}

// legacyNames are what a store of v0.1.0 consists of; the locks go last.
var legacyNames = []string{podstate.PodsDir, "snapshots", "marks", "trash", podstate.PreheatDir, podstate.LimitsDir, "boot", "id", "locks"}

// removeLegacy removes the store of v0.1.0 if no pod of an older release is left. It
// holds the locks by which such a runtime would open it meanwhile.
func (r *Remains) removeLegacy(root *os.Root) (bool, error) {
	if info, err := root.Lstat("snapshots"); err != nil || !info.IsDir() {
		return false, nil
	}
	held, locks, err := lockStore(root)
	defer held.releaseAll()
	if err != nil || !locks {
		return false, err
	}
	p := patience{ended: podstate.EndedAfter, missed: podstate.DeadAfter}
	if r.isForeign() {
		p = patience{ended: 0, missed: podstate.RestartPause}
	}
	lives, err := r.hasLivePods(root, p)
	if err != nil || lives {
		return false, err
	}
	const aside = gonePrefix + "v0.1.0"
	if err := root.Mkdir(aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("removing the store of v0.1.0: %w", err)
	}
	for _, name := range legacyNames {
		err := root.Rename(name, filepath.Join(aside, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("removing the store of v0.1.0: %w", err)
		}
	}
	return true, root.RemoveAll(aside)
}

// openDir opens a directory, and not what a link of that name leads to.
func openDir(parent *os.Root, name string) (*os.Root, error) {
	sub, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	named, err := parent.Lstat(name)
	if err == nil {
		var opened fs.FileInfo
		opened, err = sub.Stat(".")
		if err == nil && (!named.IsDir() || !os.SameFile(named, opened)) {
			err = fmt.Errorf("%s is no directory", name)
		}
	}
	if err != nil {
		_ = sub.Close()
		return nil, err
	}
	return sub, nil
}

// listDirectories lists the directories in a directory, links not among them.
func listDirectories(root *os.Root, dir string) ([]string, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	for {
		entries, err := f.ReadDir(256)
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
