// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// Kerberos is a login and the service it is for.
type Kerberos struct {
	Client *client.Client
	// Service is the server's principal without its realm, such as "nn/host".
	Service string
}

// TicketError tells that Kerberos gave no ticket.
type TicketError struct {
	Service string
	Err     error
}

// Error names the service.
func (e *TicketError) Error() string {
	return fmt.Sprintf("asking for a ticket for %s: %v", e.Service, e.Err)
}

// Unwrap returns the cause.
func (e *TicketError) Unwrap() error { return e.Err }

// The levels of protection, as bits of RFC 4752.
const (
	layerNone      = 1
	layerIntegrity = 2
	layerPrivacy   = 4
)

// negotiateSASL does the SASL handshake with the mechanism GSSAPI.
func (c *Conn) negotiateSASL(k *Kerberos) error {
	ticket, key, err := k.Client.GetServiceTicket(k.Service)
	if err != nil {
		return &TicketError{Service: k.Service, Err: err}
	}
	flags := []int{gssapi.ContextFlagInteg, gssapi.ContextFlagConf}
	request, err := spnego.NewKRB5TokenAPREQ(k.Client, ticket, key, flags, nil)
	if err != nil {
		return &TicketError{Service: k.Service, Err: err}
	}
	token, err := request.Marshal()
	if err != nil {
		return &TicketError{Service: k.Service, Err: err}
	}
	offer, err := c.exchangeSASL(wire.SASL{State: wire.SASLNegotiate}, wire.SASLNegotiate)
	if err != nil {
		return err
	}
	auth, err := kerberosOf(offer)
	if err != nil {
		return err
	}
	challenge, err := c.exchangeSASL(wire.SASL{State: wire.SASLInitiate, Token: token, Auths: []wire.SASLAuth{auth}}, wire.SASLChallenge)
	if err != nil {
		return err
	}
	answer, layer, err := chooseLayer(key, challenge.Token)
	if err != nil {
		return fmt.Errorf("agreeing on the protection of calls: %w", err)
	}
	if _, err := c.exchangeSASL(wire.SASL{State: wire.SASLResponse, Token: answer}, wire.SASLSuccess); err != nil {
		return err
	}
	if layer != layerNone {
		c.security = &security{token: token4121{key: key, sealed: layer == layerPrivacy}}
	}
	return nil
}

// exchangeSASL sends one message of the handshake and returns the answer.
func (c *Conn) exchangeSASL(message wire.SASL, want uint64) (wire.SASL, error) {
	if _, err := c.conn.Write(frameMessage(c.clientID, wire.CallSASL, message.Marshal())); err != nil {
		return wire.SASL{}, err
	}
	h, body, err := readMessage(c.in)
	if err != nil {
		return wire.SASL{}, wire.UnexpectedEOF(err)
	}
	if h.Status != 0 {
		return wire.SASL{}, remoteError(h)
	}
	return parseSASL(body, want)
}

func parseSASL(body []byte, want uint64) (wire.SASL, error) {
	message, _, err := wire.CutDelimited(body)
	if err != nil {
		return wire.SASL{}, fmt.Errorf("reading a SASL message: %w", err)
	}
	answer, err := wire.ParseSASL(message)
	if err != nil {
		return answer, fmt.Errorf("reading a SASL message: %w", err)
	}
	if answer.State != want {
		return answer, fmt.Errorf("the server is in the SASL state %d instead of %d", answer.State, want)
	}
	return answer, nil
}

// ErrNoKerberos tells that the server wants no Kerberos.
var ErrNoKerberos = errors.New("the server does not offer Kerberos; leave kerberos out of the settings, or correct the address")

func kerberosOf(offer wire.SASL) (wire.SASLAuth, error) {
	for _, a := range offer.Auths {
		if a.Method == "KERBEROS" && a.Mechanism == "GSSAPI" {
			return a, nil
		}
	}
	return wire.SASLAuth{}, ErrNoKerberos
}

// chooseLayer returns the server's last challenge, which proves that the server
// has the key too, with the strongest protection it offers (RFC 4752, 3.1).
func chooseLayer(key types.EncryptionKey, challenge []byte) (answer []byte, layer byte, err error) {
	plain := token4121{key: key}
	offer, err := plain.unwrapMessage(challenge)
	if err != nil {
		return nil, 0, err
	}
	if len(offer) != 4 {
		return nil, 0, fmt.Errorf("the offer has %d bytes instead of 4", len(offer))
	}
	for _, layer = range []byte{layerPrivacy, layerIntegrity, layerNone} {
		if offer[0]&layer == 0 {
			continue
		}
		choice := binary.BigEndian.Uint32(offer) & 0xffffff
		if layer == layerNone {
			choice = 0
		}
		choice |= uint32(layer) << 24
		answer, err = plain.wrapMessage(binary.BigEndian.AppendUint32(nil, choice))
		return answer, layer, err
	}
	return nil, 0, errors.New("the server offers no layer")
}

// security protects the messages of a connection. Wrapping is not safe for use
// by several goroutines.
type security struct{ token token4121 }

func (s *security) wrapMessage(message []byte) ([]byte, error) { return s.token.wrapMessage(message) }

func (s *security) unwrapMessage(body []byte) ([]byte, error) {
	m, err := parseSASL(body, wire.SASLWrap)
	if err != nil {
		return nil, err
	}
	return s.token.unwrapMessage(m.Token)
}
