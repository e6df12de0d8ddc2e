// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"
)

// token4121 makes and opens the wrap tokens of RFC 4121, section 4.2.
type token4121 struct {
	key types.EncryptionKey
	// sealed tokens are encrypted, others only signed.
	sealed bool
	seq    uint64
}

const (
	tokenHeader = 16

	flagAcceptor = 1
	flagSealed   = 2
)

var errToken = errors.New("a Kerberos token of the server is not valid")

func (t *token4121) wrapMessage(message []byte) ([]byte, error) {
	etype, err := crypto.GetEtype(t.key.KeyType)
	if err != nil {
		return nil, err
	}
	header := make([]byte, tokenHeader, tokenHeader+len(message)+64)
	header[0], header[1], header[3] = 5, 4, 0xff
	binary.BigEndian.PutUint64(header[8:], t.seq)
	t.seq++
	if t.sealed {
		header[2] = flagSealed
		_, sealed, err := etype.EncryptMessage(t.key.KeyValue, append(bytes.Clone(message), header...), keyusage.GSSAPI_INITIATOR_SEAL)
		return append(header, sealed...), err
	}
	// The checksum is made with a length of the checksum of 0.
	sum, err := etype.GetChecksumHash(t.key.KeyValue, append(bytes.Clone(message), header...), keyusage.GSSAPI_INITIATOR_SEAL)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(header[4:], uint16(len(sum)))
	return append(append(header, message...), sum...), nil
}

// unwrapMessage returns the message of a token. Where sealed tokens were agreed on, it
// accepts no other.
func (t *token4121) unwrapMessage(token []byte) ([]byte, error) {
	if len(token) < tokenHeader || token[0] != 5 || token[1] != 4 || token[2]&flagAcceptor == 0 {
		return nil, errToken
	}
	etype, err := crypto.GetEtype(t.key.KeyType)
	if err != nil {
		return nil, err
	}
	extra := int(binary.BigEndian.Uint16(token[4:]))
	header := bytes.Clone(token[:tokenHeader])
	clear(header[6:8])
	body := rotateLeft(token[tokenHeader:], int(binary.BigEndian.Uint16(token[6:])))
	if token[2]&flagSealed != 0 {
		if len(body) < etype.GetConfounderByteSize()+etype.GetHMACBitLength()/8+tokenHeader {
			return nil, errToken // decrypting would panic
		}
		plain, err := crypto.DecryptMessage(body, t.key, keyusage.GSSAPI_ACCEPTOR_SEAL)
		if err != nil || len(plain) < tokenHeader+extra || !bytes.Equal(plain[len(plain)-tokenHeader:], header) {
			return nil, errToken
		}
		return plain[:len(plain)-tokenHeader-extra], nil
	}
	if t.sealed || len(body) < extra {
		return nil, errToken
	}
	clear(header[4:6])
	message, sum := body[:len(body)-extra], body[len(body)-extra:]
	if !etype.VerifyChecksum(t.key.KeyValue, append(bytes.Clone(message), header...), sum, keyusage.GSSAPI_ACCEPTOR_SEAL) {
		return nil, errToken
	}
	return message, nil
}

// rotateLeft undoes the rotation of a token's body.
func rotateLeft(b []byte, n int) []byte {
	if len(b) == 0 || n%len(b) == 0 {
		return b
	}
	n %= len(b)
	return append(bytes.Clone(b[n:]), b[:n]...)
}
