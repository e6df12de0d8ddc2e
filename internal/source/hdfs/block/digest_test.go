// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// challenge is of the exchange of RFC 2831, section 4, with this protocol's service.
func challenge(qop string) []byte {
	return []byte(`realm="0",nonce="OA6MG9tEQGm2hh",qop="` + qop + `",charset=utf-8,cipher="3des,rc4,des,rc4-56,rc4-40",algorithm=md5-sess`)
}

func TestProtectionIsNeverLessThanAskedFor(t *testing.T) {
	for _, c := range []struct {
		offered string
		least   Protection
		want    Protection
	}{
		{"auth", Authentication, Authentication}, {"auth,auth-int,auth-conf", Authentication, Authentication},
		{"auth,auth-int,auth-conf", Integrity, Integrity}, {"auth,auth-conf", Integrity, Privacy}, {"auth-conf", Authentication, Privacy},
	} {
		d, err := newDigest("user", "password", challenge(c.offered), c.least)
		if err != nil || d.protection != c.want {
			t.Errorf("%+v: got %+v, %v", c, d, err)
		}
	}
	for _, least := range []Protection{Integrity, Privacy} {
		if _, err := newDigest("user", "password", challenge("auth"), least); !errors.Is(err, ErrProtection) {
			t.Errorf("%d: got %v", least, err)
		}
	}
}

func TestADatanodeThatDoesNotKnowTheTokenIsRefused(t *testing.T) {
	d, err := newDigest("user", "password", challenge("auth"), Authentication)
	if err != nil {
		t.Fatal(err)
	}
	other := *d
	other.password = "another"
	if d.checkResponse([]byte("rspauth="+other.computeResponse(""))) == nil || d.checkResponse(nil) == nil {
		t.Error("it was accepted")
	}
	if err := d.checkResponse([]byte("rspauth=" + d.computeResponse(""))); err != nil {
		t.Error(err)
	}
}

func TestProtectedMessagesCannotBeChanged(t *testing.T) {
	for _, qop := range []string{"auth-int", "auth-conf"} {
		d, err := newDigest("user", "password", challenge(qop), Integrity)
		if err != nil {
			t.Fatal(err)
		}
		pair := func() (out, in *layer) {
			if out, _, err = d.newLayers(); err != nil {
				t.Fatal(err)
			}
			if in, _, err = d.newLayers(); err != nil { // what opens what out wraps
				t.Fatal(err)
			}
			return out, in
		}
		message := []byte("a message that is long enough")
		out, in := pair()
		for range 3 {
			if got, err := in.unwrapMessage(out.wrapMessage(message)); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%s: got %q, %v", qop, got, err)
			}
		}
		for i := range len(message) + macBytes + trailerBytes {
			out, in := pair()
			b := out.wrapMessage(message)
			b[i] ^= 1
			if _, err := in.unwrapMessage(b); err == nil {
				t.Errorf("%s: a change of byte %d was not noticed", qop, i)
			}
		}
		// Neither can one be left out.
		out, in = pair()
		out.wrapMessage(message)
		if _, err := in.unwrapMessage(out.wrapMessage(message)); err == nil {
			t.Errorf("%s: a missing message was not noticed", qop)
		}
	}
}

func FuzzDirectives(f *testing.F) {
	f.Add(string(challenge("auth")))
	f.Add(`a="`)
	f.Fuzz(func(t *testing.T, s string) { _, _ = parseDirectives(s) })
}

func FuzzLayeredReader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := newDigest("user", "password", challenge("auth-int"), Integrity)
		if err != nil {
			t.Fatal(err)
		}
		out, in, err := d.newLayers()
		if err != nil {
			t.Fatal(err)
		}
		l := &layered{conn: struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(b), io.Discard}, out: out, in: in}
		if got, err := io.ReadAll(l); err == nil && len(got) > 0 {
			t.Errorf("%d forged bytes were accepted", len(got))
		}
	})
}
