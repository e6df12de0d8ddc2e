// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command app is what runs in the pods of the end-to-end tests: an application
// that knows nothing of Kuda and reads files below a directory. Its image has
// no base, so it also brings the few tools that hooks and tests run in it.
package main

import (
	"fmt"
	"os"
	"strings"
)

var commands = map[string]func(args []string) error{
	"serve":  serve,      // serve [--watch DIR]: read DIR in a tight loop, say over HTTP what was seen
	"sample": sample,     // sample FILE...: say over HTTP when their first lines changed
	"wait":   wait,       // wait: until a signal comes
	"check":  check,      // check FILE...: succeed if each is there, print its content
	"touch":  touch,      // touch FILE: make or empty it
	"fail":   fail,       // fail TEXT: print it and fail
	"list":   list,       // list DIR: every path below it
	"dial":   dial,       // dial HOST:PORT...: say of each whether it is open
	"proxy":  serveProxy, // proxy HOST:PORT HOST:PORT: lead connections to the first one to the second
	"steal":  steal,      // steal PROGRAM: what can be had of a process that runs it
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: app serve|sample|wait|check|touch|fail|list|dial|proxy|steal ...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, strings.TrimSpace(err.Error()))
		os.Exit(1)
	}
}
