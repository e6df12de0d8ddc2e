// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"fmt"
	"io"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/version"
)

// Manager is the name under which the command line changes objects; the API
// server notes it in their managed fields.
const Manager = "kubectl-kuda"

// A person waits for the answer: the client's own brake is for controllers.
const (
	queriesPerSecond = 50
	queryBurst       = 300
)

// Streams are where a command reads and writes.
type Streams struct {
	In          io.Reader
	Out, ErrOut io.Writer
}

// Frame is what a command gets.
type Frame struct {
	Streams
	// Now is the clock.
	Now func() time.Time
	// Program is how the user calls it: "kubectl kuda" or "kuda".
	Program string
	// Connect makes the client; tests put theirs here.
	Connect func() (client.WithWatch, error)

	config    clientcmd.ClientConfig
	overrides *clientcmd.ConfigOverrides
	rules     *clientcmd.ClientConfigLoadingRules
	connected client.WithWatch
}

// New makes a frame that finds the cluster as kubectl does.
func New(s Streams) *Frame {
	f := &Frame{
		Streams:   s,
		Now:       time.Now,
		Program:   "kuda",
		overrides: &clientcmd.ConfigOverrides{},
		rules:     clientcmd.NewDefaultClientConfigLoadingRules(),
	}
	f.config = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, f.overrides)
	f.Connect = f.newClient
	return f
}

// AddFlags adds kubectl's flags that choose a cluster, a user and a namespace.
func (f *Frame) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.rules.ExplicitPath, "kubeconfig", "", "path to the kubeconfig file")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.ClusterOverrideFlags.APIServer.ShortName = "s"
	clientcmd.BindOverrideFlags(f.overrides, flags, names)
}

// Scheme knows Kuda's kinds and those of Kubernetes.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// Client returns the client; it is made once.
func (f *Frame) Client() (client.WithWatch, error) {
	if f.connected == nil {
		c, err := f.Connect()
		if err != nil {
			return nil, err
		}
		f.connected = c
	}
	return f.connected, nil
}

// RESTConfig is how to reach the API server, for what the client cannot do.
func (f *Frame) RESTConfig() (*rest.Config, error) {
	config, err := f.config.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	config.UserAgent = Manager + "/" + version.Version
	config.QPS, config.Burst = queriesPerSecond, queryBurst
	config.WarningHandler = rest.NewWarningWriter(f.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	return config, nil
}

func (f *Frame) newClient() (client.WithWatch, error) {
	// What libraries log is not for the person at the terminal.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	config, err := f.RESTConfig()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return c, nil
}

// Namespace is the one that -n names, or the context's.
func (f *Frame) Namespace() (string, error) {
	namespace, _, err := f.config.Namespace()
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig file: %w", err)
	}
	return namespace, nil
}

// ContextName is the name of the context that is used, or empty where there is none.
func (f *Frame) ContextName() string {
	if f.overrides.CurrentContext != "" {
		return f.overrides.CurrentContext
	}
	raw, err := f.config.RawConfig()
	if err != nil {
		return ""
	}
	return raw.CurrentContext
}

// The groups under which the help shows the commands (cobra.Command.GroupID).
const (
	GroupLook  = "look"
	GroupSteer = "steer"
)
