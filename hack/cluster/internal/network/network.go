// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// netnsDir is where ip-netns keeps namespaces by name.
const netnsDir = "/run/netns"

// HaveNetnsDir reports whether anything has used named namespaces since the
// machine started.
func HaveNetnsDir() bool {
	_, err := os.Lstat(netnsDir)
	return err == nil
}

// RemoveNetnsDir takes away the directory ip-netns made for the cluster's
// namespaces, unless another process has one there now. It reports whether it
// did.
func RemoveNetnsDir() (bool, error) {
	entries, err := os.ReadDir(netnsDir)
	if errors.Is(err, os.ErrNotExist) || (err == nil && len(entries) > 0) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("removing %s: %w", netnsDir, err)
	}
	// ip-netns mounts the directory on itself; whether it did so here is not known.
	if err := unix.Unmount(netnsDir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return false, fmt.Errorf("unmounting %s: %w", netnsDir, err)
	}
	if err := os.Remove(netnsDir); err != nil {
		return false, fmt.Errorf("removing %s: %w", netnsDir, err)
	}
	return true, nil
}

// run executes a program for its effect; what it says is part of the error.
func run(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Exists reports whether the host has a link called name.
func Exists(name string) bool {
	_, err := os.Lstat("/sys/class/net/" + name)
	return err == nil
}

// CreateBridge makes the bridge. owner is the state directory it belongs to;
// it is kept as the link's alias, by which Owner finds it.
func CreateBridge(ctx context.Context, owner string) error {
	for _, argv := range [][]string{
		{"ip", "link", "add", topology.Bridge, "type", "bridge"},
		{"ip", "link", "set", topology.Bridge, "alias", owner},
		{"ip", "addr", "add", topology.BridgeAddress + "/24", "dev", topology.Bridge},
		{"ip", "link", "set", topology.Bridge, "up"},
	} {
		if err := run(ctx, argv...); err != nil {
			return fmt.Errorf("making the bridge: %w", err)
		}
	}
	return nil
}

// Owner returns the state directory the bridge belongs to, or "" when there is
// no bridge or it does not say.
func Owner() string {
	body, err := os.ReadFile("/sys/class/net/" + topology.Bridge + "/ifalias")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// Conflict returns an address of this machine that overlaps the cluster's
// networks, with the link that has it, or "" when all is free.
func Conflict() (string, error) {
	links, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("listing links: %w", err)
	}
	for _, want := range []string{topology.BridgePrefix, topology.PodCIDR, topology.ServiceCIDR} {
		_, ours, err := net.ParseCIDR(want)
		if err != nil {
			return "", err
		}
		for _, l := range links {
			if l.Name == topology.Bridge {
				continue
			}
			addresses, err := l.Addrs()
			if err != nil {
				continue
			}
			for _, a := range addresses {
				theirs, ok := a.(*net.IPNet)
				if ok && (ours.Contains(theirs.IP) || theirs.Contains(ours.IP)) {
					return fmt.Sprintf("%s on %s", theirs, l.Name), nil
				}
			}
		}
	}
	return "", nil
}

// CreateNode makes the namespace of node n, its cable, and the routes to and
// from the pods of all count nodes.
func CreateNode(ctx context.Context, n topology.Node, count int) error {
	batch := []string{
		"link set lo up",
		fmt.Sprintf("addr add %s/24 dev eth0", n.Address()),
		"link set eth0 up",
		"route add default via " + topology.BridgeAddress,
	}
	for _, m := range topology.Nodes(count) {
		if m != n {
			batch = append(batch, fmt.Sprintf("route add %s via %s", m.PodCIDR(), m.Address()))
		}
	}
	steps := [][]string{
		{"ip", "netns", "add", n.Netns()},
		{"ip", "link", "add", n.Veth(), "type", "veth", "peer", "name", "eth0", "netns", n.Netns()},
		{"ip", "link", "set", n.Veth(), "master", topology.Bridge, "up"},
	}
	for _, argv := range steps {
		if err := run(ctx, argv...); err != nil {
			return fmt.Errorf("connecting %s: %w", n.Name(), err)
		}
	}
	cmd := exec.CommandContext(ctx, "ip", "-n", n.Netns(), "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(batch, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("connecting %s: %w: %s", n.Name(), err, strings.TrimSpace(string(out)))
	}
	err := inside(n, func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
	if err != nil {
		return fmt.Errorf("connecting %s: %w", n.Name(), err)
	}
	err = run(ctx, "ip", "route", "replace", n.PodCIDR().String(), "via", n.Address().String(), "dev", topology.Bridge)
	if err != nil {
		return fmt.Errorf("connecting %s: %w", n.Name(), err)
	}
	return nil
}

// inside calls f on a thread of its own in the network namespace of node n.
func inside(n topology.Node, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: a thread that has entered a namespace ends with its
		// goroutine instead of going back to the others.
		runtime.LockOSThread()
		ns, err := os.Open(n.NetnsPath())
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering %s: %w", n.NetnsPath(), err)
			return
		}
		done <- f()
	}()
	return <-done
}

// HaveTable returns nil when the network of node n has an nftables table called
// name, of the family ip.
func HaveTable(ctx context.Context, n topology.Node, name string) error {
	return run(ctx, "ip", "netns", "exec", n.Netns(), "nft", "list", "table", "ip", name)
}

// RemoveNode takes away the namespace and the cable of node n, as far as they
// are there. The host's route to its pods stays until the bridge goes.
func RemoveNode(ctx context.Context, n topology.Node) error {
	return errors.Join(removeLink(ctx, n.Veth()), RemoveNetns(ctx, n.Netns()))
}

// RemoveNetns removes the network namespace called name, when it is there.
func RemoveNetns(ctx context.Context, name string) error {
	path := filepath.Join(netnsDir, name)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := run(ctx, "ip", "netns", "del", name); err != nil {
		// After a crash the name may be a plain file with nothing mounted on it.
		if rmErr := os.Remove(path); rmErr == nil {
			return nil
		}
		return fmt.Errorf("removing network namespace: %w", err)
	}
	return nil
}

func removeLink(ctx context.Context, name string) error {
	if !Exists(name) {
		return nil
	}
	if err := run(ctx, "ip", "link", "del", name); err != nil && Exists(name) {
		return fmt.Errorf("removing link: %w", err)
	}
	return nil
}

// Found lists what there is of the cluster's links and namespaces.
func Found() (links, namespaces []string, err error) {
	if links, err = own("/sys/class/net", topology.IsOwnLink); err != nil {
		return nil, nil, err
	}
	if namespaces, err = own(netnsDir, topology.IsOwnNetns); err != nil {
		return nil, nil, err
	}
	return links, namespaces, nil
}

func own(dir string, ours func(string) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("looking for the cluster's network: %w", err)
	}
	var names []string
	for _, e := range entries {
		if ours(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// RemoveLink removes one of the links Found returned; routes go with it.
func RemoveLink(ctx context.Context, name string) error { return removeLink(ctx, name) }
