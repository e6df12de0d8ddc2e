// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Spec is a process to start.
type Spec struct {
	// Name is unique in the cluster: "etcd", "node1/kubelet".
	Name string
	Argv []string
	// Env is added to Environment.
	Env []string
	// Log is the file that gets standard output and error, appended.
	Log   string
	Place Place
}

// Environment is what the cluster's processes are given: little, so that
// proxies and other settings of the user's shell do not change how they run.
func Environment(binDir string, more ...string) []string {
	return append([]string{
		"PATH=" + binDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/",
		"LANG=C.UTF-8",
	}, more...)
}

// UserEnvironment is this process's environment with the cluster's programs
// first on the PATH.
func UserEnvironment(binDir string) []string {
	env := []string{"PATH=" + binDir + ":" + os.Getenv("PATH")}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PATH=") {
			env = append(env, kv)
		}
	}
	return env
}

// Start starts the process in a session of its own, to outlive this one. When
// it returns without an error the program itself runs, in its place.
func Start(s Spec) (Identity, error) {
	id, err := start(s)
	if err != nil {
		return Identity{}, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	return id, nil
}

func start(s Spec) (Identity, error) {
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o755); err != nil {
		return Identity{}, err
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Identity{}, err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return Identity{}, err
	}
	body, err := json.Marshal(launch{Place: s.Place, Argv: s.Argv, Env: s.Env})
	if err != nil {
		return Identity{}, err
	}
	statusRead, statusWrite, err := os.Pipe()
	if err != nil {
		return Identity{}, err
	}
	defer statusRead.Close()
	placeRead, placeWrite, err := os.Pipe()
	if err != nil {
		statusWrite.Close()
		return Identity{}, err
	}
	defer placeRead.Close()

	cmd := exec.Command(self, LaunchArgument)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{statusWrite, placeRead}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	statusWrite.Close()
	if err != nil {
		placeWrite.Close()
		return Identity{}, err
	}
	// The process is this program's child until this program ends; no other
	// process would collect its exit status.
	go cmd.Wait() //nolint:errcheck // how it ended is in its log
	_, err = placeWrite.Write(body)
	placeWrite.Close()
	if err != nil {
		return Identity{}, err
	}
	// The pipe closes when the program is executed; before that it may bring the
	// reason why not.
	reason, err := io.ReadAll(statusRead)
	if err != nil {
		return Identity{}, err
	}
	if len(reason) > 0 {
		return Identity{}, fmt.Errorf("%s", reason)
	}
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		return Identity{}, fmt.Errorf("it ended at once: %s", LogTail(s.Log))
	}
	return id, nil
}

// LogTail returns the last lines of a log file, for error messages.
func LogTail(path string) string {
	const lines, window = 6, 8 << 10
	f, err := os.Open(path)
	if err != nil {
		return "no log: " + err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > window {
		if _, err := f.Seek(-window, io.SeekEnd); err != nil {
			return "no log: " + err.Error()
		}
	}
	body, err := io.ReadAll(f)
	if err != nil {
		return "no log: " + err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(body)), "\n")
	return fmt.Sprintf("last lines of %s:\n  %s", path, strings.Join(all[max(0, len(all)-lines):], "\n  "))
}
