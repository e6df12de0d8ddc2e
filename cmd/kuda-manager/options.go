// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/manager"
)

// options are the flags.
type options struct {
	manager manager.Options

	namespace    string
	caDir        string
	caSecret     string
	gatewayNames []string
	rotateCA     bool
	analysis     bool
	config       string
	keeper       string

	logLevel int
}

// group is a named set of flags; --help shows one after the other.
type group struct {
	name  string
	flags *pflag.FlagSet
}

// bindFlags binds the flags to the options.
func (o *options) bindFlags() []group {
	gateway := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
	gateway.StringVar(&o.manager.GatewayAddress, "gateway-address", ":8443", "where runtimes connect (TLS 1.3, HTTP/2)")
	gateway.StringSliceVar(&o.gatewayNames, "gateway-names", nil,
		"names in the gateway's certificate: every host that runtimes are told to connect to (default kuda-gateway.<namespace>.svc and its "+
			"longer and shorter forms)")
	gateway.BoolVar(&o.manager.ExecHooks, "exec-hooks", true,
		"run the exec hooks that DataSets declare; when this is false the manager does not need the right to create pods/exec")

	gateway.BoolVar(&o.manager.HookOutput, "hook-output", true,
		"show the last 2 KiB that a failed exec hook printed in the status of its Data, where whoever may read Data can read it")

	gateway.StringVar(&o.keeper, "keeper", "kuda-node/kuda-node-keeper",
		"namespace and name of the service account of the keepers of nodes, which report what all stores of theirs hold; empty: none is heard")

	trust := pflag.NewFlagSet("trust", pflag.ContinueOnError)
	trust.StringVar(&o.caDir, "ca-dir", "/var/run/kuda/ca", "where the Secret with the certificate authority is mounted")
	trust.StringVar(&o.caSecret, "ca-secret", "kuda-ca", "name of that Secret; the leader adds the next authority to it in time")
	trust.BoolVar(&o.rotateCA, "rotate-ca", true, "rotate the certificate authority; switch off where something else fills the Secret")

	control := pflag.NewFlagSet("controllers", pflag.ContinueOnError)
	control.BoolVar(&o.manager.LeaderElection, "leader-elect", true, "run the controllers on one replica at a time; the gateway runs on all")
	control.StringVar(&o.namespace, "namespace", "kuda-system", "the namespace that the manager runs in: of its Lease and of the Secret")
	control.IntVar(&o.manager.Concurrency, "concurrency", 8, "how many DataSets, and how many Data, are worked on at once")

	control.BoolVar(&o.manager.Preheat, "preheat", true,
		"make the pods that put data onto nodes for DataSets with spec.preheat; when this is false the manager does not need the "+
			"right to create pods")
	control.BoolVar(&o.manager.RemoveGoneStores, "remove-gone-stores", true,
		"make the pods, in namespace kuda-node, that remove from nodes what namespaces that are gone left there and close the directory of the "+
			"stores to other users of the node")
	control.StringVar(&o.manager.RuntimeImage, "runtime-image", os.Getenv("KUDA_RUNTIME_IMAGE"),
		"image of the runtime of this version, for these pods")
	control.StringVar(&o.config, "config", "/etc/kuda/config.yaml",
		"file of the mounted ConfigMap kuda-config, which says where the stores are (hostPath)")
	control.BoolVar(&o.analysis, "analysis", true,
		"take the measurements that analysis steps of rollouts ask for; when this is false each of them fails, with a message that says so")
	control.StringSliceVar(&o.manager.Analysis.AllowedHosts, "analysis-allowed-hosts", nil,
		"the only hosts that measurements may call: names, addresses, or patterns such as *.monitoring.svc (default: all but loopback, "+
			"link-local and metadata addresses)")

	watch := pflag.NewFlagSet("observation", pflag.ContinueOnError)
	watch.StringVar(&o.manager.HealthAddress, "health-address", ":8081", "where /healthz and /readyz answer; 0 switches them off")
	watch.StringVar(&o.manager.MetricsAddress, "metrics-address", ":8080", "where /metrics answers; 0 switches it off")
	watch.BoolVar(&o.manager.DataSetMetrics, "dataset-metrics", true,
		"serve metrics of each DataSet, on the leader, of the first 2,000 by namespace and name; when this is false there are only sums")
	watch.StringVar(&o.manager.PprofAddress, "pprof-address", "0", "where /debug/pprof answers; 0 switches it off")
	watch.IntVar(&o.logLevel, "log-level", 0, "0: what an operator acts on, 1: decisions too, 2: everything")

	return []group{{"Gateway", gateway}, {"Trust", trust}, {"Controllers", control}, {"Observation", watch}}
}

// completeAndValidate fills in what depends on other flags, and refuses what makes no sense.
func (o *options) completeAndValidate() error {
	switch {
	case o.namespace == "":
		return errors.New("--namespace: name the namespace that the manager runs in")
	case o.manager.Concurrency < 1:
		return fmt.Errorf("--concurrency: must be at least 1, not %d", o.manager.Concurrency)
	case o.caDir == "":
		return errors.New("--ca-dir: name the directory with the certificate authority")
	case o.manager.RemoveGoneStores && o.manager.RuntimeImage == "":
		return errors.New("--runtime-image: name the runtime's image, or set --remove-gone-stores=false")
	case o.rotateCA && o.caSecret == "":
		return errors.New("--ca-secret: name the Secret, or switch --rotate-ca off")
	}
	namespace, name, ok := strings.Cut(o.keeper, "/")
	if o.keeper != "" && (!ok || namespace == "" || name == "" || strings.Contains(name, "/")) {
		return fmt.Errorf("--keeper: must be the namespace and the name of a service account with a slash between them, not %q", o.keeper)
	}
	o.manager.Keeper = identity.Account{Namespace: namespace, Name: name}
	o.manager.LeaderNamespace = o.namespace
	o.manager.Namespace, o.manager.Replica = o.namespace, replicaName()
	o.manager.Analysis.Disabled = !o.analysis
	if len(o.gatewayNames) == 0 {
		service := "kuda-gateway." + o.namespace
		o.gatewayNames = []string{service + ".svc", service + ".svc.cluster.local", service, "kuda-gateway"}
	}
	return nil
}

// replicaName returns the name of the manager's pod: POD_NAME, or else the host name.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return strings.ToLower(cmp.Or(os.Getenv("POD_NAME"), host))
}

// usageText is the text of --help.
func usageText(groups []group) string {
	var b strings.Builder
	b.WriteString("Usage:\n  kuda-manager [flags]\n  kuda-manager create-ca [flags]\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s flags:\n%s", g.name, g.flags.FlagUsagesWrapped(100))
	}
	return b.String()
}
