// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/rand"
	"fmt"
	"path/filepath"

	"github.com/kuda-io/kuda/hack/cluster/internal/state"
)

// bootIDFile is where the kernel names the boot of the machine, which the kubelet
// shows as the node's.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// newBoot writes the name of a boot below a directory and returns its file: each
// start of a node is another boot, as it is of a machine. Containers have a
// /proc of their own and see the host's.
func newBoot(dir string) (string, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	file := filepath.Join(dir, "boot_id")
	return file, state.WriteFile(file, fmt.Appendf(nil, "%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), 0o444)
}
