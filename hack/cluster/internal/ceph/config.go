// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceph

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// layout is where everything of one server is.
type layout struct {
	dir     string // of this package alone
	fsid    string
	monPort int
	s3      string // host:port
}

func (l layout) conf() string    { return filepath.Join(l.dir, "ceph.conf") }
func (l layout) keyring() string { return filepath.Join(l.dir, "keyring") }
func (l layout) monmap() string  { return filepath.Join(l.dir, "monmap") }
func (l layout) mon() string     { return filepath.Join(l.dir, "mon") }
func (l layout) osd() string     { return filepath.Join(l.dir, "osd") }
func (l layout) rgw() string     { return filepath.Join(l.dir, "rgw") }

func (l layout) monAddress() string {
	return "v2:" + net.JoinHostPort(loopback, strconv.Itoa(l.monPort))
}

// loopback is where monitor and OSD listen.
const loopback = "127.0.0.1"

// config is the text of ceph.conf. What is not obvious:
//   - Programs log to standard error and have no admin sockets, whose paths
//     would be too long below most temporary directories.
//   - One OSD without a manager is enough for S3; its pools have one replica
//     and one placement group.
//   - The monitor gathers changes for a second before it writes them, and
//     clients look for a new map every five; a start is a chain of both.
func (l layout) config() string {
	return fmt.Sprintf(`[global]
fsid = %[1]s
mon_host = %[2]s
public_addr = %[3]s
cluster_addr = %[3]s
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = %[4]s
run_dir = %[5]s
crash_dir = %[5]s
admin_socket =
pid_file =
log_file =
log_to_file = false
log_to_stderr = true
err_to_stderr = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
objecter_tick_interval = 0.2

[mon]
mon_data = %[6]s
mon_cluster_log_to_file = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 0
mon_data_avail_crit = 0
mon_tick_interval = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
auth_allow_insecure_global_id_reclaim = false

[osd]
osd_data = %[7]s
osd_objectstore = memstore
memstore_device_bytes = %[10]d
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_class_load_list = *
osd_class_default_list = *

[client]
rgw_data = %[8]s
rgw_frontends = beast endpoint=%[9]s
rgw_thread_pool_size = 16
rgw_run_sync_thread = false
`, l.fsid, l.monAddress(), loopback, l.keyring(), l.dir, l.mon(), l.osd(), l.rgw(), l.s3, capacity)
}

// capacity is how many bytes the OSD says it can hold. Memory is used for what
// is stored only.
const capacity = 8 << 30

// write makes the directories and files that the programs start from. A server
// that was killed may have left its own; they are of no use.
func (l layout) write() error {
	if err := os.RemoveAll(l.dir); err != nil {
		return err
	}
	for _, dir := range []string{l.mon(), l.osd(), l.rgw()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(l.conf(), []byte(l.config()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(l.keyring(), []byte(newKeyring()), 0o600)
}

// newUUID is a random UUID.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
