// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/hack/cluster/internal/cgroup"
	"github.com/kuda-io/kuda/hack/cluster/internal/network"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/sysctl"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

const endLimit = 30 * time.Second

// Down takes away all there is of the cluster, however it came to be as it is,
// and tells say what it did. It goes on when a part fails, and then looks
// for itself whether anything is left.
func Down(ctx context.Context, dir state.Dir, say func(string)) error {
	if err := CheckOwner(dir); err != nil {
		return err
	}
	record, err := dir.Load()
	if err != nil && !errors.Is(err, state.ErrNoCluster) {
		say(fmt.Sprintf("the record is damaged (%v): going by what is on the machine", err))
	}
	problems := []error{
		endProcesses(dir, say),
		removeMounts(dir, say),
		removeNetwork(ctx, record, say),
		removeCgroups(say),
		restoreSysctls(record, say),
	}
	// What is needed to try again is kept until all else is gone.
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%w\nthe state directory %s was kept; try 'kuda-cluster down' again", err, dir.Root())
	}
	if dir.Ours() {
		if err := dir.Remove(); err != nil {
			return err
		}
		say("removed state directory " + dir.Root())
	}
	left, err := Leftovers(dir)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("could not be removed:\n  %s", strings.Join(left, "\n  "))
	}
	return nil
}

// endProcesses ends what is in the cluster's cgroups, and then what was
// recorded but somehow is not in them.
func endProcesses(dir state.Dir, say func(string)) error {
	groups, names, err := ownCgroups()
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range names {
		n, err := groups.Kill(name, endLimit)
		if err != nil {
			problems = append(problems, err)
		}
		if n > 0 {
			say(fmt.Sprintf("ended %d process(es) of %s", n, name))
		}
	}
	recorded, err := process.NewTable(dir.Processes()).List()
	if err != nil {
		return errors.Join(append(problems, err)...)
	}
	for _, e := range recorded {
		if !e.Alive() {
			continue
		}
		if err := e.Stop(0); err != nil {
			problems = append(problems, err)
			continue
		}
		say(fmt.Sprintf("ended process %d, %s", e.PID, e.Name))
	}
	return errors.Join(problems...)
}

// removeMounts undoes mounts below the state directory that are seen on the
// machine itself. The nodes' own are gone with their last process.
func removeMounts(dir state.Dir, say func(string)) error {
	mounts, err := mountsBelow(dir.Root())
	if err != nil {
		return err
	}
	var problems []error
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			problems = append(problems, fmt.Errorf("unmounting %s: %w", m, err))
			continue
		}
		say("removed mount " + m)
	}
	return errors.Join(problems...)
}

// mountsBelow lists mounts in root, those within others first.
func mountsBelow(root string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer f.Close()
	var mounts []string
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		fields := strings.Fields(scan.Text())
		if len(fields) > 4 && strings.HasPrefix(fields[4], root+"/") {
			mounts = append(mounts, fields[4])
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(mounts)))
	return mounts, scan.Err()
}

func removeNetwork(ctx context.Context, r state.Record, say func(string)) error {
	links, namespaces, err := network.Found()
	if err != nil {
		return err
	}
	var problems []error
	if n, err := network.RemoveForwarding(ctx); err != nil {
		problems = append(problems, err)
	} else if n > 0 {
		say(fmt.Sprintf("removed %d firewall rule(s)", n))
	}
	for _, name := range namespaces {
		if err := network.RemoveNetns(ctx, name); err != nil {
			problems = append(problems, err)
			continue
		}
		say("removed network namespace " + name)
	}
	if r.Boot == state.BootID() && !r.NetnsDir {
		if _, err := network.RemoveNetnsDir(); err != nil {
			problems = append(problems, err)
		}
	}
	for _, name := range links {
		if err := network.RemoveLink(ctx, name); err != nil {
			problems = append(problems, err)
			continue
		}
		say("removed link " + name)
	}
	return errors.Join(problems...)
}

// ownCgroups finds the nodes' cgroups, also those of a cluster whose record is gone.
func ownCgroups() (cgroup.System, []string, error) {
	groups, err := cgroup.Detect()
	if err != nil {
		return groups, nil, err
	}
	names, err := groups.List(topology.IsOwnCgroup)
	return groups, names, err
}

func removeCgroups(say func(string)) error {
	groups, names, err := ownCgroups()
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range names {
		if err := groups.Remove(name, endLimit); err != nil {
			problems = append(problems, err)
			continue
		}
		say("removed cgroup " + name)
	}
	return errors.Join(problems...)
}

func restoreSysctls(r state.Record, say func(string)) error {
	if r.Boot != state.BootID() {
		return nil // a reboot has put them back, or the user has set them since
	}
	changed, err := sysctl.Restore(r.Sysctls)
	if len(changed) > 0 {
		sort.Strings(changed)
		say("put back the kernel settings " + strings.Join(changed, ", "))
	}
	return err
}

// Leftovers lists what there is of the cluster on this machine.
func Leftovers(dir state.Dir) ([]string, error) {
	var left []string
	groups, err := cgroup.Detect()
	if err != nil {
		return nil, err
	}
	names, err := groups.List(topology.IsOwnCgroup)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		left = append(left, "cgroup "+name)
		pids, err := groups.Processes(name)
		if err != nil {
			return nil, err
		}
		for _, pid := range pids {
			left = append(left, fmt.Sprintf("process %d: %s", pid, process.CommandLine(pid)))
		}
	}
	links, namespaces, err := network.Found()
	if err != nil {
		return nil, err
	}
	for _, name := range links {
		left = append(left, "link "+name)
	}
	for _, name := range namespaces {
		left = append(left, "network namespace "+name)
	}
	mounts, err := mountsBelow(dir.Root())
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		left = append(left, "mount "+m)
	}
	if dir.Ours() {
		left = append(left, "state directory "+dir.Root())
	}
	return left, nil
}
