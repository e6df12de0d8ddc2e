// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// serveCalls returns the calls of one connection to the namenode.
func (s *Server) serveCalls(conn net.Conn, in *bufio.Reader) error {
	if _, err := in.Discard(len("hrpc") + 3); err != nil {
		return err
	}
	for {
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return err
		}
		request := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(in, request); err != nil {
			return err
		}
		header, rest, err := wire.CutDelimited(request)
		if err != nil {
			return err
		}
		call := protowire.DecodeZigZag(parseFields(header).numbers[3])
		if call < 0 {
			continue // who calls, and which protocol
		}
		method, rest, err := wire.CutDelimited(rest)
		if err != nil {
			return err
		}
		body, _, err := wire.CutDelimited(rest)
		if err != nil {
			return err
		}
		if err := s.respondToCall(conn, uint64(call), string(parseFields(method).bodies[1]), parseFields(body)); err != nil {
			return err
		}
	}
}

// respondToCall returns one call.
func (s *Server) respondToCall(conn net.Conn, call uint64, method string, request fields) error {
	var body []byte
	header, status := message{}.uint(1, call), uint64(0)
	path := strings.Trim(string(request.bodies[1]), "/")
	switch method {
	case "getFileInfo":
		if status := s.statusMessage(path, path); status != nil {
			body = message{}.bytes(1, status)
		}
	case "getListing":
		body = s.listingResponse(path, string(request.bodies[2]))
	case "getBlockLocations":
		if body = s.locationsResponse(path); body == nil {
			header = header.text(4, "java.io.FileNotFoundException").text(5, "File does not exist: /"+path)
			status = 1
		}
	case "getServerDefaults":
		body = message{}.bytes(1, nil)
	default:
		return fmt.Errorf("%s is not known here", method)
	}
	b := wire.Delimited(make([]byte, 4), header.uint(2, status))
	if status == 0 {
		b = wire.Delimited(b, body)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := conn.Write(b)
	return err
}

// statusMessage returns what is at a path, called name; nil for nothing.
func (s *Server) statusMessage(path, name string) message {
	f, faults, ok := s.findFile(path)
	if !ok {
		if len(s.pathsBelow(path+"/")) == 0 {
			return nil
		}
		return message{}.uint(1, uint64(wire.Directory)).text(2, name).uint(3, 0).bytes(4, message{}.uint(1, 0o755)).uint(7, 1).uint(13, 1)
	}
	m := message{}.uint(1, uint64(wire.File)).text(2, name)
	switch {
	case faults.ZeroLength:
		m = m.uint(3, 0)
	case !faults.NoLength:
		m = m.uint(3, uint64(len(f.content)))
	}
	return m.bytes(4, message{}.uint(1, 0o644)).uint(7, uint64(f.modified.UnixMilli())).uint(13, f.inode)
}

// longerStatus is a status whose length is another one.
func (s *Server) longerStatus(path, name string) message {
	f, _, ok := s.findFile(path)
	if !ok {
		return s.statusMessage(path, name)
	}
	// Of a field that is there twice, the last one counts.
	return s.statusMessage(path, name).uint(3, uint64(len(f.content)+1))
}

// listingResponse returns a page of a directory.
func (s *Server) listingResponse(path, after string) []byte {
	instead, replaced := s.countListing()
	if replaced {
		return instead
	}
	s.mu.Lock()
	faults, page := s.faults, s.pages
	s.mu.Unlock()
	names := s.childNames(path)
	if len(names) == 0 {
		return nil
	}
	if page <= faults.EmptyPages || faults.SameToken {
		time.Sleep(faults.PageTime) // the fault: a slow page
		return message{}.bytes(1, message{}.uint(2, uint64(len(names))))
	}
	if !faults.IgnoreTokens {
		names = slices.DeleteFunc(names, func(name string) bool { return name <= after })
	}
	size := faults.PageSize
	if size == 0 {
		size = 1000
	}
	var m message
	for _, name := range names[:min(size, len(names))] {
		entry := strings.TrimPrefix(path+"/"+name, "/")
		m = m.bytes(1, s.statusMessage(entry, name))
		if faults.Twice {
			m = m.bytes(1, s.statusMessage(entry, name))
		}
		if faults.Contradict {
			m = m.bytes(1, s.longerStatus(entry, name))
		}
	}
	if faults.Ghost {
		m = m.bytes(1, message{}.uint(1, uint64(wire.File)).text(2, "ghost").uint(3, 0).uint(7, 1).uint(13, 2))
	}
	return message{}.bytes(1, m.uint(2, uint64(max(len(names)-size, 0))))
}

// childNames returns the sorted names in a directory.
func (s *Server) childNames(dir string) []string {
	prefix := strings.TrimPrefix(dir+"/", "/")
	names := map[string]bool{}
	for _, path := range s.pathsBelow(prefix) {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, prefix), "/")
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// locationsResponse returns where the block of a file is, which may be asked for by its
// inode.
func (s *Server) locationsResponse(path string) []byte {
	if number, ok := strings.CutPrefix(path, ".reserved/.inodes/"); ok {
		path = s.pathOf(number)
	}
	f, _, ok := s.findFile(path)
	if !ok {
		return nil
	}
	m := message{}.uint(1, uint64(len(f.content))).bool(3, false).bool(5, true)
	if len(f.content) > 0 {
		s.mu.Lock()
		host, port, _ := net.SplitHostPort(s.datanode)
		s.mu.Unlock()
		number, _ := strconv.ParseUint(port, 10, 16)
		id := message{}.text(1, "BP-1").uint(2, f.block).uint(3, 1).uint(4, uint64(len(f.content)))
		node := message{}.bytes(1, message{}.text(1, host).text(2, host).text(3, "odd").uint(4, number)).text(8, "/rack")
		m = m.bytes(2, message{}.bytes(1, id).uint(2, 0).bytes(3, node).bool(4, false).bytes(5, message{}))
	}
	return message{}.bytes(1, m)
}

// pathOf returns the path of an inode, "" for none.
func (s *Server) pathOf(inode string) string {
	for _, path := range s.pathsBelow("") {
		if f, _, _ := s.findFile(path); strconv.FormatUint(f.inode, 10) == inode {
			return path
		}
	}
	return ""
}
