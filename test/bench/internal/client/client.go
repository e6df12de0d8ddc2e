// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kind tells whom a figure belongs to.
type Kind string

// The kinds.
const (
	Ours    Kind = "ours"
	Peer    Kind = "peer"
	Ceiling Kind = "ceiling"
)

// Place is the fresh directory of one run.
type Place struct{ Dir string }

// Out is where the files are to be, and nothing else.
func (p Place) Out() string { return filepath.Join(p.Dir, "out") }

// State is where a client may keep what else it needs.
func (p Place) State() string { return filepath.Join(p.Dir, "state") }

// Make makes the directories.
func (p Place) Make() error {
	for _, dir := range []string{p.Out(), p.State()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Client is one program with one set of settings.
type Client struct {
	Name string
	Kind Kind
	// Tuned tells that it does not run with the settings it has by itself.
	Tuned bool
	// Partial tells that it fetches only a part of what the row is about.
	Partial bool
	// Broken is why it cannot run, or nil.
	Broken error
	// Command downloads into a place.
	Command func(Place) *exec.Cmd
}

// Settings returns the command line without the machine's own paths.
func (c Client) Settings() string {
	if c.Command == nil {
		return ""
	}
	cmd := c.Command(Place{Dir: "."})
	args := append([]string{filepath.Base(cmd.Path)}, cmd.Args[1:]...)
	for i, arg := range args {
		if i > 0 && filepath.IsAbs(arg) {
			var names []string // a path, or several
			for path := range strings.SplitSeq(arg, ":") {
				names = append(names, filepath.Base(path))
			}
			args[i] = strings.Join(names, ":")
		}
	}
	return strings.Join(args, " ")
}

// command runs a program with variables beside the usual ones.
func command(env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// Broken is a client that could not be installed; it is part of the result.
func Broken(name string, err error) Client { return Client{Name: name, Kind: Peer, Broken: err} }

// NewCeiling is the harness's own program, self, doing a saved job.
func NewCeiling(self, job string) Client {
	return Client{Name: "ceiling", Kind: Ceiling, Command: func(p Place) *exec.Cmd {
		return command(nil, self, "ceiling", job, p.Out())
	}}
}
