// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-manager runs Kuda's controllers and the gateway that the pods' runtimes
// talk to.
package main

import (
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	if err := newCommand().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		os.Exit(1)
	}
}
