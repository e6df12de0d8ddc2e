// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// EnvCluster names the variable with the path of the kuda-cluster binary.
const EnvCluster = "KUDA_TEST_CLUSTER"

// stopLimit is how long a server may take to end.
const stopLimit = 2 * time.Minute

// Start runs a server of a kind with settings of the form name=value, and reads what
// it says of itself into endpoints. It ends with the test. Without the binary the
// test fails.
func Start(t testing.TB, kind string, endpoints any, settings ...string) {
	t.Helper()
	StartOf(t, os.Getenv(EnvCluster), endpoints, append([]string{kind}, Flags(settings)...)...)
}

// StartOf is Start with the program's path and its arguments.
func StartOf(t testing.TB, program string, endpoints any, args ...string) {
	t.Helper()
	stop, err := Run(program, endpoints, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Flags returns the arguments for settings of the form name=value.
func Flags(settings []string) []string {
	var args []string
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	return args
}

// Run is StartOf for a server that outlives a test. It ends with stop, which
// the caller keeps, or with this process.
func Run(program string, endpoints any, args ...string) (stop func() error, err error) {
	if program == "" {
		return nil, fmt.Errorf("%s does not name the program kuda-cluster; run 'make integration'", EnvCluster)
	}
	cmd := exec.Command(program, append([]string{"storage", "run"}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	in, err := cmd.StdinPipe() // its end ends the server
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		in.Close()
		timer := time.AfterFunc(stopLimit, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("running %s: %w: %s", args[0], err, problems.String())
		}
		return nil
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, endpoints)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s, which said %q: %w", args[0], line, err), stop())
	}
	return stop, nil
}
