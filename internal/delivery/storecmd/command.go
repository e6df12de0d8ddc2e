// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storecmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const long = `Store looks after a directory of snapshots: the bytes of items at versions, which
the pods of a namespace on a node share, or which "fetch --store" keeps.

It may run at any time beside the runtimes that use the store. A snapshot that a
running runtime holds, that a living pod is at or can go back to, or that is
preheated for pods to come, is never pruned.

On a node, the store of a namespace is /var/lib/kuda/<namespace>/<UID of the
namespace>; in the runtime's container the default of --store names it.

Exit codes: 0 done, 1 another failure, 2 wrong usage, 3 damaged snapshots were
found, 4 a snapshot that was named is not in the store.`

// options are the flags of all subcommands.
type options struct {
	root   string
	output string
	repair bool
	to     store.Amount
	all    bool
	dryRun bool
}

// New returns the command "store". It carries the exit code of a failure in its
// error, for ExitCode.
func New() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "store",
		Short: "List, verify and prune the snapshots of a store",
		Long:  long,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageErrorf("%q is no subcommand of store; see store --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&o.root, "store", sidecar.DefaultStoreRoot(), "directory of the store")
	cmd.AddCommand(o.newListCommand(), o.newVerifyCommand(), o.newPruneCommand())
	for _, c := range append(cmd.Commands(), cmd) {
		c.SilenceUsage, c.SilenceErrors = true, true
		c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageErrorf("%w", err) })
	}
	return cmd
}

func (o *options) newListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the snapshots and downloads in the store",
		Long: `List shows what the store has, least recently used first and what is preheated
last: that is the order in which snapshots are evicted when room is needed.

LEASES is how many leases of a snapshot running processes hold (a runtime may
hold several), as far as they can be seen from here: inside a container those of
other containers are seen as "yes". PODS is how many living pods are at the
snapshot or can go back to it. PREHEAT names the DataSets that it is kept for.`,
		Example: `  # what the pods of the namespace "shop" share on this node
  kuda-runtime store list --store /var/lib/kuda/shop/<UID>

  # bytes of everything that is complete
  kuda-runtime store list -o json | jq '[.[] | select(.complete).bytes] | add'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output != "table" && o.output != "json" {
				return usageErrorf("--output must be table or json, not %q", o.output)
			}
			s, err := o.openStore()
			if err != nil {
				return err
			}
			entries, err := listEntries(s)
			if err != nil {
				return err
			}
			return printEntries(cmd.OutOrStdout(), entries, o.output)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "table or json")
	return cmd
}

func (o *options) newVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [ID...]",
		Short: "Read snapshots again and compare them with their digests",
		Long: `Verify reads every byte of the snapshots that are named, or of all of them, and
compares them with the digests in their manifests. The start of an ID is enough
where it is unique. Each snapshot is a line: its ID and "whole", "damaged" with
the reason, or "gone" when it was evicted meanwhile.

With --repair the damaged ones are taken out of the store, so that the next
delivery brings them again. Pods keep the files that their views have until then;
restart a pod to have its data delivered again at once.`,
		Example: `  # after a disk reported errors
  kuda-runtime store verify --store /var/lib/kuda/shop/<UID> --repair`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			s, err := o.openStore()
			if err != nil {
				return err
			}
			return o.verifyAll(ctx, cmd, s, args)
		},
	}
	cmd.Flags().BoolVar(&o.repair, "repair", false, "take damaged snapshots out of the store")
	return cmd
}

func (o *options) verifyAll(ctx context.Context, cmd *cobra.Command, s *store.Store, args []string) error {
	ids, err := resolveIDs(s, args)
	if err != nil {
		return err
	}
	examine := s.Examine
	if o.repair {
		examine = s.Verify
	}
	damaged := 0
	for _, id := range ids {
		err := examine(ctx, id, true)
		switch {
		case err == nil:
			fmt.Fprintln(cmd.OutOrStdout(), id, "whole")
		case errors.Is(err, snapshot.ErrDamaged):
			damaged++
			fmt.Fprintln(cmd.OutOrStdout(), id, "damaged:", err)
		case errors.Is(err, store.ErrNotStored):
			fmt.Fprintln(cmd.OutOrStdout(), id, "gone")
		default:
			return fmt.Errorf("verifying %s: %w", id, err)
		}
	}
	switch {
	case damaged > 0 && o.repair:
		return &exitError{exitDamaged, fmt.Errorf("%d of %d snapshots were damaged and are taken out of the store; the next delivery brings "+
			"them again", damaged, len(ids))}
	case damaged > 0:
		return &exitError{exitDamaged, fmt.Errorf("%d of %d snapshots are damaged; run this again with --repair to take them out of the store",
			damaged, len(ids))}
	}
	return nil
}

func (o *options) newPruneCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prune (--to AMOUNT | --all-unused)",
		Short: "Evict unused snapshots",
		Long: `Prune evicts snapshots that no running runtime holds, no living pod is at or can
go back to and no DataSet preheats, least recently used first. It prints a line
for each.`,
		Example: `  # what would go if the store were to have at most 50 GiB
  kuda-runtime store prune --store /var/lib/kuda/shop/<UID> --to 50Gi --dry-run`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed("to")
			if given == o.all {
				return usageErrorf("prune takes either --to or --all-unused")
			}
			if o.to.Percent > 0 {
				return usageErrorf("--to takes bytes, such as 50Gi, not a share")
			}
			s, err := o.openStore()
			if err != nil {
				return err
			}
			pruned, err := s.Prune(o.to.Bytes, o.dryRun)
			verb := "evicted"
			if o.dryRun {
				verb = "would evict"
			}
			var sum int64
			for _, p := range pruned {
				sum += p.Bytes
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s  %s  %s\n", verb, p.ID, bytesize.Text(p.Bytes), displayName(p.Key))
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %d snapshots, %s\n", verb, len(pruned), bytesize.Text(sum))
			return nil
		},
	}
	cmd.Flags().Var(&o.to, "to", "evict until all snapshots together have at most this: bytes, 500Mi, 50Gi")
	cmd.Flags().BoolVar(&o.all, "all-unused", false, "evict every unused snapshot")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be evicted, and evict nothing")
	return cmd
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageErrorf("store %s takes no arguments; see store %s --help", cmd.Name(), cmd.Name())
	}
	return nil
}

// openStore opens a store that is there; a misspelt name must not make one.
func (o *options) openStore() (*store.Store, error) {
	info, err := os.Lstat(filepath.Join(o.root, "snapshots"))
	if err != nil || !info.IsDir() {
		inside, _ := filepath.Glob(filepath.Join(o.root, "*-*-*-*-*", "snapshots"))
		if len(inside) > 0 {
			return nil, usageErrorf("there is no store at %s; that of its namespace is %s", o.root, filepath.Dir(inside[0]))
		}
		return nil, usageErrorf("there is no store at %s; name its directory with --store", o.root)
	}
	pods := podstate.NewPods(o.root)
	return store.Open(store.Options{Root: o.root, Needed: pods.Needed, Wanted: pods.Wanted})
}

// resolveIDs finds the snapshots that are meant, all of them when none is named.
func resolveIDs(s *store.Store, names []string) ([]snapshot.ID, error) {
	snapshots, err := s.Snapshots()
	if err != nil {
		return nil, err
	}
	ids, err := s.Unreadable()
	if err != nil {
		return nil, err
	}
	for _, snapshot := range snapshots {
		ids = append(ids, snapshot.ID)
	}
	if len(names) == 0 {
		slices.Sort(ids)
		return ids, nil
	}
	var meant []snapshot.ID
	for _, name := range names {
		var found []snapshot.ID
		for _, id := range ids {
			if name != "" && strings.HasPrefix(string(id), name) {
				found = append(found, id)
			}
		}
		switch len(found) {
		case 0:
			return nil, &exitError{exitNotStored, fmt.Errorf("the snapshot %q is not in the store; see store list", name)}
		case 1:
			meant = append(meant, found[0])
		default:
			return nil, usageErrorf("%q is the start of %d IDs; write more of it", name, len(found))
		}
	}
	return meant, nil
}
