// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// Planned is a file as a delivery would get it now.
type Planned struct {
	// Path below the item; snapshot.FileName where the item is one file.
	Path string
	// Single tells that the item is one file.
	Single bool
	Size   int64
	// Link is the target where the file is a symbolic link, else "".
	Link string
	// Identity is what a manifest would keep of what the source says; "" if that
	// proves nothing.
	Identity string
	// Digest, where it is known without the bytes, else "".
	Digest string
	// Here tells that it would be shared with an older snapshot instead of
	// downloaded.
	Here bool
}

// Plan calls each for every file that Deliver would deliver, and finds out, as
// Deliver does, what would have to be downloaded. It moves no file, a byte at most of each, and
// changes nothing. Files of snapshots that came by another way are not counted as
// here, because only reading them would tell.
// What an earlier delivery of the same snapshot left half done is not counted as
// here. Errors are those of Deliver; some files may have been planned before one.
// The memory that it takes is that of Deliver.
func (e *Engine) Plan(ctx context.Context, r Request, each func(Planned)) error {
	if err := r.checkFields(); err != nil {
		return err
	}
	d := &delivery{engine: e, request: &r, report: newReporter(nil), kind: digest.KindOf(r.Digest), roll: newRoll()}
	d.source, d.pulse = e.wrapSource(r.Source)
	d.sharing = newSharing(d)
	d.listing = listAhead(ctx, d.source, r.Path)
	defer d.listing.stop()
	defer func() { e.crowd.releaseWeight(d.weight) }()
	var err error
	defer func() { d.sharing.older.close() }()
	if d.sharing.older, err = findOlder(e.options.Store, r.Key, nil); err != nil {
		return err
	}
	return d.scanListing(ctx, func(files []*file) error {
		d.sharing.loadOlderSnapshots(files)
		if err := d.sharing.proveShared(ctx, files, anothers); err != nil {
			return err
		}
		for _, f := range files {
			each(d.planFile(f))
		}
		return nil
	})
}

// planFile is placeFile without doing it.
func (d *delivery) planFile(f *file) Planned {
	p := Planned{Path: f.path, Single: d.single, Size: f.entry.Size, Link: f.entry.Link}
	if p.Link != "" {
		p.Here = true
		return p
	}
	p.Identity = entryState(f.entry)
	if f.entry.Size == 0 {
		return p
	}
	for _, one := range d.sharing.older.findSame(f, d.request.Path) {
		if one.entry.Mode != f.mode {
			continue
		}
		if _, _, ok := d.sharing.older.findIntact(one, f.mode); ok {
			p.Here, p.Digest = true, one.entry.Digest
			return p
		}
	}
	if f.proof != nil {
		_, _, p.Here = d.sharing.older.findIntact(f.proof.one, f.mode)
		if p.Here {
			p.Digest = f.proof.entry.Digest
		}
	}
	return p
}

// Same reports whether a planned file is provably the one that an entry of an
// older manifest is of. An identity proves it only where the source has both
// under one key.
func (p Planned) Same(e snapshot.Entry, oneKey bool) bool {
	switch {
	case p.Size != e.Size || p.Link != e.Link:
		return false
	case p.Link != "" || p.Size == 0:
		return true
	case p.Digest != "" && p.Digest == e.Digest:
		return true
	}
	mine, mySum := splitState(p.Identity)
	theirs, theirSum := splitState(e.Identity)
	if oneKey && isRewritten(mine, theirs) {
		return false
	}
	return oneKey && mine != "" && mine == theirs || mySum != "" && mySum == theirSum
}
