// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// saslMagic announces a handshake.
var saslMagic = []byte{0xde, 0xad, 0xbe, 0xef}

// negotiateSASL proves that the client has the block's token, or the cluster's
// key, and switches to the protection that was agreed on.
func (c *Conn) negotiateSASL(s Security, b *wire.Block) error {
	if _, err := c.out.Write(wire.Delimited(saslMagic[:4:4], wire.Handshake{Payload: []byte{}}.Marshal())); err != nil {
		return err
	}
	challenge, err := c.readHandshake()
	if err != nil {
		return err
	}
	user, password := handshakeCredentials(s.Key, b)
	least := s.Protection
	if s.Key != nil {
		least = Privacy
	}
	d, err := newDigest(user, password, challenge.Payload, least)
	if err != nil {
		return err
	}
	answer := wire.Handshake{Payload: d.responseMessage(), OfferAES: d.protection == Privacy}
	if _, err := c.out.Write(wire.Delimited(nil, answer.Marshal())); err != nil {
		return err
	}
	final, err := c.readHandshake()
	if err != nil {
		return err
	}
	if err := d.checkResponse(final.Payload); err != nil {
		return err
	}
	if d.protection == Authentication {
		return nil
	}
	out, in, err := d.newLayers()
	if err != nil {
		return err
	}
	if d.protection == Privacy && final.Cipher != nil {
		return c.enableEncryption(final.Cipher, in)
	}
	// What is in the buffer already came through the layer too.
	l := &layered{conn: struct {
		io.Reader
		io.Writer
	}{c.in, c.Conn}, out: out, in: in}
	c.in, c.out = bufio.NewReaderSize(l, bufferBytes), l
	return nil
}

// handshakeCredentials are the name and the password of the handshake.
func handshakeCredentials(key *wire.EncryptionKey, b *wire.Block) (user, password string) {
	encode := base64.StdEncoding.EncodeToString
	if key != nil {
		return fmt.Sprintf("%d %s %s", key.ID, key.Pool, encode(key.Nonce)), encode(key.Key)
	}
	return encode(b.TokenID), encode(b.TokenPassword)
}

func (c *Conn) readHandshake() (wire.Handshake, error) {
	body, err := c.readMessage()
	if err != nil {
		return wire.Handshake{}, err
	}
	h, err := wire.ParseHandshake(body)
	if err != nil {
		return h, fmt.Errorf("reading the datanode's handshake: %w", err)
	}
	if h.Status != 0 {
		// The token, or the key, is too old; a new one may do.
		return h, &RefusedError{Status: wire.StatusAccessToken, Message: h.Message}
	}
	return h, nil
}

// enableEncryption goes over to AES in counter mode, with keys that the layer protected.
func (c *Conn) enableEncryption(o *wire.Cipher, in *layer) error {
	inKey, err := in.unwrapMessage(o.InKey)
	if err != nil {
		return err
	}
	outKey, err := in.unwrapMessage(o.OutKey)
	if err != nil {
		return err
	}
	writer, err := counterMode(inKey, o.InIV)
	if err != nil {
		return err
	}
	reader, err := counterMode(outKey, o.OutIV)
	if err != nil {
		return err
	}
	c.out = cipher.StreamWriter{S: writer, W: c.Conn}
	c.in = bufio.NewReaderSize(cipher.StreamReader{S: reader, R: c.Conn}, bufferBytes)
	return nil
}

func counterMode(key, iv []byte) (cipher.Stream, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(iv) != block.BlockSize() {
		return nil, errLayer
	}
	return cipher.NewCTR(block, iv), nil
}
