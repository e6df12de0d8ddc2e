// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The methods that are called.
const (
	Authenticate = "/alluxio.grpc.sasl.SaslAuthenticationService/authenticate"
	GetStatus    = "/alluxio.grpc.file.FileSystemMasterClientService/GetStatus"
	ListStatus   = "/alluxio.grpc.file.FileSystemMasterClientService/ListStatus"
	Workers      = "/alluxio.grpc.block.BlockMasterClientService/GetWorkerInfoList"
	ReadBlock    = "/alluxio.grpc.block.BlockWorker/ReadBlock"
	Cache        = "/alluxio.grpc.block.BlockWorker/Cache"
)

// The schemes of signing in, and the message types of it.
const (
	schemeSimple = 1
	typeSuccess  = 1
)

// SignIn begins the authentication of a channel as a user, whom the server believes.
func SignIn(user, channel string) Message {
	return Message{}.Number(1, 0).Text(2, "\x00"+user+"\x00noPassword").Text(3, channel).Number(4, schemeSimple).Text(5, "kuda")
}

// ParseSignIn reports whether the server accepts.
func ParseSignIn(message []byte) (accepted bool, err error) {
	err = visitFields(message, func(n protowire.Number, v uint64, _ []byte) error {
		accepted = accepted || n == 1 && v == typeSuccess
		return nil
	})
	return accepted, err
}

// Sync says how old what the master knows of the storage behind it may be.
type Sync int

// The kinds of Sync.
const (
	// Now has the master look.
	Now Sync = iota
	// AnyAge takes what it knows.
	AnyAge
)

func (s Sync) options() Message {
	if s == Now {
		return Message{}.Number(1, 0).Number(2, -1)
	}
	return Message{}.Number(1, -1).Number(2, -1)
}

// loadOnce has the master look for what it does not know.
const loadOnce = 1

// StatusRequest asks for one file or directory.
func StatusRequest(path string, sync Sync) Message {
	return Message{}.Text(1, path).Nested(2, Message{}.Number(1, loadOnce).Nested(2, sync.options()).Flag(4, false))
}

// ParseStatus reads the answer.
func ParseStatus(message []byte) (f FileInfo, err error) {
	err = visitFields(message, func(n protowire.Number, _ uint64, b []byte) (err error) {
		if n == 1 {
			f, err = parseInfo(b)
		}
		return err
	})
	return f, err
}

// ListRequest asks for what is in a directory.
func ListRequest(path string, sync Sync) Message {
	return Message{}.Text(1, path).Nested(2, Message{}.Number(2, loadOnce).Nested(3, sync.options()).Flag(4, false))
}

// ParseList reads a page of the answer.
func ParseList(message []byte) (page []FileInfo, err error) {
	err = visitFields(message, func(n protowire.Number, _ uint64, b []byte) error {
		if n != 1 {
			return nil
		}
		f, err := parseInfo(b)
		page = append(page, f)
		return err
	})
	return page, err
}

// maxWorkers bounds what a master may name.
const maxWorkers = 1 << 14

// ParseWorkers reads where the workers are, host:port.
func ParseWorkers(message []byte) (addresses []string, err error) {
	err = visitFields(message, func(n protowire.Number, _ uint64, b []byte) error {
		if n != 1 {
			return nil
		}
		return visitFields(b, func(n protowire.Number, _ uint64, b []byte) error {
			if n != 2 {
				return nil
			}
			if len(addresses) == maxWorkers {
				return fmt.Errorf("%w: there are too many workers", errForm)
			}
			address, err := parseAddress(b)
			addresses = append(addresses, address)
			return err
		})
	})
	return addresses, err
}

// readConcurrency is how many readers of a block in the storage behind it the worker
// is to allow.
const readConcurrency = 1 << 30

// storedBlock says where a block is in the storage behind Alluxio, for a worker that
// does not hold it.
func storedBlock(f *FileInfo, b Block) Message {
	return Message{}.Text(1, f.UFSPath).Number(2, b.Offset).Number(3, f.Size(b)).Number(4, readConcurrency).Number(5, f.MountID)
}

// ChunkBytes is how many bytes a worker is asked to send in one message.
const ChunkBytes = 1 << 20

// ReadRequest asks a worker for a part of a block.
func ReadRequest(f *FileInfo, b Block, offset, length int64) Message {
	return Message{}.Number(1, b.ID).Number(2, offset).Number(3, length).Flag(4, false).Number(5, ChunkBytes).Nested(6, storedBlock(f, b))
}

// Receipt says up to where of the block bytes arrived.
func Receipt(offset int64) Message { return Message{}.Number(7, offset) }

// CacheRequest asks a worker to hold a block; it replies once it does. Host and port are
// the worker's own: where the host is the name that it has for itself it reads the block from
// the storage, and otherwise through the worker at that address, which is again itself.
func CacheRequest(host string, port int, f *FileInfo, b Block) Message {
	return Message{}.Number(1, b.ID).Text(2, host).Number(3, int64(port)).Nested(4, storedBlock(f, b)).Number(5, f.Size(b)).Flag(6, false)
}

// Chunk is a ReadResponse that is received through memory of the caller's.
type Chunk struct {
	// Into takes Len bytes of the content; what has no room there is in Rest until the
	// next message.
	Into []byte
	Len  int
	Rest []byte
}

func (c *Chunk) decode(message []byte) error {
	c.Len, c.Rest = 0, c.Rest[:0]
	return visitFields(message, func(n protowire.Number, _ uint64, b []byte) error {
		if n != 1 {
			return nil
		}
		return visitFields(b, func(n protowire.Number, _ uint64, b []byte) error {
			if n == 1 {
				copied := copy(c.Into[c.Len:], b)
				c.Len += copied
				c.Rest = append(c.Rest, b[copied:]...)
			}
			return nil
		})
	})
}

// Codec hands messages over as they are; it is used with connect.WithCodec.
type Codec struct{}

// Name is that of connect's own codec, which this one replaces.
func (Codec) Name() string { return "proto" }

// Marshal returns a *Message's bytes.
func (Codec) Marshal(message any) ([]byte, error) {
	m, ok := message.(*Message)
	if !ok {
		return nil, fmt.Errorf("encoding a %T, which is no message", message)
	}
	return *m, nil
}

// Unmarshal keeps nothing of data.
func (Codec) Unmarshal(data []byte, message any) error {
	switch m := message.(type) {
	case *Message:
		*m = append((*m)[:0], data...)
		return nil
	case *Chunk:
		return m.decode(data)
	}
	return fmt.Errorf("decoding a %T, which is no message", message)
}
