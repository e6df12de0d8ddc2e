// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// prefixLength is that of an envelope: a byte of flags and the message's length.
const prefixLength = 5

// framing is how a protocol puts a message into a body.
type framing struct {
	contentTypes []string
	// encoding is the header that says how the message is packed.
	encoding  string
	enveloped bool
}

// The protocols that runtimes and tools speak. Kuda's runtimes speak connect's;
// they never send JSON, which the bounds cannot count.
var (
	unary     = &framing{contentTypes: []string{"application/proto"}, encoding: "Content-Encoding"}
	streaming = &framing{contentTypes: []string{"application/connect+proto"}, encoding: "Connect-Content-Encoding", enveloped: true}
	grpc      = &framing{contentTypes: []string{"application/grpc", "application/grpc+proto"}, encoding: "Grpc-Encoding", enveloped: true}
)

// allowedFramings are those that a procedure may be called in.
func allowedFramings(stream bool) []*framing {
	if stream {
		return []*framing{streaming, grpc}
	}
	return []*framing{unary, grpc}
}

// framingOf returns how a request is framed; nil for any other protocol.
func framingOf(r *http.Request, stream bool) *framing {
	if r.Method != http.MethodPost || len(r.Header["Content-Type"]) != 1 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil
	}
	for _, f := range allowedFramings(stream) {
		for _, known := range f.contentTypes {
			if kind == known {
				return f
			}
		}
	}
	return nil
}

func acceptPost(stream bool) string {
	var all []string
	for _, f := range allowedFramings(stream) {
		all = append(all, f.contentTypes...)
	}
	return strings.Join(all, ", ")
}

var (
	errEncoding = errors.New("the message is packed in a way that the gateway does not know; send gzip or identity")
	errTooLarge = errors.New("the message is too large")
	errBody     = errors.New("the body does not hold one whole message")
)

func tooLarge(most int64) error {
	return fmt.Errorf("%w: at most %d bytes are allowed", errTooLarge, most)
}

// isCompressed reports whether the message may be packed.
func (f *framing) isCompressed(header http.Header) (bool, error) {
	switch values := header[f.encoding]; {
	case len(values) == 0, len(values) == 1 && (values[0] == "" || values[0] == "identity"):
		return false, nil
	case len(values) == 1 && values[0] == "gzip":
		return true, nil
	default:
		return false, errEncoding
	}
}

// readBody returns the message of a body. It reads no more than one byte above the
// limit, of what is sent and of what is unpacked.
func (f *framing) readBody(body io.Reader, packed bool, most int64) ([]byte, error) {
	length := most
	if f.enveloped {
		var prefix [prefixLength]byte
		if _, err := io.ReadFull(body, prefix[:]); err != nil {
			return nil, bodyError(err)
		}
		if prefix[0]&^1 != 0 || prefix[0] == 1 && !packed {
			return nil, fmt.Errorf("%w: its envelope has the flags %#x", errBody, prefix[0])
		}
		packed = prefix[0] == 1
		if length = int64(binary.BigEndian.Uint32(prefix[1:])); length > most {
			return nil, tooLarge(most)
		}
	}
	sent, err := io.ReadAll(io.LimitReader(body, length+1))
	switch {
	case err != nil:
		return nil, bodyError(err)
	case f.enveloped && int64(len(sent)) != length:
		return nil, fmt.Errorf("%w: its envelope has another length", errBody)
	case int64(len(sent)) > most:
		return nil, tooLarge(most)
	case !packed || len(sent) == 0:
		return sent, nil
	}
	return decompressMessage(sent, most)
}

// bodyError wraps what went wrong with the body; a deadline stays one.
func bodyError(err error) error { return fmt.Errorf("%w: %w", errBody, err) }

// readers are kept, because each has 40 KB.
var readers = sync.Pool{New: func() any { return new(gzip.Reader) }}

func decompressMessage(sent []byte, most int64) ([]byte, error) {
	reader := readers.Get().(*gzip.Reader)
	defer readers.Put(reader)
	if err := reader.Reset(bytes.NewReader(sent)); err != nil {
		return nil, bodyError(err)
	}
	message, err := io.ReadAll(io.LimitReader(reader, most+1))
	switch {
	case err != nil:
		return nil, bodyError(err)
	case int64(len(message)) > most:
		return nil, tooLarge(most)
	}
	return message, nil
}

// envelopePrefix is the prefix of a message that is not packed.
func envelopePrefix(length int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0}, uint32(length))
}
