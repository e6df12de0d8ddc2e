// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// Volumes are the volumes of kuda-node that are mounted.
type Volumes struct {
	// Pods are the UIDs of the pods that have one.
	Pods map[string]bool
	// Stores are the stores that are mounted, whole or in part, as
	// "<namespace>/<UID of the namespace>".
	Stores map[string]bool
	// Unknown: of a volume the store is not known, because of how file systems are mounted
	// on the node. It may be any.
	Unknown bool
}

// Below reports whether a store is mounted that is below a directory of that name, in the
// place of a namespace's.
func (v Volumes) Below(name string) bool {
	for store := range v.Stores {
		if strings.HasPrefix(store, name+"/") {
			return true
		}
	}
	return false
}

// ErrNotPropagated says that mounts of the kubelet do not come into this container, so
// that it cannot say which pods live.
var ErrNotPropagated = errors.New(
	"the kubelet's directory of pods is not mounted here with mountPropagation: HostToContainer, so it is not known which pods live")

// maxField is how much of a field of mountinfo is read: a path of 4 KiB, each byte escaped.
// The rest is left out: a pod may move the directory that is its volume so deep into its
// store that its path has no bound.
const maxField = 16 << 10

// parse reads mountinfo (proc(5)). pods is the kubelet's directory of pods, at the path
// that it has here.
func parse(r io.Reader, pods string) (Volumes, error) {
	pods = path.Clean(pods)
	found := Volumes{Pods: map[string]bool{}, Stores: map[string]bool{}}
	// covers is the mount that the directory of pods is on: the longest path, and of the
	// same the last.
	var covers mount
	lines := newLineReader(r)
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Volumes{}, fmt.Errorf("reading what is mounted: %w", err)
		}
		m, ok := parseLine(line)
		if !ok {
			continue
		}
		if len(m.at) >= len(covers.at) && (m.at == "/" || m.at == pods || strings.HasPrefix(pods, m.at+"/")) {
			covers = m
		}
		uid := m.podOf(pods)
		if uid == "" {
			continue
		}
		found.Pods[uid] = true
		if store := m.store(); store != "" {
			found.Stores[store] = true
		} else {
			found.Unknown = true
		}
	}
	if !covers.propagated {
		return Volumes{}, ErrNotPropagated
	}
	return found, nil
}

// lineReader reads lines whose fields are cut at maxField.
type lineReader struct {
	r    *bufio.Reader
	line []byte
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReaderSize(r, 4<<10)} }

// next returns the next line, without its end; io.EOF after the last one.
func (l *lineReader) next() (string, error) {
	l.line = l.line[:0]
	field, fields := 0, 0
	for {
		c, err := l.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && len(l.line) > 0:
			return string(l.line), nil
		case err != nil:
			return "", err
		case c == '\n':
			return string(l.line), nil
		case c == ' ':
			field, fields = 0, fields+1
		default:
			field++
		}
		if field <= maxField && fields < maxFields {
			l.line = append(l.line, c)
		}
	}
}

// maxFields is above what a line has.
const maxFields = 64

// mount is a line of mountinfo.
type mount struct {
	// root is what of the file system is mounted, at where.
	root, at string
	// propagated: it receives the mounts that are made elsewhere.
	propagated bool
}

func parseLine(line string) (mount, bool) {
	// 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw
	head, _, ok := strings.Cut(line, " - ")
	fields := strings.Fields(head)
	if !ok || len(fields) < 6 {
		return mount{}, false
	}
	m := mount{root: unescape(fields[3]), at: unescape(fields[4])}
	for _, option := range fields[6:] {
		if strings.HasPrefix(option, "master:") || strings.HasPrefix(option, "shared:") {
			m.propagated = true
		}
	}
	return m, true
}

// podOf returns the UID of the pod that a volume of kuda-node is mounted for; "" where the
// mount is another one. A volume of another name counts if it shows a store, so that
// what a pod calls its volumes does not matter.
func (m mount) podOf(pods string) string {
	below, ok := strings.CutPrefix(m.at, pods+"/")
	parts := strings.Split(below, "/")
	if !ok || len(parts) != 5 || parts[1] != "volumes" || parts[2] != "kubernetes.io~csi" || parts[4] != "mount" {
		return ""
	}
	if parts[3] != sidecar.VolumeStore && parts[3] != sidecar.VolumeView &&
		!strings.Contains(m.root+"/", "/"+sidecar.NodeStoresDir+"/") {
		return ""
	}
	return parts[0]
}

// store returns which store the mount shows; "" where the path does not say.
func (m mount) store() string {
	_, below, ok := strings.Cut(m.root, "/"+sidecar.NodeStoresDir+"/")
	parts := strings.Split(strings.TrimSuffix(below, "//deleted"), "/")
	if !ok || len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// unescape resolves the octal escapes of mountinfo.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
