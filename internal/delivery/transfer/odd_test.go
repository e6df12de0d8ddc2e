// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest/odd"
)

// cell says what comes of a fault: the right bytes if class is nil, else an error
// of the class. except says why a cell is empty.
type cell struct {
	fault  string
	faults odd.Faults
	// class and except, the reason of an empty cell, are by driver and shape.
	class  map[string]error
	except map[string]string
}

var html = []byte("<html><body>Gateway is busy, please try again</body></html>")

func always(answer []byte) func(int) []byte { return func(int) []byte { return answer } }

// noneOf gives cells ("driver shape shape…") their reason to be empty.
func noneOf(reason string, cells ...string) map[string]string {
	except := map[string]string{}
	for _, c := range cells {
		for _, name := range cellNames(c) {
			except[name] = reason
		}
	}
	return except
}

// classes gives cells ("driver shape shape…") their errors.
func classes(cellsAndErrors ...any) map[string]error {
	all := map[string]error{}
	for i := 0; i < len(cellsAndErrors); i += 2 {
		for _, name := range cellNames(cellsAndErrors[i].(string)) {
			all[name] = cellsAndErrors[i+1].(error)
		}
	}
	return all
}

// cellNames are "driver shape" each.
func cellNames(cells string) (all []string) {
	driver, shapes, _ := strings.Cut(cells, " ")
	for shape := range strings.FieldsSeq(shapes) {
		all = append(all, driver+" "+shape)
	}
	return all
}

// either is all of both; what both have is that of b.
func either[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

var (
	noListing = noneOf("one file is not listed", "s3 file resume", "http file resume", "hdfs file resume")
	noPages   = either(noListing, noneOf("an index and a manifest have no pages", "http tree delta", "oci file tree resume delta"))
	noTags    = noneOf("a file whose digest stays has the bytes that it had", "oci delta")
)

var oddCells = []cell{
	{fault: "no length is said", faults: odd.Faults{NoLength: true},
		class: classes("hdfs file tree resume delta", source.ErrTemporary, "oci file tree resume delta", source.ErrMisconfigured)},
	{fault: "a length of zero is said", faults: odd.Faults{ZeroLength: true},
		class: classes("hdfs file tree resume delta", source.ErrChanged, "oci file tree resume delta", source.ErrMisconfigured)},
	{fault: "ranges are ignored", faults: odd.Faults{IgnoreRanges: true}},
	{fault: "tags outlive the bytes", faults: odd.Faults{KeepTags: true}, except: noTags},
	{fault: "the listing is a page of HTML", faults: odd.Faults{Listing: always(html)}, class: listingFails, except: noListing},
	// What is empty is how a namenode says that there is no such directory.
	{fault: "the listing is empty", faults: odd.Faults{Listing: always([]byte{})},
		class: either(listingFails, classes("hdfs tree delta", source.ErrChanged)), except: noListing},
	{fault: "the second page is a page of HTML", faults: odd.Faults{PageSize: 1, Listing: func(page int) []byte {
		if page == 1 {
			return nil
		}
		return html
	}}, class: listingFails, except: noPages},
	{fault: "the second page fails once", faults: odd.Faults{PageSize: 1, Listing: func(page int) []byte {
		if page == 2 {
			return html
		}
		return nil
	}}, except: noListing},
	// Pages of HDFS have no tokens: it only says again and again that more follow.
	{fault: "the listing goes in circles", faults: odd.Faults{SameToken: true},
		class: classes("s3 tree delta", source.ErrMisconfigured, "hdfs tree delta", source.ErrTemporary), except: noPages},
	{fault: "each page is the first", faults: odd.Faults{PageSize: 1, IgnoreTokens: true},
		class: classes("s3 tree delta", source.ErrMisconfigured, "hdfs tree delta", source.ErrMisconfigured), except: noPages},
	{fault: "everything is listed twice", faults: odd.Faults{Twice: true}, except: noListing},
	{fault: "everything is listed twice with two sizes", faults: odd.Faults{Contradict: true},
		class: classes("s3 tree delta", source.ErrChanged, "http tree delta", source.ErrChanged, "hdfs tree delta", source.ErrChanged,
			"oci file tree resume delta", source.ErrMisconfigured), except: noListing},
	// By the number of those that follow a page of HDFS tells its end.
	{fault: "the first pages have no files", faults: odd.Faults{EmptyPages: 3},
		class: classes("hdfs tree delta", source.ErrTemporary), except: noPages},
}

// listingFails is what comes of a listing that is none. A registry lists a file by
// itself too.
var listingFails = classes("s3 tree delta", source.ErrTemporary, "http tree delta", source.ErrTemporary,
	"hdfs tree delta", source.ErrTemporary, "oci file tree resume delta", source.ErrTemporary)

func TestAFaultOfAServerGivesTheRightBytesOrAnErrorThatNamesIt(t *testing.T) {
	for _, c := range oddCells {
		known := map[string]bool{}
		for _, d := range oddDrivers {
			for shape, deliver := range oddShapes {
				name := d.name + " " + shape
				known[name] = true
				if c.except[name] != "" {
					continue
				}
				t.Run(c.fault+"/"+d.name+"/"+shape, func(t *testing.T) {
					t.Parallel()
					b := newOddBench(t, d)
					result, err := deliver(t, b, c.faults)
					if class := c.class[name]; class != nil {
						if !errors.Is(err, class) {
							t.Fatalf("got %v", err)
						}
						return
					}
					b.right(t, result, err)
				})
			}
		}
		for _, name := range slices.Concat(slices.Collect(maps.Keys(c.class)), slices.Collect(maps.Keys(c.except))) {
			if !known[name] {
				t.Errorf("%s: there is no cell %q", c.fault, name)
			}
		}
	}
}

// tagged are the drivers whose files can have other bytes under the tag, or the
// inode, that they had. A digest cannot.
var tagged = []oddDriver{oddS3, oddHTTP, oddHDFS}

// Listed files that are overwritten in place under the tag that they had.
func TestAnOverwrittenFileWhoseTagStaysIsDownloadedAgain(t *testing.T) {
	for _, d := range tagged {
		t.Run(d.name, func(t *testing.T) {
			b := newOddBench(t, d)
			b.Fail(odd.Faults{KeepTags: true})
			old, now := noise(1, 3<<20), noise(2, 3<<20)
			b.Put("one.bin", old)
			b.want[snapshot.FileName] = old
			result, err := b.deliver(t, "one.bin", "1")
			b.right(t, result, err)
			b.Put("one.bin", now)
			b.want[snapshot.FileName] = now
			result, err = b.deliver(t, "one.bin", "2")
			b.right(t, result, err)
		})
	}
}

// The same, between two halves of one file.
func TestAFileThatIsOverwrittenUnderItsTagWhileItsDeliveryIsCutOffIsNotMixed(t *testing.T) {
	for _, d := range tagged {
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
			b.want[snapshot.FileName] = now
			b.Fail(odd.Faults{KeepTags: true})
			b.engine.policy.Attempts = 3
			result, err := b.deliver(t, "one.bin", "1")
			b.right(t, result, err)
		})
	}
}

// A page without files is a sign of life: what takes long is not silent.
func TestEmptyPagesCountAsProgress(t *testing.T) {
	b := newOddBench(t, oddS3)
	b.engine.options.Stall = 300 * time.Millisecond
	b.put("a", []byte("a"))
	b.Fail(odd.Faults{EmptyPages: 8, PageTime: 100 * time.Millisecond})
	result, err := b.deliver(t, "tree/", "1")
	b.right(t, result, err)
}

func TestAServerThatListsMoreThanItWasAskedForIsNamed(t *testing.T) {
	b := newOddBench(t, oddS3)
	b.put("a", []byte("a"))
	b.Put("another/secret", []byte("b"))
	b.Fail(odd.Faults{IgnorePrefix: true})
	if _, err := b.deliver(t, "tree/", "1"); !errors.Is(err, source.ErrTemporary) ||
		!bytes.Contains([]byte(err.Error()), []byte("another/secret")) {
		t.Errorf("got %v", err)
	}
}

// The nodes of a content delivery network may each have a tag of their own for
// the same bytes. Who knows the SHA-256 of a file need not care.
func TestTagsOfManyNodesAreOvercomeByADigest(t *testing.T) {
	b := newOddBench(t, oddHTTP)
	content := noise(1, 10<<20)
	b.Put("one.bin", content)
	b.want[snapshot.FileName] = content
	b.Fail(odd.Faults{TagPerNode: true})
	if _, err := b.deliver(t, "one.bin", "1"); !errors.Is(err, source.ErrChanged) {
		t.Errorf("without a digest: got %v", err)
	}
	for digest, right := range map[string]bool{checksum("sha256", content): true, checksum("sha256", nil): false} {
		key := snapshot.Key{Source: b.source.Identity(), Path: "one.bin", Version: "2", Digest: digest}
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
