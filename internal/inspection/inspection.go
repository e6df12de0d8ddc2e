// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inspection is what "kuda-runtime inspect" reads and writes, as JSON: the
// contract between the runtimes and the command line, which must not link each other.
// Fields are only added, because runtimes live as long as their pods.
//
// It has types and nothing else.
package inspection

import "encoding/json"

// DataSet is what a pod's view has of one DataSet; "inspect data" prints a list.
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
	// Path of the item below the data directory, as are those of Files.
	Path   string `json:"path"`
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`
	Files  []File `json:"files"`
}

// File is a delivered file.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Digest string `json:"digest,omitempty"`
	// Mode is the permission bits in octal, such as 0644.
	Mode string `json:"mode,omitempty"`
	// Link is the target of a symbolic link.
	Link string `json:"link,omitempty"`
}

// Question is a revision that a pod might be given; "inspect plan" reads a list.
type Question struct {
	DataSet string `json:"dataset"`
	// Prefetch is one of the gateway's protocol, as protojson.
	Prefetch json.RawMessage `json:"prefetch"`
}

// Plan is what giving the pod the revision would change and move; "inspect plan"
// prints a list.
type Plan struct {
	DataSet         string        `json:"dataset"`
	Revision        string        `json:"revision"`
	CurrentRevision string        `json:"currentRevision"`
	Items           []PlannedItem `json:"items"`
}

// PlannedItem is one item of the revision, or, with nothing but removed files,
// one that the pod has and the revision has not.
type PlannedItem struct {
	Namespace      string `json:"namespace"`
	Name           string `json:"name"`
	Version        string `json:"version"`
	CurrentVersion string `json:"currentVersion"`
	Path           string `json:"path"`
	// Added, Changed, Removed and Unchanged compare its files with those that
	// the pod has of the item now.
	Added     Files `json:"added"`
	Changed   Files `json:"changed"`
	Removed   Files `json:"removed"`
	Unchanged Files `json:"unchanged"`
	// TotalBytes of all its files: BytesToMove would be downloaded to the node,
	// BytesPresent are on it already.
	TotalBytes   int64 `json:"totalBytes"`
	BytesToMove  int64 `json:"bytesToMove"`
	BytesPresent int64 `json:"bytesPresent"`
	// Reason is one of the API's reasons of an item that could not be looked at,
	// and Error the same for people; the figures have no meaning then.
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Files are counted; the first ones are named.
type Files struct {
	Count int    `json:"count"`
	Bytes int64  `json:"bytes"`
	Files []Name `json:"files,omitempty"`
}

// Name is a file's path below the item's, with its size.
type Name struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}
