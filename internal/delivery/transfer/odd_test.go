// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	sourcehttp "github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/s3"
	"github.com/kuda-io/kuda/internal/source/sourcetest/odd"
)

// oddDriver is a driver with its server.
type oddDriver struct {
	name  string
	serve func(testing.TB) *odd.Server
	open  func(url string) (source.Source, error)
}

var oddDrivers = []oddDriver{
	{"s3", odd.NewS3, func(url string) (source.Source, error) {
		return s3.New(s3.Config{Endpoint: url, Bucket: odd.Bucket, PathStyle: true, Region: "us-east-1"})
	}},
	{"http", odd.NewHTTP, func(url string) (source.Source, error) {
		return sourcehttp.New(sourcehttp.Config{URL: url})
	}},
}

// oddBench is an engine that reads from an odd server.
type oddBench struct {
	*odd.Server
	source source.Source
	store  *store.Store
	engine *Engine
	want   map[string][]byte
}

func newOddBench(t *testing.T, d oddDriver) *oddBench {
	t.Helper()
	b := &oddBench{Server: d.serve(t), want: map[string][]byte{}}
	var err error
	if b.source, err = d.open(b.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.source.Close() })
	b.store, b.engine = openEngine(t, t.TempDir())
	b.engine.options.RangeBytes = 8 << 20
	return b
}

// put stores a file of the tree.
func (b *oddBench) put(name string, content []byte) {
	b.Put("tree/"+name, content)
	b.want[name] = content
}

func (b *oddBench) deliver(t *testing.T, path, version string) (*Result, error) {
	key := store.Key{Source: b.source.Identity(), Path: path, Version: version}
	result, err := b.engine.Deliver(t.Context(), NewRequest(b.source, key, nil))
	if err == nil {
		t.Cleanup(func() { closeLease(t, result.Lease) })
	}
	return result, err
}

// right checks that what was delivered is what is stored.
func (b *oddBench) right(t *testing.T, result *Result, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, content := range b.want {
		want[name] = string(content)
	}
	if got := files(t, result.Lease); !maps.Equal(got, want) {
		t.Errorf("got %d files that are not the %d that are stored", len(got), len(want))
	}
}

// The shapes of a delivery.
var oddShapes = map[string]func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error){
	"file": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		content := noise(1, 10<<20)
		b.Put("one.bin", content)
		b.want[store.FileName] = content
		b.Fail(f)
		return b.deliver(t, "one.bin", "1")
	},
	"tree": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		b.put("a/large", noise(1, 10<<20))
		b.put("b", noise(2, 100))
		b.put("c", nil)
		b.Fail(f)
		return b.deliver(t, "tree/", "1")
	},
	// A file whose delivery was cut off before, by a server without faults.
	"resume": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		content := noise(1, 10<<20)
		b.Put("one.bin", content)
		b.want[store.FileName] = content
		b.Fail(odd.Faults{CutAfter: 6 << 20})
		b.engine.policy.Attempts = 1
		if _, err := b.deliver(t, "one.bin", "1"); !errors.Is(err, source.ErrTemporary) {
			t.Fatalf("the first delivery: got %v", err)
		}
		b.engine.policy.Attempts = 3
		b.Fail(f)
		return b.deliver(t, "one.bin", "1")
	},
	// A tree of which an older version is in the store.
	"delta": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		b.put("a/large", noise(1, 10<<20))
		b.put("b", noise(2, 1000))
		if _, err := b.deliver(t, "tree/", "1"); err != nil {
			t.Fatal(err)
		}
		b.Fail(f)
		b.put("b", noise(3, 1000))
		return b.deliver(t, "tree/", "2")
	},
}

// cell says what comes of a fault: the right bytes if class is nil, else an error
// of the class. except says why a cell is empty.
type cell struct {
	fault  string
	faults odd.Faults
	class  map[string]error
	// except has the reasons of cells that say nothing, by driver and shape.
	except map[string]string
}

var html = []byte("<html><body>Gateway is busy, please try again</body></html>")

func always(answer []byte) func(int) []byte { return func(int) []byte { return answer } }

// noneOf gives cells their reason to be empty.
func noneOf(reason string, cells ...string) map[string]string {
	except := map[string]string{}
	for _, c := range cells {
		except[c] = reason
	}
	return except
}

const (
	noListing = "one file is not listed"
	noPages   = "an index has no pages"
)

var oddCells = []cell{
	{fault: "HEAD says no length", faults: odd.Faults{NoLength: true}},
	{fault: "HEAD says a length of zero", faults: odd.Faults{ZeroLength: true}},
	{fault: "ranges are ignored", faults: odd.Faults{IgnoreRanges: true}},
	{fault: "tags outlive the bytes", faults: odd.Faults{KeepTags: true}},
	{fault: "the listing is a page of HTML", faults: odd.Faults{Listing: always(html)},
		class:  map[string]error{"tree": source.ErrTemporary, "delta": source.ErrTemporary},
		except: noneOf(noListing, "s3 file", "s3 resume", "http file", "http resume")},
	{fault: "the listing is empty", faults: odd.Faults{Listing: always([]byte{})},
		class:  map[string]error{"tree": source.ErrTemporary, "delta": source.ErrTemporary},
		except: noneOf(noListing, "s3 file", "s3 resume", "http file", "http resume")},
	{fault: "the second page is a page of HTML", faults: odd.Faults{PageSize: 1, Listing: func(page int) []byte {
		if page == 1 {
			return nil
		}
		return html
	}},
		class:  map[string]error{"s3 tree": source.ErrTemporary, "s3 delta": source.ErrTemporary},
		except: noneOf(noListing+"; "+noPages, "s3 file", "s3 resume", "http file", "http resume")},
	{fault: "the second page fails once", faults: odd.Faults{PageSize: 1, Listing: func(page int) []byte {
		if page == 2 {
			return html
		}
		return nil
	}}, except: noneOf(noListing, "s3 file", "s3 resume", "http file", "http resume")},
	{fault: "the listing goes in circles", faults: odd.Faults{SameToken: true},
		class:  map[string]error{"s3 tree": source.ErrMisconfigured, "s3 delta": source.ErrMisconfigured},
		except: noneOf(noPages, "s3 file", "s3 resume", "http file", "http resume", "http tree", "http delta")},
	{fault: "each page is the first", faults: odd.Faults{PageSize: 1, IgnoreTokens: true},
		class:  map[string]error{"s3 tree": source.ErrMisconfigured, "s3 delta": source.ErrMisconfigured},
		except: noneOf(noPages, "s3 file", "s3 resume", "http file", "http resume", "http tree", "http delta")},
	{fault: "everything is listed twice", faults: odd.Faults{Twice: true},
		except: noneOf(noListing, "s3 file", "s3 resume", "http file", "http resume")},
	{fault: "everything is listed twice with two sizes", faults: odd.Faults{Contradict: true},
		class:  map[string]error{"tree": source.ErrChanged, "delta": source.ErrChanged},
		except: noneOf(noListing, "s3 file", "s3 resume", "http file", "http resume")},
	{fault: "the first pages have no files", faults: odd.Faults{EmptyPages: 3},
		except: noneOf(noPages, "s3 file", "s3 resume", "http file", "http resume", "http tree", "http delta")},
}

// errorOf is what a cell ends with.
func (c cell) errorOf(driver, shape string) error {
	if class, ok := c.class[driver+" "+shape]; ok {
		return class
	}
	return c.class[shape]
}

func TestAFaultOfAServerGivesTheRightBytesOrAnErrorThatNamesIt(t *testing.T) {
	for _, c := range oddCells {
		for _, d := range oddDrivers {
			for shape, deliver := range oddShapes {
				if c.except[d.name+" "+shape] != "" {
					continue
				}
				t.Run(c.fault+"/"+d.name+"/"+shape, func(t *testing.T) {
					t.Parallel()
					b := newOddBench(t, d)
					result, err := deliver(t, b, c.faults)
					if class := c.errorOf(d.name, shape); class != nil {
						if !errors.Is(err, class) {
							t.Fatalf("got %v", err)
						}
						return
					}
					b.right(t, result, err)
				})
			}
		}
	}
}

// Listed files that are overwritten in place under the tag that they had.
func TestAnOverwrittenFileWhoseTagStaysIsDownloadedAgain(t *testing.T) {
	for _, d := range oddDrivers {
		t.Run(d.name, func(t *testing.T) {
			b := newOddBench(t, d)
			b.Fail(odd.Faults{KeepTags: true})
			old, now := noise(1, 3<<20), noise(2, 3<<20)
			b.Put("one.bin", old)
			b.want[store.FileName] = old
			result, err := b.deliver(t, "one.bin", "1")
			b.right(t, result, err)
			b.Put("one.bin", now)
			b.want[store.FileName] = now
			result, err = b.deliver(t, "one.bin", "2")
			b.right(t, result, err)
		})
	}
}

// The same, between two halves of one file.
func TestAFileThatIsOverwrittenUnderItsTagWhileItsDeliveryIsCutOffIsNotMixed(t *testing.T) {
	for _, d := range oddDrivers {
		t.Run(d.name, func(t *testing.T) {
			b := newOddBench(t, d)
			b.Fail(odd.Faults{KeepTags: true, CutAfter: 6 << 20})
			b.Put("one.bin", noise(1, 10<<20))
			b.engine.policy.Attempts = 1
			if _, err := b.deliver(t, "one.bin", "1"); !errors.Is(err, source.ErrTemporary) {
				t.Fatalf("got %v", err)
			}
			now := noise(2, 10<<20)
			b.Put("one.bin", now)
			b.want[store.FileName] = now
			b.Fail(odd.Faults{KeepTags: true})
			b.engine.policy.Attempts = 3
			result, err := b.deliver(t, "one.bin", "1")
			b.right(t, result, err)
		})
	}
}

// A page without files is a sign of life: what takes long is not silent.
func TestPagesWithoutFilesAreNoSilence(t *testing.T) {
	b := newOddBench(t, oddDrivers[0])
	b.engine.options.Stall = 300 * time.Millisecond
	b.put("a", []byte("a"))
	b.Fail(odd.Faults{EmptyPages: 8, PageTime: 100 * time.Millisecond})
	result, err := b.deliver(t, "tree/", "1")
	b.right(t, result, err)
}

func TestAServerThatListsMoreThanItWasAskedForIsNamed(t *testing.T) {
	b := newOddBench(t, oddDrivers[0])
	b.put("a", []byte("a"))
	b.Put("another/secret", []byte("b"))
	b.Fail(odd.Faults{IgnorePrefix: true})
	if _, err := b.deliver(t, "tree/", "1"); !errors.Is(err, source.ErrTemporary) || !bytes.Contains([]byte(err.Error()), []byte("another/secret")) {
		t.Errorf("got %v", err)
	}
}

// The nodes of a content delivery network may each have a tag of their own for
// the same bytes. Who knows the SHA-256 of a file need not care.
func TestTagsOfManyNodesAreOvercomeByADigest(t *testing.T) {
	b := newOddBench(t, oddDrivers[1])
	content := noise(1, 10<<20)
	b.Put("one.bin", content)
	b.want[store.FileName] = content
	b.Fail(odd.Faults{TagPerNode: true})
	if _, err := b.deliver(t, "one.bin", "1"); !errors.Is(err, source.ErrChanged) {
		t.Errorf("without a digest: got %v", err)
	}
	for digest, right := range map[string]bool{checksum("sha256", content): true, checksum("sha256", nil): false} {
		key := store.Key{Source: b.source.Identity(), Path: "one.bin", Version: "2", Digest: digest}
		result, err := b.engine.Deliver(t.Context(), NewRequest(b.source, key, nil))
		if right {
			b.right(t, result, err)
			closeLease(t, result.Lease)
		} else if _, mismatch := asMismatch(err); !mismatch {
			t.Errorf("with another digest: got %v", err)
		}
	}
	// An index has the SHA-256 of each file.
	b.want = map[string][]byte{}
	b.put("a", content)
	b.put("b", noise(2, 1000))
	result, err := b.deliver(t, "tree/", "3")
	b.right(t, result, err)
}
