// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/kuda-io/kuda/plugin"
)

const (
	dialTime = 20 * time.Second
	// A connection on which a question stays unanswered for aliveTime is given
	// up. It is asked every aliveTime.
	aliveTime = 15 * time.Second
)

// connection is one SSH connection with one SFTP session.
type connection struct {
	ssh  *ssh.Client
	sftp *sftp.Client
	gone chan struct{} // closed when the connection has ended
}

// dial connects and signs in. The credentials are read now: they may have
// changed since the last connection.
func (s settings) dial(ctx context.Context) (*connection, error) {
	op := "connecting to " + s.address
	config, err := s.clientConfig(op)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, plugin.Wrap(ctx, op, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, s.address, config)
	if err != nil {
		conn.Close()
		return nil, s.refused(ctx, op, err)
	}
	client := ssh.NewClient(c, channels, requests)
	session, err := sftp.NewClient(client)
	if err != nil {
		_ = client.Close()
		if ctx.Err() == nil {
			err = fmt.Errorf("%w; does the server offer SFTP to this user?", err)
		}
		return nil, plugin.Wrap(ctx, op, err)
	}
	one := &connection{ssh: client, sftp: session, gone: make(chan struct{})}
	go func() {
		_ = client.Wait()
		close(one.gone)
		_ = session.Close()
	}()
	go one.keep()
	return one, nil
}

// keep ends a connection whose other end is away. Without it a read would wait
// for as long as TCP does.
func (c *connection) keep() {
	for {
		select {
		case <-c.gone:
			return
		case <-time.After(aliveTime):
		}
		late := time.AfterFunc(aliveTime, c.close)
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		late.Stop()
		if err != nil {
			c.close()
			return
		}
	}
}

func (c *connection) close() { _ = c.ssh.Close() }

func (c *connection) ended() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

func (s settings) clientConfig(op string) (*ssh.ClientConfig, error) {
	methods, err := s.methods(op)
	if err != nil {
		return nil, err
	}
	if _, err := s.hosts.Read(s.hostsKey); err != nil {
		return nil, err
	}
	verify, err := knownhosts.New(filepath.Join(s.hosts.Dir, s.hostsKey))
	if err != nil {
		return nil, &plugin.Error{Op: op, Class: plugin.ErrMisconfigured,
			Err: fmt.Errorf("%s of %s is not in the form of ssh-keyscan: %w", s.hostsKey, s.hosts.Name, err)}
	}
	return &ssh.ClientConfig{User: s.user, Auth: methods, HostKeyCallback: verify,
		HostKeyAlgorithms: algorithms(verify, s.address)}, nil
}

// methods are the ways to sign in for which the Secret has what it takes.
func (s settings) methods(op string) (methods []ssh.AuthMethod, err error) {
	private, err1 := s.secret.ReadOptional(keyPrivateKey)
	passphrase, err2 := s.secret.ReadOptional(keyPassphrase)
	password, err3 := s.secret.ReadOptional(keyPassword)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if private != "" {
		signer, err := parseKey(private, passphrase)
		if err != nil {
			return nil, &plugin.Error{Op: op, Class: plugin.ErrCredentials,
				Err: fmt.Errorf("%s of %s is no private key that can be used: %w", keyPrivateKey, s.secret.Name, err)}
		}
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if password != "" {
		answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = password.Reveal()
			}
			return answers, nil
		}
		methods = append(methods, ssh.Password(password.Reveal()), ssh.KeyboardInteractive(answer))
	}
	if len(methods) == 0 {
		return nil, &plugin.Error{Op: op, Class: plugin.ErrCredentials,
			Err: fmt.Errorf("%s has neither %s nor %s, or is not mounted; add one", s.secret.Name, keyPrivateKey, keyPassword)}
	}
	return methods, nil
}

func parseKey(private, passphrase plugin.Secret) (ssh.Signer, error) {
	pem := []byte(private.Reveal() + "\n") // the Mount trims it
	if passphrase != "" {
		return ssh.ParsePrivateKeyWithPassphrase(pem, []byte(passphrase.Reveal()))
	}
	return ssh.ParsePrivateKey(pem)
}

// algorithms are those of the keys that are known for a server: one that has
// several keys is to show one of these. Empty: none is known.
func algorithms(verify ssh.HostKeyCallback, address string) (names []string) {
	var unknown *knownhosts.KeyError
	if !errors.As(verify(address, &net.TCPAddr{IP: net.IPv4zero}, noKey{}), &unknown) {
		return nil
	}
	for _, known := range unknown.Want {
		name := known.Key.Type()
		if name == ssh.KeyAlgoRSA { // the type of keys, and an algorithm of the past
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		names = append(names, name)
	}
	return names
}

// noKey is a key that no server has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// refused gives an error of the handshake its class.
func (s settings) refused(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return plugin.Wrap(ctx, op, err)
	}
	if unknown, ok := errors.AsType[*knownhosts.KeyError](err); ok {
		text := "its host key is not in %s of %s; add the line that ssh-keyscan prints, once you know that it is right"
		if len(unknown.Want) > 0 {
			text = "its host key is another one than %s of %s says; find out why before you replace it"
		}
		return &plugin.Error{Op: op, Class: plugin.ErrMisconfigured, Err: fmt.Errorf(text, s.hostsKey, s.hosts.Name)}
	}
	if _, ok := errors.AsType[*knownhosts.RevokedError](err); ok {
		return &plugin.Error{Op: op, Class: plugin.ErrMisconfigured, Err: err}
	}
	// The library has no type for these.
	switch text := err.Error(); {
	case strings.Contains(text, "unable to authenticate"):
		return &plugin.Error{Op: op, Class: plugin.ErrDenied,
			Err: fmt.Errorf("the server refused %s; check the user, and the key or the password in %s", s.user, s.secret.Name)}
	case strings.Contains(text, "no common algorithm"):
		return &plugin.Error{Op: op, Class: plugin.ErrMisconfigured, Err: err}
	}
	return plugin.Wrap(ctx, op, err)
}
