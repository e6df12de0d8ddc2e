// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-manager runs Kuda's controllers and the gateway that the pods' runtimes
// talk to.
package main

import (
	"os"

	// The image has no certificates of its own; measurements call servers by HTTPS.
	_ "golang.org/x/crypto/x509roots/fallback"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	if err := newCommand().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		os.Exit(1)
	}
}
