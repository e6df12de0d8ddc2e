// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceiling

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// bufferBytes is how much is received before it is written.
const bufferBytes = 1 << 20

// connection speaks as much HTTP as it needs: one request, an answer that says
// how long it is, then the next request.
type connection struct {
	conn net.Conn
	host string
	buf  []byte
}

func (c *connection) close() {
	if c.conn != nil {
		c.conn.Close()
	}
}

// receive asks for a part and writes it to its file.
func (c *connection) receive(p part) error {
	u, err := url.Parse(p.file.URL)
	if err != nil {
		return err
	}
	out, err := p.file.open()
	if err != nil {
		return err
	}
	if c.conn == nil || c.host != u.Host {
		c.close()
		if c.conn, err = net.Dial("tcp", u.Host); err != nil {
			return err
		}
		c.host = u.Host
	}
	ranged := ""
	if p.size < p.file.Size {
		ranged = fmt.Sprintf("Range: bytes=%d-%d\r\n", p.offset, p.offset+p.size-1)
	}
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", u.RequestURI(), u.Host, ranged); err != nil {
		return err
	}
	filled, keep, err := c.header(p.size)
	if err != nil {
		return err
	}
	for offset := p.offset; offset < p.offset+p.size; {
		left := p.offset + p.size - offset
		// A full buffer, or the end: so that writes are large and aligned.
		want := int(min(left, int64(len(c.buf))))
		if _, err := io.ReadFull(c.conn, c.buf[filled:want]); err != nil {
			return err
		}
		if _, err := out.WriteAt(c.buf[:want], offset); err != nil {
			return err
		}
		offset, filled = offset+int64(want), 0
	}
	if !keep {
		c.close()
		c.conn = nil
	}
	return p.file.written(p.size)
}

// header reads the answer's header and moves what was read of the body to the
// front of the buffer.
func (c *connection) header(size int64) (body int, keep bool, err error) {
	n := 0
	for {
		m, err := c.conn.Read(c.buf[n:min(n+16<<10, len(c.buf))])
		if err != nil {
			return 0, false, fmt.Errorf("reading the header of the answer: %w", err)
		}
		n += m
		end := bytes.Index(c.buf[:n], []byte("\r\n\r\n"))
		if end < 0 {
			if n >= len(c.buf) {
				return 0, false, errors.New("the header of the answer has no end")
			}
			continue
		}
		keep, err := accept(string(c.buf[:end]), size)
		return copy(c.buf, c.buf[end+4:n]), keep, err
	}
}

// accept wants an answer with that many bytes; keep reports whether the
// server takes another request.
func accept(header string, size int64) (keep bool, err error) {
	lines := strings.Split(header, "\r\n")
	status := strings.SplitN(lines[0], " ", 3)
	if len(status) < 2 || (status[1] != "200" && status[1] != "206") {
		return false, fmt.Errorf("the server answered %s", lines[0])
	}
	keep, length := true, int64(-1)
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "content-length":
			if length, err = strconv.ParseInt(value, 10, 64); err != nil {
				return false, fmt.Errorf("reading the length of the answer: %w", err)
			}
		case "connection":
			keep = !strings.EqualFold(value, "close")
		}
	}
	if length != size {
		return false, fmt.Errorf("the server sends %d bytes instead of %d", length, size)
	}
	return keep, nil
}
