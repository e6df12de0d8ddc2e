// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// requirement is a program and the Debian package it comes from.
type requirement struct{ program, debian string }

// needed at run time by the cluster, or by what runs on it.
var needed = []requirement{
	{"runc", "runc"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
	{"/usr/lib/cni/host-local", "containernetworking-plugins"},
	{"nft", "nftables"},
	{"iptables", "iptables"},
	{"ip", "iproute2"},
	{"tc", "iproute2"},
	{"conntrack", "conntrack"},
	{"ethtool", "ethtool"},
	{"socat", "socat"},
	{"mount", "mount"},
}

// neededToBuild is what only 'build' and 'image' use.
var neededToBuild = []requirement{{"mmdebstrap", "mmdebstrap"}}

// neededForStorage is what only the servers of 'storage run' use, and what
// makes them.
var neededForStorage = []requirement{
	{"mvn", "maven"},
	{"javac", "default-jdk-headless"},
	{Python, "python3"},
	{"/usr/bin/pip3", "python3-pip"},
	{"ceph", "ceph-common"},
	{"ceph-mon", "ceph-mon"},
	{"ceph-osd", "ceph-osd"},
	{"radosgw", "radosgw"},
	{"krb5kdc", "krb5-kdc"},
	{"kadmin.local", "krb5-admin-server"},
	{"/usr/sbin/sshd", "openssh-server"},
	{"prometheus", "prometheus"},
	{"nginx", "nginx-light"},
}

// installed is what 'build' installs.
func installed(storage bool) []requirement {
	if storage {
		return slices.Concat(needed, neededToBuild, neededForStorage)
	}
	return slices.Concat(needed, neededToBuild)
}

// MissingPackages returns the Debian packages that have to be installed before
// a cluster can run.
func MissingPackages() []string { return missing(needed) }

func missing(rs []requirement) []string {
	var packages []string
	seen := map[string]bool{}
	for _, r := range rs {
		if !present(r.program) && !seen[r.debian] {
			seen[r.debian] = true
			packages = append(packages, r.debian)
		}
	}
	return packages
}

func present(program string) bool {
	if filepath.IsAbs(program) {
		_, err := os.Stat(program)
		return err == nil
	}
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	// Not on every user's PATH, but on the one the cluster's processes get.
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return true
		}
	}
	return false
}

// installPackages installs packages. The package lists are refreshed only when
// the ones at hand do not do.
func installPackages(ctx context.Context, packages []string) error {
	list := strings.Join(packages, " ")
	if !present("apt-get") {
		return fmt.Errorf("programs are missing and this is no Debian: install what Debian calls %s, then try again", list)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("packages are missing: run 'apt-get install %s' as root, or this command as root", list)
	}
	return withoutDaemons(func() error {
		install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
		firstErr := apt(ctx, install...)
		if firstErr == nil {
			return nil
		}
		if err := apt(ctx, "update"); err != nil {
			return errors.Join(firstErr, err)
		}
		return apt(ctx, install...)
	})
}

// noDaemons is what Debian asks before a package's service is started. Servers
// among the packages (SSH, Kerberos, Ceph) are for tests to run as they need
// them, not for the machine to serve.
const noDaemons = "/usr/sbin/policy-rc.d"

const noDaemonsPolicy = "#!/bin/sh\n# of kuda-cluster, while it installs packages\nexit 101\n" // 101: forbidden by policy

// withoutDaemons keeps the services of packages that f installs from starting,
// but for a machine that has a policy of its own.
func withoutDaemons(f func() error) error {
	// One that this program left behind when it was killed is its own still.
	if text, err := os.ReadFile(noDaemons); err == nil && string(text) != noDaemonsPolicy {
		return f()
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keeping services of packages from starting: %w", err)
	}
	err := os.WriteFile(noDaemons, []byte(noDaemonsPolicy), 0o755)
	if err == nil {
		err = f()
	}
	return errors.Join(err, os.Remove(noDaemons))
}

// waitForLock has apt-get wait for another program that installs packages, such as the
// unattended upgrades of a machine that has just started, instead of failing.
const waitForLock = "DPkg::Lock::Timeout=600" // seconds

func apt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o", waitForLock}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLines(string(out), 6))
	}
	return nil
}
