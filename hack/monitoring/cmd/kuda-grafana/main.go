// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/kuda-io/kuda/hack/monitoring/internal/grafana"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kuda-grafana DIR")
		os.Exit(2)
	}
	if err := grafana.Write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "kuda-grafana:", err)
		os.Exit(1)
	}
}
