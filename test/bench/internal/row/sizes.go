// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import "github.com/kuda-io/kuda/test/bench/internal/content"

// Sizes of everything that is moved, in bytes and files.
type Sizes struct {
	// Object is the size of the one large object or file.
	Object int64
	// Small is how many files of SmallBytes are in the directories.
	Small, Directories int
	// Models.
	Shards     []int64
	Middle     int
	ModelSmall int
	// Update: shards of that size beside the model's small files.
	UpdateShards int
	UpdateShard  int64
	Changed      int
	// Fanout is the size of what all pods want.
	Pods   int
	Fanout int64
	// IdleSeconds is how long the idle sidecar is watched.
	IdleSeconds int
}

// smallBytes is the size of a small file.
const smallBytes = 10 << 10

// Full is what is measured.
func Full() Sizes {
	return Sizes{
		Object: 4 << 30,
		Small:  10000, Directories: 100,
		Shards: []int64{256 << 20, 512 << 20, 768 << 20, 1 << 30}, Middle: 200, ModelSmall: 3000,
		UpdateShards: 6, UpdateShard: 128 << 20, Changed: 50,
		Pods: 50, Fanout: 64 << 20,
		IdleSeconds: 15,
	}
}

// Quick shows that the rows work; its figures say nothing.
func Quick() Sizes {
	return Sizes{
		Object: 160 << 20,
		Small:  300, Directories: 10,
		Shards: []int64{16 << 20, 32 << 20}, Middle: 10, ModelSmall: 100,
		UpdateShards: 6, UpdateShard: 8 << 20, Changed: 5,
		Pods: 5, Fanout: 8 << 20,
		IdleSeconds: 2,
	}
}

func numbered(i int) []any { return []any{i} }

// object is one file.
func (s Sizes) object() content.Tree { return content.Tree{{Path: "blob", Size: s.Object, Seed: 1}} }

// small is many small files.
func (s Sizes) small() content.Tree {
	return content.Tree{}.Add(s.Small, smallBytes, "dir-%03d/file-%05d", func(i int) []any {
		return []any{i % s.Directories, i}
	})
}

// models is what a model repository has; the shards come first.
func (s Sizes) models() content.Tree {
	t := content.Tree{}
	for i, size := range s.Shards {
		t = append(t, content.File{Path: "weights/shard-" + string(rune('0'+i)), Size: size, Seed: uint64(i + 1)})
	}
	for i := range s.Middle {
		size := int64(1+i%4) << 20
		t = t.Add(1, size, "adapters/%04d", func(int) []any { return []any{i} })
	}
	return t.Add(s.ModelSmall, smallBytes, "files/%02d/%04d", func(i int) []any { return []any{i % 30, i} })
}

// update is the first version of what is changed; see changed.
func (s Sizes) update() content.Tree {
	return content.Tree{}.
		Add(s.UpdateShards, s.UpdateShard, "weights/shard-%d", numbered).
		Add(s.ModelSmall, smallBytes, "files/%04d", numbered)
}

// change changes one shard, and some small files spread over all.
func (s Sizes) change(t content.Tree) (all, changed content.Tree) {
	step, small := max(1, s.ModelSmall/s.Changed), 0
	return t.Change(func(f content.File) bool {
		if f.Size != smallBytes {
			return f.Path == "weights/shard-2"
		}
		small++
		return small%step == 0 && small/step <= s.Changed
	})
}
