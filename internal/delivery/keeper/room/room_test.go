// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package room

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// parseStores reads stores: "a 10@1 20@2n; b 5@3w" is store a with 10 bytes used at 1 and
// 20 used at 2 that are needed, and store b with 5 used at 3 that are preheated.
func parseStores(text string) (stores []*census.Store) {
	for part := range strings.SplitSeq(text, ";") {
		fields := strings.Fields(part)
		if len(fields) == 0 {
			continue
		}
		s := &census.Store{Place: census.Place{Namespace: fields[0], UID: "u"}}
		for _, f := range fields[1:] {
			var bytes, at int64
			_, _ = fmt.Sscanf(f, "%d@%d", &bytes, &at)
			if strings.HasSuffix(f, "p") {
				s.Partials = append(s.Partials, census.Partial{Snapshot: store.Snapshot{Bytes: bytes}})
				continue
			}
			s.Snapshots = append(s.Snapshots, census.Snapshot{
				Snapshot: store.Snapshot{ID: snapshot.ID(f), Bytes: bytes, Used: time.Unix(at, 0)},
				Needed:   strings.HasSuffix(f, "n"), Wanted: strings.HasSuffix(f, "w"), Leased: strings.HasSuffix(f, "l"),
			})
		}
		stores = append(stores, s)
	}
	return stores
}

func TestTheLeastRecentlyUsedOfAllNamespacesIsEvicted(t *testing.T) {
	quota, disk := Limits{Quota: 100, High: 80, Low: 70}, Limits{High: 80, Low: 70, Reserve: 10}
	for name, c := range map[string]struct {
		stores string
		limits Limits
		disk   Disk
		// kept cannot be evicted after all.
		kept string
		want string
	}{
		"below the high watermark": {stores: "a 40@1; b 40@2", limits: quota},
		"no limit":                 {stores: "a 4000@1", limits: Limits{High: 80, Low: 70}, disk: Disk{100, 0}},
		"across namespaces":        {stores: "a 30@1 30@4; b 30@2 30@3", limits: quota, want: "a/30@1 b/30@2"},
		"down to the low one only": {stores: "a 10@1 41@2; b 30@3", limits: quota, want: "a/10@1 a/41@2"},
		"never what is used":       {stores: "a 50@1n 50@2w 50@3l", limits: quota},
		"a store within its share": {stores: "a 5@1; b 60@2 60@3 60@4", limits: quota, want: "b/60@2 b/60@3"},
		"downloads count":          {stores: "a 30@1 60@2p", limits: quota, want: "a/30@1"},
		"a store within its share while another's is in use": {stores: "a 20@1; b 60@2 4000000@3n", limits: quota, want: "b/60@2"},
		"a store within its share when the disk is full": {stores: "a 20@1; b 60@2n", limits: Limits{High: 80, Low: 70, Reserve: 10},
			disk: Disk{100, 10}, want: "a/20@1"},
		"what is in use after all": {stores: "a 45@1 45@2", limits: quota, kept: "45@1", want: "a/45@1 a/45@2"},
		"the disk, by others":      {stores: "a 5@1 5@2", limits: disk, disk: Disk{100, 10}, want: "a/5@1 a/5@2"},
		"the disk has room again":  {stores: "a 15@1 5@2", limits: disk, disk: Disk{100, 16}, want: "a/15@1"},
		"an empty node":            {limits: quota},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPicker(parseStores(c.stores), c.limits, c.disk)
			var got []string
			for {
				next, ok := p.Next()
				if !ok {
					break
				}
				got = append(got, next.Place.Namespace+"/"+string(next.ID))
				if string(next.ID) != c.kept {
					c.disk.Free += next.Bytes
					p.Evicted(next, c.disk)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
