// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"fmt"
	"sync/atomic"

	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/source"
)

// textOfOne is how many bytes the names of a file, and what else is kept of it, have
// before it counts as more than one.
const textOfOne = 512

// crowding bounds the files of all deliveries that an engine makes at the same time:
// each takes memory until its item is complete. The bound is said in words before the
// kernel says it by a kill, which would come again after each start.
type crowding struct {
	most   int64 // 0 for any number
	memory int64
	now    atomic.Int64
}

// countEntry counts a listed file of a delivery. An item that is too large for itself
// fails for good; one that only finds no room beside others is tried again later.
func (c *crowding) countEntry(d *delivery, e source.Entry) error {
	if c.most == 0 {
		return nil
	}
	weight := 1 + int64(len(e.Path)+len(e.Key)+len(e.Link)+len(e.Identity)+len(e.Checksum))/textOfOne
	if d.weight+weight > c.most {
		return &source.Error{Op: "listing " + d.request.Path, Class: source.ErrMisconfigured, Err: fmt.Errorf(
			"it has more than %d files, which is what the memory limit of Kuda's container%s is enough for; deliver it as several items, or as "+
				"archives, or raise the limit",
			d.roll.countFiles(), c.limitText())}
	}
	d.weight += weight
	if now := c.now.Add(weight); now > c.most {
		return &source.Error{Op: "listing " + d.request.Path, Class: source.ErrTemporary, Err: fmt.Errorf(
			"the items that are delivered at this moment have more than %d files together, which is what the memory limit of Kuda's container%s "+
				"is enough for; it is tried again later",
			c.most, c.limitText())}
	}
	return nil
}

// releaseWeight frees what a delivery that has ended had entered.
func (c *crowding) releaseWeight(weight int64) {
	c.now.Add(-weight)
}

func (c *crowding) limitText() string {
	if c.memory == 0 {
		return ""
	}
	return ", " + bytesize.Text(c.memory) + ","
}
