// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/kuda-io/kuda/hack/chart/internal/render"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kuda-chart CHART DEPLOY_DIR")
		os.Exit(2)
	}
	if err := render.WriteManifests(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "kuda-chart:", err)
		os.Exit(1)
	}
}
