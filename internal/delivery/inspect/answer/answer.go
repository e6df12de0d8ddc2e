// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package answer is what "kuda-runtime inspect" reads and writes, as JSON. It is
// apart from what finds the answers, because the command line (kubectl kuda get
// and diff) reads them and must not link the runtime. Fields are only added:
// runtimes live as long as their pods.
package answer

import "encoding/json"

// Data is the answer of "inspect data": what is in the pod's view.
type Data struct {
	DataSets []DataSet `json:"dataSets"`
}

// DataSet is what the view has of one DataSet.
type DataSet struct {
	Name string `json:"name"`
	// Revision that the application sees.
	Revision string `json:"revision"`
	Items    []Item `json:"items"`
}

// Item is a delivered item.
type Item struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	// Path of the item in the data directory, without a leading slash.
	Path   string `json:"path"`
	Digest string `json:"digest,omitempty"`
	Bytes  int64  `json:"bytes"`
	Files  []File `json:"files"`
}

// File is a delivered file.
type File struct {
	// Path in the data directory, without a leading slash.
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Digest string `json:"digest,omitempty"`
	// Mode is the permission bits in octal, such as 0644.
	Mode string `json:"mode"`
}

// Question is what "inspect plan" reads: contents that the pod might be given.
type Question struct {
	DataSet string `json:"dataset"`
	// Items and Sources are those of a gateway Prefetch, as protojson.
	Items   []json.RawMessage `json:"items"`
	Sources []json.RawMessage `json:"sources"`
}

// Plan is the answer of "inspect plan": what giving the pod these contents would
// change and move.
type Plan struct {
	Items []PlannedItem `json:"items"`
}

// PlannedItem is one item of the question, or, with nothing but removed files,
// one that the pod has and the question has not.
type PlannedItem struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	// Added, Changed, Removed and Unchanged compare its files with those that
	// the pod has of the item now.
	Added     Files `json:"added"`
	Changed   Files `json:"changed"`
	Removed   Files `json:"removed"`
	Unchanged Files `json:"unchanged"`
	// TotalBytes of all its files, of which BytesPresent are on the node already
	// and BytesToMove would be downloaded.
	TotalBytes   int64 `json:"totalBytes"`
	BytesPresent int64 `json:"bytesPresent"`
	BytesToMove  int64 `json:"bytesToMove"`
	// Reason and Message, one of the API's reasons of an item, where it could not
	// be told; the figures have no meaning then.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Files are counted; the first ones are named.
type Files struct {
	Count int         `json:"count"`
	Bytes int64       `json:"bytes"`
	Names []NamedFile `json:"names,omitempty"`
}

// NamedFile is a file with its size.
type NamedFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}
