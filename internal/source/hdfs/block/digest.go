// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// Protection is what a connection gives beyond the identity of its ends.
type Protection int

// The levels of protection, each with all of the one before.
const (
	// Authentication: the datanode knows who reads.
	Authentication Protection = iota
	// Integrity: no byte can be changed on the way.
	Integrity
	// Privacy: no byte can be read on the way.
	Privacy
)

// qops are their names in DIGEST-MD5.
var qops = []string{"auth", "auth-int", "auth-conf"}

// digest is the client's half of DIGEST-MD5 (RFC 2831).
type digest struct {
	user, password string
	realm, nonce   string
	cnonce         string
	protection     Protection
	cipher         string
}

const digestURI = "hdfs/0"

// newDigest reads a challenge, and takes the least protection of those offered
// that is enough: more costs time, and the datanode's owner decides what it offers.
func newDigest(user, password string, challenge []byte, least Protection) (*digest, error) {
	values, err := parseDirectives(string(challenge))
	if err != nil {
		return nil, err
	}
	d := &digest{user: user, password: password, realm: values["realm"], nonce: values["nonce"], protection: -1}
	offered := strings.Split(values["qop"], ",")
	for level := least; level <= Privacy; level++ {
		if slices.ContainsFunc(offered, func(s string) bool { return strings.TrimSpace(s) == qops[level] }) {
			d.protection = level
			break
		}
	}
	if d.protection < 0 {
		return nil, fmt.Errorf("%w: it offers %s, and the settings ask for %s at least", ErrProtection, values["qop"], qops[least])
	}
	if d.protection == Privacy {
		// It covers the keys of AES only, where the datanode knows AES.
		if !slices.Contains(strings.Split(values["cipher"], ","), "rc4") {
			return nil, fmt.Errorf("%w: of its ciphers %s none is known here", ErrProtection, values["cipher"])
		}
		d.cipher = "rc4"
	}
	random := make([]byte, 18)
	_, _ = rand.Read(random)
	d.cnonce = base64.StdEncoding.EncodeToString(random)
	return d, nil
}

// ErrProtection tells that a datanode does not protect as the settings demand.
var ErrProtection = errors.New("the datanode does not offer the protection that is asked for")

// parseDirectives splits 'name="value",name=value'.
func parseDirectives(s string) (map[string]string, error) {
	values := map[string]string{}
	for s = strings.TrimLeft(s, ", "); s != ""; s = strings.TrimLeft(s, ", ") {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("the challenge has no value for %q", s)
		}
		var value string
		if quoted, found := strings.CutPrefix(rest, `"`); found {
			if value, s, ok = strings.Cut(quoted, `"`); !ok {
				return nil, fmt.Errorf("the challenge has no end of the value of %q", name)
			}
		} else if value, s, ok = strings.Cut(rest, ","); !ok {
			s = ""
		}
		values[strings.TrimSpace(name)] = value
	}
	return values, nil
}

func (d *digest) responseMessage() []byte {
	s := fmt.Sprintf(`charset=utf-8,username="%s",realm="%s",nonce="%s",nc=00000001,cnonce="%s",digest-uri="%s",maxbuf=65536,`+
		`response=%s,qop=%s`,
		d.user, d.realm, d.nonce, d.cnonce, digestURI, d.computeResponse("AUTHENTICATE"), qops[d.protection])
	if d.cipher != "" {
		s += `,cipher="` + d.cipher + `"`
	}
	return []byte(s)
}

// checkResponse reports whether the datanode knows the password too.
func (d *digest) checkResponse(final []byte) error {
	values, err := parseDirectives(string(final))
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(values["rspauth"]), []byte(d.computeResponse(""))) {
		return errors.New("the datanode does not know the block's token")
	}
	return nil
}

func (d *digest) computeA1() []byte {
	secret := md5.Sum([]byte(d.user + ":" + d.realm + ":" + d.password))
	return append(secret[:], ":"+d.nonce+":"+d.cnonce...)
}

func (d *digest) computeResponse(method string) string {
	a2 := method + ":" + digestURI
	if d.protection > Authentication {
		a2 += ":00000000000000000000000000000000"
	}
	return md5Hex(md5Hex(string(d.computeA1())) + ":" + d.nonce + ":00000001:" + d.cnonce + ":" + qops[d.protection] + ":" + md5Hex(a2))
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (d *digest) deriveKey(magic string) []byte {
	a1 := md5.Sum(d.computeA1())
	sum := md5.Sum(append(a1[:], magic...))
	return sum[:]
}

// layer is one direction of the messages that DIGEST-MD5 protects.
type layer struct {
	sign []byte
	seal *rc4.Cipher // nil for integrity only
	seq  uint32
}

func (d *digest) newLayers() (out, in *layer, err error) {
	out = &layer{sign: d.deriveKey("Digest session key to client-to-server signing key magic constant")}
	in = &layer{sign: d.deriveKey("Digest session key to server-to-client signing key magic constant")}
	if d.protection == Privacy {
		if out.seal, err = rc4.NewCipher(d.deriveKey("Digest H(A1) to client-to-server sealing key magic constant")); err != nil {
			return nil, nil, err
		}
		if in.seal, err = rc4.NewCipher(d.deriveKey("Digest H(A1) to server-to-client sealing key magic constant")); err != nil {
			return nil, nil, err
		}
	}
	return out, in, nil
}

const (
	macBytes     = 10
	trailerBytes = 6 // the type of the message and its number
	messageType  = 1
	// maxLayer is more than the 64 KiB that were agreed on, and bounds the memory.
	maxLayer = 1 << 20
)

var errLayer = errors.New("the datanode sent bytes that are not protected as agreed on")

func (l *layer) computeMAC(message []byte) []byte {
	h := hmac.New(md5.New, l.sign)
	h.Write(binary.BigEndian.AppendUint32(nil, l.seq))
	h.Write(message)
	return h.Sum(nil)[:macBytes]
}

func (l *layer) wrapMessage(message []byte) []byte {
	b := append(slices.Clone(message), l.computeMAC(message)...)
	if l.seal != nil {
		l.seal.XORKeyStream(b, b)
	}
	b = binary.BigEndian.AppendUint16(b, messageType)
	b = binary.BigEndian.AppendUint32(b, l.seq)
	l.seq++
	return b
}

// unwrapMessage returns the message, which takes the place of b.
func (l *layer) unwrapMessage(b []byte) ([]byte, error) {
	if len(b) < macBytes+trailerBytes {
		return nil, errLayer
	}
	body, trailer := b[:len(b)-trailerBytes], b[len(b)-trailerBytes:]
	if l.seal != nil {
		l.seal.XORKeyStream(body, body)
	}
	message, mac := body[:len(body)-macBytes], body[len(body)-macBytes:]
	if binary.BigEndian.Uint16(trailer) != messageType || binary.BigEndian.Uint32(trailer[2:]) != l.seq ||
		!hmac.Equal(mac, l.computeMAC(message)) {
		return nil, errLayer
	}
	l.seq++
	return message, nil
}

// layered reads and writes protected messages, each with its length in front.
type layered struct {
	conn    io.ReadWriter
	out, in *layer
	buffer  []byte
	message []byte
}

func (l *layered) Write(p []byte) (int, error) {
	b := l.out.wrapMessage(p)
	if _, err := l.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (l *layered) Read(p []byte) (int, error) {
	for len(l.message) == 0 {
		var length [4]byte
		if _, err := io.ReadFull(l.conn, length[:]); err != nil {
			return 0, err
		}
		n := int(binary.BigEndian.Uint32(length[:]))
		if n > maxLayer {
			return 0, errLayer
		}
		if cap(l.buffer) < n {
			l.buffer = make([]byte, n)
		}
		_, err := io.ReadFull(l.conn, l.buffer[:n])
		if err != nil {
			return 0, wire.UnexpectedEOF(err)
		}
		if l.message, err = l.in.unwrapMessage(l.buffer[:n]); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.message)
	l.message = l.message[n:]
	return n, nil
}
