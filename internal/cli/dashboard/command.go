// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/dashboard"
	"github.com/kuda-io/kuda/internal/dashboard/page"
	"github.com/kuda-io/kuda/internal/dashboard/session"
)

const maxPort = 65535

type options struct {
	frame     *frame.Frame
	port      int
	noBrowser bool
	system    string
	// open opens an address in the browser.
	open func(ctx context.Context, address string) error
}

// Command makes the command dashboard.
func Command(f *frame.Frame) *cobra.Command { return newCommand(f, openBrowser) }

func newCommand(f *frame.Frame, open func(context.Context, string) error) *cobra.Command {
	o := &options{frame: f, open: open}
	cmd := &cobra.Command{
		Use:     "dashboard",
		Short:   "Show DataSets, their rollouts and nodes on a page, and steer by click",
		GroupID: frame.GroupLook,
		Long: `Serves a page on this machine and opens it in the browser: DataSets, rollouts live,
history and differences, pods, which nodes hold what, and what the doctor finds.
Rollouts are steered by buttons. It acts with your kubeconfig and your rights, and
nothing has to be installed for it in the cluster.

The page is served on 127.0.0.1 only. The address has a secret that is good for one
browser; run the command again for another. It ends with Ctrl-C.`,
		Example: `  kubectl kuda dashboard
  kubectl kuda dashboard --context staging --port 8001 --no-browser`,
		Args: frame.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.IntVar(&o.port, "port", 0, "port on 127.0.0.1; 0 takes a free one")
	flags.BoolVar(&o.noBrowser, "no-browser", false, "only print the address")
	flags.StringVar(&o.system, "system-namespace", "", "namespace that Kuda is installed in (default kuda-system)")
	return cmd
}

func (o *options) run(ctx context.Context) error {
	if o.port < 0 || o.port > maxPort {
		return fmt.Errorf("--port: must be from 0 to %d", maxPort)
	}
	caller, err := o.caller()
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)))
	if err != nil {
		return fmt.Errorf("listening; choose another port by --port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	door := session.NewLocal(caller, port)
	server := dashboard.New(dashboard.Options{
		Door: door, Hosts: []string{"127.0.0.1", "localhost"}, Page: page.Built(), System: o.system, Now: o.frame.Now,
		Limits: dashboard.DefaultLimits(),
	})
	address := fmt.Sprintf("http://127.0.0.1:%d/", port)
	withSecret := address + "#s=" + door.Secret()
	fmt.Fprintf(o.frame.Out, "The dashboard is at %s\nIt ends with Ctrl-C.\n", withSecret)
	if !o.noBrowser {
		if err := o.open(ctx, withSecret); err != nil {
			fmt.Fprintf(o.frame.ErrOut, "note: no browser could be opened (%v); open the address yourself\n", err)
		}
	}
	return server.Serve(ctx, listener)
}

// caller is the user of the kubeconfig.
func (o *options) caller() (*session.Caller, error) {
	config, err := o.frame.RESTConfig()
	if err != nil {
		return nil, err
	}
	c, err := o.frame.Client()
	if err != nil {
		return nil, err
	}
	namespace, err := o.frame.Namespace()
	if err != nil {
		return nil, err
	}
	return &session.Caller{Client: c, Config: config, Digest: "local", Cluster: o.frame.ContextName(), Namespace: namespace}, nil
}
