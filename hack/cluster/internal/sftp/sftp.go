// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

const (
	sshd = "/usr/sbin/sshd" // it starts itself again for each connection, by its whole path
	// startLimit is how long a start may take; less than a second is usual.
	startLimit = time.Minute
)

// Endpoints is what a client needs to know.
type Endpoints struct {
	// Address is host:port.
	Address string `json:"address"`
	// User who signs in, with PrivateKey (PEM).
	User       string `json:"user"`
	PrivateKey string `json:"privateKey"`
	// HostKey of the server: its type and base64, as in known_hosts.
	HostKey string `json:"hostKey"`
	// Root is the directory on the server that has the files. On this machine
	// files may be put there directly.
	Root string `json:"root"`
}

// server is one server's place.
type server struct {
	dir     string
	address string
}

// login is who signs in.
const login = "nobody"

// Run is a storage.Run. It has no settings, and needs root. Clients sign in as
// the user "nobody", who can read only files that every user can read.
func Run(ctx context.Context, o storage.Options, ready func(any) error) error {
	for name := range o.Settings {
		return fmt.Errorf("sftp has no setting %s", name)
	}
	if os.Geteuid() != 0 {
		return errors.New("sshd signs users in as root only: run this command as root")
	}
	s, err := newServer(o)
	if err != nil {
		return fmt.Errorf("preparing sshd: %w", err)
	}
	endpoints, err := s.prepare(ctx, o.Content)
	if err != nil {
		return fmt.Errorf("preparing sshd: %w", err)
	}
	return storage.Serve(ctx, o.Dir, func(ctx context.Context, processes *storage.Processes) error {
		if err := processes.Start("sshd", s.command()); err != nil {
			return fmt.Errorf("%w; run 'kuda-cluster build --storage' as root, which installs it", err)
		}
		if err := poll.Until(ctx, startLimit, s.checkGreeting); err != nil {
			return err
		}
		return ready(endpoints)
	})
}

func newServer(o storage.Options) (server, error) {
	dir, err := filepath.Abs(filepath.Join(o.Dir, "sftp"))
	if err != nil {
		return server{}, err
	}
	address, err := o.FreeAddress()
	if err != nil {
		return server{}, err
	}
	return server{dir: dir, address: address}, nil
}

func (s server) file(name string) string { return filepath.Join(s.dir, name) }
func (s server) root() string            { return s.file("data") }

// prepare makes the keys, the configuration and the content.
func (s server) prepare(ctx context.Context, content string) (Endpoints, error) {
	// Where sshd confines what speaks before a user has signed in: empty, and
	// there on every system on which it runs as a service.
	if err := errors.Join(os.MkdirAll(s.root(), 0o755), os.MkdirAll("/run/sshd", 0o755)); err != nil {
		return Endpoints{}, err
	}
	// Of the directories above this one only the last is ours to open.
	if err := os.Chmod(filepath.Dir(s.dir), 0o711); err != nil {
		return Endpoints{}, err
	}
	for _, name := range []string{"host", "client"} {
		out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kuda", "-f", s.file(name)).CombinedOutput()
		if err != nil {
			return Endpoints{}, fmt.Errorf("making a key: %w: %s", err, out)
		}
	}
	private, err1 := os.ReadFile(s.file("client"))
	public, err2 := os.ReadFile(s.file("client.pub"))
	host, err3 := os.ReadFile(s.file("host.pub"))
	err4 := os.WriteFile(s.file("authorized_keys"), public, 0o644)
	err5 := os.WriteFile(s.file("sshd_config"), []byte(s.config()), 0o644)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return Endpoints{}, err
	}
	if content != "" {
		if err := os.CopyFS(s.root(), os.DirFS(content)); err != nil {
			return Endpoints{}, fmt.Errorf("storing %s: %w", content, err)
		}
	}
	fields := strings.Fields(string(host))
	if len(fields) < 2 {
		return Endpoints{}, errors.New("the host key has an unknown form")
	}
	return Endpoints{Address: s.address, User: login, PrivateKey: string(private),
		HostKey: fields[0] + " " + fields[1], Root: s.root()}, nil
}

// config allows one user to read, with one key, and nothing else.
func (s server) config() string {
	host, port, _ := net.SplitHostPort(s.address)
	return strings.Join([]string{
		"AddressFamily any",
		"ListenAddress " + net.JoinHostPort(host, port),
		"HostKey " + s.file("host"),
		"AuthorizedKeysFile " + s.file("authorized_keys"),
		"AllowUsers " + login,
		"AuthenticationMethods publickey",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"UsePAM no",
		"StrictModes no",
		"PidFile none",
		"DisableForwarding yes",
		"PermitTTY no",
		"MaxStartups 100",
		"MaxSessions 100",
		"LogLevel VERBOSE",
		"Subsystem sftp internal-sftp",
		"ForceCommand internal-sftp -R",
		"",
	}, "\n")
}

func (s server) command() *exec.Cmd {
	return exec.Command(sshd, "-D", "-e", "-f", s.file("sshd_config"))
}

// checkGreeting returns an error unless the server answers.
func (s server) checkGreeting(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	greeting := make([]byte, len("SSH-2.0-"))
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return err
	}
	if !bytes.Equal(greeting, []byte("SSH-2.0-")) {
		return fmt.Errorf("it greets with %q", greeting)
	}
	return nil
}
