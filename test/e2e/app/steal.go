// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// steal does what a container can do that sees the process of a program: it reads its
// environment and memory and what its root has, and writes over the files of
// snapshots. It prints a line for the process, and one for each thing that it got.
func steal(programs []string) error {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range processes {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(programs) == 0 || !bytes.HasPrefix(line, []byte(programs[0])) {
			continue
		}
		fmt.Println("sees", programs[0])
		if env, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil && len(env) > 0 {
			fmt.Println("got its environment")
		}
		if f, err := os.Open(filepath.Join(dir, "mem")); err == nil {
			f.Close()
			fmt.Println("got its memory")
		}
		stealBelow(filepath.Join(dir, "root"))
	}
	return nil
}

func stealBelow(root string) {
	for _, at := range []string{"/var/run/kuda", "/var/lib/kuda"} {
		_ = filepath.WalkDir(root+at, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // what cannot be reached is not got
			}
			fmt.Println("got", path)
			if d.Type().IsRegular() && bytes.Contains([]byte(path), []byte("/snapshots/")) && os.WriteFile(path, []byte("TAMPERED"), 0o644) == nil {
				fmt.Println("wrote", path)
			}
			return nil
		})
	}
}
