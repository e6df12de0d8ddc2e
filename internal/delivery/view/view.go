// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	treesDir     = controlDir + "/.rev"
	tempPrefix   = ".tmp-"
	parkDir      = controlDir + "/.old"
	previousLink = "previous"
	metaSuffix   = ".json"
)

// DefaultGrace is how long a tree stays on disk that is neither current nor the one to go
// back to.
const DefaultGrace = 30 * time.Second

// Options of Open; the zero value is good.
type Options struct {
	// Grace is how long a tree stays after it was last current or previous, so
	// that an application in the middle of a path still arrives. Default: DefaultGrace.
	Grace time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Note is told, once, when the file system cannot do what a switch without a
	// gap needs. It may be nil.
	Note func(text string)
}

// View is the directory of one pod. Its methods may be called concurrently;
// those of one DataSet must come one after the other.
type View struct {
	grace time.Duration

	// mu guards what follows, and the names in dir but for those of a tree that is built.
	mu   sync.Mutex
	dir  *directory
	sets map[string]*set
}

// set is what the view holds of one DataSet. Zero stands for no tree.
type set struct {
	current, previous, prepared, kept, last uint64
	trees                                   map[uint64]*tree
}

// tree is a complete tree; its exported fields are its file.
type tree struct {
	Revision string     `json:"revision"`
	Items    []treeItem `json:"items"`

	retired time.Time
}

type treeItem struct {
	Path string `json:"path"`
	Mark string `json:"mark"`
}

func (t *tree) itemPaths() []string {
	out := make([]string, 0, len(t.Items))
	for _, i := range t.Items {
		out = append(out, i.Path)
	}
	return out
}

// Open opens the view at dir, makes it when it is missing, and repairs what a
// crash left behind.
func Open(dir string, o Options) (*View, error) {
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the view: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the view: %w", err)
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	v := &View{grace: o.Grace, dir: &directory{root: root, now: o.Now, note: o.Note}, sets: map[string]*set{}}
	if err := v.loadTrees(); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("repairing the view at %s: %w", dir, err)
	}
	return v, nil
}

// Close lets go of the directory; the view itself stays as it is.
func (v *View) Close() error { return v.dir.root.Close() }

// updateLinks makes the links outside of .kuda those of all current trees, with
// extra paths added to some DataSets.
func (v *View) updateLinks(extra map[string][]string) error {
	links := map[string][]string{}
	for name, s := range v.sets {
		if t := s.trees[s.current]; t != nil {
			links[name] = t.itemPaths()
		}
	}
	for name, paths := range extra {
		links[name] = append(links[name], paths...)
	}
	for name, paths := range links {
		links[name] = outermostPaths(paths)
	}
	return v.dir.applyLayout(".", newLayout(links))
}

// takenPaths returns the places that DataSets other than the named one hold, or
// will hold once what they prepared is switched.
func (v *View) takenPaths(dataset string) map[string][]string {
	out := map[string][]string{}
	for name, s := range v.sets {
		if name == dataset {
			continue
		}
		for _, n := range []uint64{s.current, s.prepared} {
			if t := s.trees[n]; t != nil {
				out[name] = append(out[name], t.itemPaths()...)
			}
		}
	}
	return out
}

// Switch makes a prepared revision the one that the application sees, all its
// items at once, and the one it replaces the one that Revert goes back to.
// Switching to the current revision repairs its links only.
func (v *View) Switch(dataset, revision string) error {
	return v.switchRevision(dataset, revision, false)
}

// Replace is Switch for when the current revision is not one to go back to:
// what Revert goes back to stays as it is, if there is anything.
func (v *View) Replace(dataset, revision string) error {
	return v.switchRevision(dataset, revision, true)
}

func (v *View) switchRevision(dataset, revision string, keep bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sets[dataset]
	if s == nil || s.prepared == 0 || s.trees[s.prepared].Revision != revision {
		return fmt.Errorf("switching DataSet %s to %s: %w", dataset, revision, ErrNotPrepared)
	}
	previous := s.current
	if keep && s.previous != 0 && s.previous != s.prepared {
		previous = s.previous
	}
	if s.prepared != s.current {
		if err := v.setCurrent(dataset, s, s.prepared, previous); err != nil {
			return fmt.Errorf("switching DataSet %s to %s: %w", dataset, revision, err)
		}
	}
	s.prepared = 0
	if err := v.updateLinks(nil); err != nil {
		return fmt.Errorf("switching DataSet %s to %s: %w", dataset, revision, err)
	}
	return nil
}

// Revert goes back to the previous revision and returns it. What was current
// is not kept for another Revert.
func (v *View) Revert(dataset string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sets[dataset]
	if s == nil || s.previous == 0 {
		return "", fmt.Errorf("reverting DataSet %s: %w", dataset, ErrNoPrevious)
	}
	t := s.trees[s.previous]
	if c := findConflict(t.itemPaths(), v.takenPaths(dataset)); c != nil {
		return "", fmt.Errorf("reverting DataSet %s: %w", dataset, c)
	}
	if err := v.setCurrent(dataset, s, s.previous, 0); err != nil {
		return "", fmt.Errorf("reverting DataSet %s: %w", dataset, err)
	}
	if err := v.updateLinks(nil); err != nil {
		return "", fmt.Errorf("reverting DataSet %s: %w", dataset, err)
	}
	return t.Revision, nil
}

// setCurrent makes tree n the current one, and previous the one to go back to. A
// crash at any line leaves a view in which every item of the old or of the new
// tree resolves, and which Open brings in order.
func (v *View) setCurrent(dataset string, s *set, n, previous uint64) error {
	if err := v.updateLinks(map[string][]string{dataset: s.trees[n].itemPaths()}); err != nil {
		return err
	}
	link := path.Join(treesDir, dataset, previousLink)
	if previous != 0 {
		if err := v.dir.setLink(link, strconv.FormatUint(previous, 10)); err != nil {
			return err
		}
	}
	old := s.current
	if err := v.dir.setLink(path.Join(controlDir, dataset), path.Join(".rev", dataset, strconv.FormatUint(n, 10))); err != nil {
		return err
	}
	for _, r := range []uint64{old, s.previous} {
		if t := s.trees[r]; t != nil {
			t.retired = v.dir.now()
		}
	}
	s.current, s.previous = n, previous
	if previous == 0 {
		return removeIfExists(v.dir.root, link)
	}
	return nil
}

// Remove takes a DataSet out of the view and forgets its trees.
func (v *View) Remove(dataset string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sets[dataset]
	if s == nil {
		return nil
	}
	before := *s
	s.current, s.previous, s.prepared, s.kept = 0, 0, 0, 0
	err := v.updateLinks(nil)
	if err == nil {
		err = removeIfExists(v.dir.root, path.Join(controlDir, dataset))
	}
	if err == nil {
		err = v.dir.root.RemoveAll(path.Join(treesDir, dataset))
	}
	if err != nil {
		*s = before
		return fmt.Errorf("removing DataSet %s from the view: %w", dataset, err)
	}
	delete(v.sets, dataset)
	return nil
}

// Current returns the revision that the application sees.
func (v *View) Current(dataset string) (revision string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sets[dataset]
	if s == nil || s.current == 0 {
		return "", false
	}
	return s.trees[s.current].Revision, true
}

// Previous returns the revision that Revert would go back to.
func (v *View) Previous(dataset string) (revision string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sets[dataset]
	if s == nil || s.previous == 0 {
		return "", false
	}
	return s.trees[s.previous].Revision, true
}

// DataSets returns the names of those that the application sees, sorted.
func (v *View) DataSets() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(v.sets)) {
		if v.sets[name].current != 0 {
			out = append(out, name)
		}
	}
	return out
}

// Collect removes the trees, and what was replaced in the layout, whose grace has passed and returns how long until
// the next one's has; 0 when there is none.
func (v *View) Collect() (time.Duration, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var next time.Duration
	var errs []error
	for name, s := range v.sets {
		for n, t := range s.trees {
			if n == s.current || n == s.previous || n == s.prepared || n == s.kept {
				continue
			}
			if left := v.grace - v.dir.now().Sub(t.retired); left > 0 {
				if next == 0 || left < next {
					next = left
				}
				continue
			}
			delete(s.trees, n)
			errs = append(errs, v.dir.removeTree(name, n))
		}
	}
	v.dir.parked = slices.DeleteFunc(v.dir.parked, func(p parked) bool {
		left := v.grace - v.dir.now().Sub(p.since)
		if left <= 0 {
			errs = append(errs, v.dir.root.RemoveAll(p.path))
		} else if next == 0 || left < next {
			next = left
		}
		return left <= 0
	})
	return next, errors.Join(errs...)
}

// removeTree removes a tree, its file first, so that half of one is never taken
// for complete.
func (d *directory) removeTree(dataset string, n uint64) error {
	p := treePath(dataset, n)
	if err := d.root.Remove(p + metaSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an old tree: %w", err)
	}
	if err := d.root.RemoveAll(p); err != nil {
		return fmt.Errorf("removing an old tree: %w", err)
	}
	return nil
}

func treePath(dataset string, n uint64) string {
	return path.Join(treesDir, dataset, strconv.FormatUint(n, 10))
}
