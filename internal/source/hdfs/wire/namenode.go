// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import "google.golang.org/protobuf/encoding/protowire"

// The call identifiers that are no calls.
const (
	CallConnectionContext = -3
	CallSASL              = -33
)

// RequestHeader returns an RpcRequestHeaderProto.
func RequestHeader(call int32, clientID []byte) []byte {
	b := putUint(nil, 1, 2) // protocol buffers
	b = putUint(b, 2, 0)    // the final, and only, packet
	b = putInt(b, 3, int64(call))
	b = putBytes(b, 4, clientID)
	return putInt(b, 5, -1)
}

// MethodHeader returns a RequestHeaderProto.
func MethodHeader(protocol, method string) []byte {
	b := putString(nil, 1, method)
	b = putString(b, 2, protocol)
	return putUint(b, 3, 1)
}

// ConnectionContext returns an IpcConnectionContextProto. An empty user is the
// one who was authenticated.
func ConnectionContext(protocol, user string) []byte {
	var b []byte
	if user != "" {
		b = putBytes(b, 2, putString(nil, 1, user))
	}
	return putString(b, 3, protocol)
}

// ResponseHeader is an RpcResponseHeaderProto.
type ResponseHeader struct {
	Call int32
	// Status: 0 is success, 1 an error, 2 an error that ends the connection.
	Status uint64
	// Exception is the name of a Java class, Message what it says.
	Exception, Message string
}

// ParseResponseHeader reads an RpcResponseHeaderProto.
func ParseResponseHeader(b []byte) (h ResponseHeader, err error) {
	err = walkFields(b, func(f field) error {
		switch f.n {
		case 1:
			h.Call = int32(uint32(f.u))
		case 2:
			h.Status = f.u
		case 4:
			h.Exception = string(f.b)
		case 5:
			h.Message = string(f.b)
		}
		return nil
	})
	return h, err
}

// The states of a SASL message.
const (
	SASLSuccess = iota
	SASLNegotiate
	SASLInitiate
	SASLChallenge
	SASLResponse
	SASLWrap
)

// SASL is an RpcSaslProto.
type SASL struct {
	State uint64
	Token []byte
	Auths []SASLAuth
}

// SASLAuth is one way to authenticate.
type SASLAuth struct {
	Method, Mechanism, Protocol, ServerID string
}

// Marshal returns the message.
func (s SASL) Marshal() []byte {
	b := putUint(nil, 2, s.State)
	if s.Token != nil {
		b = putBytes(b, 3, s.Token)
	}
	for _, a := range s.Auths {
		m := putString(nil, 1, a.Method)
		m = putString(m, 2, a.Mechanism)
		m = putString(m, 3, a.Protocol)
		m = putString(m, 4, a.ServerID)
		b = putBytes(b, 4, m)
	}
	return b
}

// ParseSASL reads an RpcSaslProto.
func ParseSASL(b []byte) (s SASL, err error) {
	err = walkFields(b, func(f field) error {
		switch f.n {
		case 2:
			s.State = f.u
		case 3:
			s.Token = f.b
		case 4:
			var a SASLAuth
			if err := walkFields(f.b, func(f field) error {
				switch f.n {
				case 1:
					a.Method = string(f.b)
				case 2:
					a.Mechanism = string(f.b)
				case 3:
					a.Protocol = string(f.b)
				case 4:
					a.ServerID = string(f.b)
				}
				return nil
			}); err != nil {
				return err
			}
			s.Auths = append(s.Auths, a)
		}
		return nil
	})
	return s, err
}

// PathRequest returns a GetFileInfoRequestProto.
func PathRequest(path string) []byte { return putString(nil, 1, path) }

// ListingRequest returns a GetListingRequestProto.
func ListingRequest(path string, after []byte) []byte {
	b := putString(nil, 1, path)
	b = putBytes(b, 2, after)
	return putUint(b, 3, 0)
}

// LocationsRequest returns a GetBlockLocationsRequestProto for the whole file.
func LocationsRequest(path string, length int64) []byte {
	b := putString(nil, 1, path)
	b = putUint(b, 2, 0)
	return putUint(b, 3, uint64(length))
}

// FileType is what is at a path.
type FileType uint64

// The types of files.
const (
	Directory FileType = 1
	File      FileType = 2
	Symlink   FileType = 3
)

// FileStatus is an HdfsFileStatusProto.
type FileStatus struct {
	Type FileType
	// Name is the last segment, "" in the answer about a path.
	Name   string
	Length int64
	Mode   uint32
	// Modified is in milliseconds since 1970.
	Modified uint64
	// ID of the inode, 0 where the namenode gives none.
	ID     uint64
	Target string
}

// ParseFileStatus reads a message with a FileStatus as its field 1. Without one
// it returns nil: nothing is there.
func ParseFileStatus(b []byte) (status *FileStatus, err error) {
	err = walkFields(b, func(f field) error {
		if f.n != 1 {
			return nil
		}
		s, err := parseFileStatus(f.b)
		status = &s
		return err
	})
	return status, err
}

func parseFileStatus(b []byte) (s FileStatus, err error) {
	measured := false
	err = walkFields(b, func(f field) (err error) {
		switch f.n {
		case 1:
			s.Type = FileType(f.u)
		case 2:
			s.Name = string(f.b)
		case 3:
			s.Length, err = f.sizeValue()
			measured = true
		case 4:
			err = walkFields(f.b, func(f field) error {
				if f.n == 1 {
					s.Mode = uint32(f.u)
				}
				return nil
			})
		case 7:
			s.Modified = f.u
		case 9:
			s.Target = string(f.b)
		case 13:
			s.ID = f.u
		}
		return err
	})
	// A file whose length is not said is not an empty one.
	if err == nil && (s.Type == 0 || (s.Type == File && !measured)) {
		err = errIncomplete
	}
	return s, err
}

// Listing is a DirectoryListingProto: one page.
type Listing struct {
	Entries []FileStatus
	// Remaining is how many entries follow on other pages.
	Remaining uint64
}

// ParseListing reads a GetListingResponseProto; nil means that there is no such
// directory. A page that does not say how many entries follow proves no end.
func ParseListing(b []byte) (l *Listing, err error) {
	ends := false
	err = walkFields(b, func(f field) error {
		if f.n != 1 {
			return nil
		}
		l = &Listing{}
		return walkFields(f.b, func(f field) error {
			switch f.n {
			case 1:
				s, err := parseFileStatus(f.b)
				if err != nil {
					return err
				}
				l.Entries = append(l.Entries, s)
			case 2:
				l.Remaining, ends = f.u, true
			}
			return nil
		})
	})
	if err == nil && l != nil && !ends {
		err = errIncomplete
	}
	return l, err
}

// EncryptionKey is a DataEncryptionKeyProto.
type EncryptionKey struct {
	ID         int32
	Pool       string
	Nonce, Key []byte
	// Expires is in milliseconds since 1970.
	Expires uint64
}

// ParseEncryptionKey reads a GetDataEncryptionKeyResponseProto; nil means that
// transfers are not encrypted.
func ParseEncryptionKey(b []byte) (k *EncryptionKey, err error) {
	err = walkFields(b, func(f field) error {
		if f.n != 1 {
			return nil
		}
		k = &EncryptionKey{}
		return walkFields(f.b, func(f field) error {
			switch f.n {
			case 1:
				k.ID = int32(uint32(f.u))
			case 2:
				k.Pool = string(f.b)
			case 3:
				k.Nonce = f.b
			case 4:
				k.Key = f.b
			case 5:
				k.Expires = f.u
			}
			return nil
		})
	})
	return k, err
}

// ParseEncryptTransfers reads a GetServerDefaultsResponseProto and returns
// whether all transfers of data are encrypted.
func ParseEncryptTransfers(b []byte) (encrypted bool, err error) {
	err = walkFields(b, func(f field) error {
		if f.n != 1 {
			return nil
		}
		return walkFields(f.b, func(f field) error {
			if f.n == 6 {
				encrypted = protowire.DecodeBool(f.u)
			}
			return nil
		})
	})
	return encrypted, err
}
