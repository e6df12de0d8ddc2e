// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/inspection"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/internal/source/limit"
)

const long = `Inspect looks at a pod from inside of its runtime's container, beside the runtime:

  kubectl exec POD -c kuda-runtime -- /kuda-runtime inspect data

It changes nothing. kubectl kuda get and kubectl kuda diff are made of it.`

// memory is what the process tries to stay within, because the runtime's
// container has both.
const memory = 96 << 20

// options are the flags of all subcommands.
type options struct {
	root, podUID string
	mounts       sourceconfig.Mounts
	output       string
	names        int
}

// New returns the command "inspect".
func New() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "inspect",
		Short: "Look at what a pod has, and at what another revision would change",
		Long:  long,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.root, "store", sidecar.DefaultStoreRoot(), "directory of snapshots and views")
	flags.StringVar(&o.podUID, "pod-uid", os.Getenv(sidecar.EnvPodUID), "UID of the pod")
	flags.StringVar(&o.mounts.Secrets, "secrets-dir", sidecar.SecretsDir, "directory with one directory per mounted Secret")
	flags.StringVar(&o.mounts.CAs, "ca-dir", sidecar.CADir, "directory with one directory per mounted ConfigMap of certificates")
	flags.StringVar(&o.mounts.Claims, "claims-dir", sidecar.ClaimsDir, "directory with one directory per mounted claim")
	flags.StringVar(&o.mounts.Identities, "identities-dir", sidecar.IdentityDir, "directory with one directory per audience of a token")
	flags.StringVar(&o.mounts.Plugins, "plugins-dir", sidecar.PluginsDir, "directory with one directory per plugin, with its socket")
	cmd.AddCommand(o.newDataCommand(), o.newPlanCommand())
	return cmd
}

func (o *options) newDataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "List the files that the application sees, with their digests",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output != "table" && o.output != "json" {
				return fmt.Errorf("--output must be table or json, not %q", o.output)
			}
			s, dir, err := o.openStore()
			if err != nil {
				return err
			}
			sets, err := readDataSets(cmd.Context(), s, dir)
			if err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(cmd.OutOrStdout(), sets)
			}
			return printTable(cmd.OutOrStdout(), sets)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "table or json")
	return cmd
}

func (o *options) newPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what revisions would change and cost in this pod",
		Long: `Plan reads a JSON list from its standard input,

  [{"dataset": "models", "prefetch": {"revision": "…", "items": […], "sources": […]}}]

in which prefetch is a message of the gateway's protocol, and writes a JSON list
with an answer for each: the files of each item that would be added, changed and
removed, and how many bytes would be downloaded to this node, found out as a
delivery does. It lists the sources and downloads no file. The pod's own credentials are used for
sources that its DataSets describe in just this way, and for no other. An item that cannot be looked at has a reason, as it would when it is
delivered.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			questions, err := readQuestions(cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.planQuestions(cmd, questions)
		},
	}
	cmd.Flags().IntVar(&o.names, "names", 20, "how many files are named of each kind")
	return cmd
}

func (o *options) planQuestions(cmd *cobra.Command, questions []question) error {
	s, dir, err := o.openStore()
	if err != nil {
		return err
	}
	delivered, err := dir.Delivered()
	if err != nil {
		return err
	}
	told, err := dir.Sources()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir.Scratch(), 0o700); err != nil {
		return fmt.Errorf("making a scratch directory: %w", err)
	}
	if o.mounts.Scratch, err = os.MkdirTemp(dir.Scratch(), "inspect-"); err != nil {
		return fmt.Errorf("making a scratch directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(o.mounts.Scratch) }()
	limits := limit.NewGroup(limit.Options{Dir: filepath.Join(o.root, podstate.LimitsDir)})
	p := &planner{store: s, sources: &sourceconfig.Opener{Mounts: o.mounts}, told: told, names: o.names,
		engine: transfer.New(transfer.Options{Store: s, Connections: 1, Limits: limits, Attempts: 2})}
	plans := make([]inspection.Plan, 0, len(questions))
	for _, q := range questions {
		plans = append(plans, p.planRevision(cmd.Context(), q, delivered))
	}
	return printJSON(cmd.OutOrStdout(), plans)
}

// openStore opens the store of a pod that is there.
func (o *options) openStore() (*store.Store, podstate.Dir, error) {
	debug.SetMemoryLimit(memory)
	if o.podUID == "" || o.podUID != filepath.Base(o.podUID) || o.podUID[0] == '.' {
		return nil, "", errors.New("--pod-uid (" + sidecar.EnvPodUID + "): must be the pod's UID")
	}
	dir := podstate.Of(o.root, o.podUID)
	if _, err := os.Stat(dir.View()); err != nil {
		return nil, "", fmt.Errorf("there is no view of pod %s in %s: run this in the container of its runtime", o.podUID, o.root)
	}
	s, err := store.Open(store.Options{Root: o.root})
	return s, dir, err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printTable(w io.Writer, sets []inspection.DataSet) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DATASET\tREVISION\tITEM\tVERSION\tSIZE\tMODE\tDIGEST\tFILE")
	for _, s := range sets {
		for _, i := range s.Items {
			for _, f := range i.Files {
				name := fmt.Sprintf("%q", f.Path)
				if f.Link != "" {
					name += fmt.Sprintf(" -> %q", f.Link)
				}
				fmt.Fprintf(t, "%s\t%s\t%s/%s\t%q\t%d\t%s\t%s\t%s\n", s.Name, s.Revision, i.Namespace, i.Name, i.Version, f.Size,
					f.Mode, f.Digest, name)
			}
		}
	}
	return t.Flush()
}
