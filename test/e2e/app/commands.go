// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func wait([]string) error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
	<-c
	return nil
}

func check(files []string) error {
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(data); err != nil {
			return err
		}
	}
	return nil
}

func touch(files []string) error {
	for _, name := range files {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fail(text []string) error {
	return errors.New(strings.Join(text, " "))
}

// list prints every path below a directory, links followed once at the top, so
// that a test sees what an application could see.
func list(dirs []string) error {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			_, err = fmt.Println(d.Type().String()[:1], path)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
