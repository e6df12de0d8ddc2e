// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cgroup"
	"github.com/kuda-io/kuda/hack/cluster/internal/kube"
	"github.com/kuda-io/kuda/hack/cluster/internal/pki"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

const readyLimit = 90 * time.Second

// Parts are the processes of the control plane, in the order they start.
var Parts = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// ControlPlane is what is needed to run one.
type ControlPlane struct {
	State   state.Dir
	Tools   build.Toolset
	Cgroups cgroup.System
}

func (c ControlPlane) table() process.Table { return process.NewTable(c.State.Processes()) }

// Server is the API server's URL.
func Server() string { return fmt.Sprintf("https://%s:%d", topology.BridgeAddress, topology.APIPort) }

// Running reports whether all parts run.
func (c ControlPlane) Running() bool {
	for _, name := range Parts {
		if !c.table().Running(name) {
			return false
		}
	}
	return true
}

// Credentials makes the authority and everything it signs for the host's side.
func (c ControlPlane) Credentials() (*pki.Authority, error) {
	dir := c.State.PKI()
	ca, err := pki.NewAuthority("kuda-dev")
	if err != nil {
		return nil, err
	}
	frontProxy, err := pki.NewAuthority("kuda-dev front proxy")
	if err != nil {
		return nil, err
	}
	tokens, err := pki.NewSigningKey()
	if err != nil {
		return nil, err
	}
	for name, pair := range map[string]pki.Pair{"ca": ca.Pair, "front-proxy-ca": frontProxy.Pair, "service-account": tokens} {
		if err := pair.Write(dir, name); err != nil {
			return nil, err
		}
	}
	for _, r := range []struct {
		name string
		ca   *pki.Authority
		pki.Request
	}{
		{"kube-apiserver", ca, pki.Request{Name: "kube-apiserver", Hosts: []string{
			topology.BridgeAddress, topology.APIServiceAddress, "127.0.0.1", "localhost",
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + topology.Domain,
		}}},
		{"kubelet-client", ca, pki.Request{Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}},
		{"front-proxy-client", frontProxy, pki.Request{Name: "front-proxy-client"}},
	} {
		pair, err := r.ca.Issue(r.Request)
		if err != nil {
			return nil, err
		}
		if err := pair.Write(dir, r.name); err != nil {
			return nil, err
		}
	}
	for path, r := range map[string]pki.Request{
		c.State.Kubeconfig():                    {Name: "kuda-dev-admin", Groups: []string{"system:masters"}},
		c.kubeconfig("kube-controller-manager"): {Name: "system:kube-controller-manager"},
		c.kubeconfig("kube-scheduler"):          {Name: "system:kube-scheduler"},
	} {
		pair, err := ca.Issue(r)
		if err != nil {
			return nil, err
		}
		if err := pki.WriteKubeconfig(path, Server(), ca.Cert, pair); err != nil {
			return nil, err
		}
	}
	return ca, nil
}

func (c ControlPlane) kubeconfig(name string) string {
	return filepath.Join(c.State.PKI(), name+".kubeconfig")
}

// CheckPorts reports the first port that another program has.
func CheckPorts() error {
	for _, p := range []struct {
		address string
		port    int
		user    string
	}{
		{"127.0.0.1", topology.EtcdClientPort, "etcd"},
		{"127.0.0.1", topology.EtcdPeerPort, "etcd"},
		{topology.BridgeAddress, topology.APIPort, "the API server"},
		{"127.0.0.1", topology.ControllerManagerPort, "the controller manager"},
		{"127.0.0.1", topology.SchedulerPort, "the scheduler"},
	} {
		address := net.JoinHostPort(p.address, strconv.Itoa(p.port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%s, which %s needs, cannot be used: %w; find its user with 'ss -ltnp sport = :%d' and end it", address, p.user, err, p.port)
		}
		l.Close()
	}
	return nil
}

// Start starts etcd and the API server and returns when the latter is ready;
// the others are started then and find their way alone.
func (c ControlPlane) Start(ctx context.Context) error {
	if err := os.MkdirAll(c.State.Etcd(), 0o700); err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	for _, name := range Parts[:2] {
		if err := c.startPart(name); err != nil {
			return err
		}
	}
	client, err := kube.NewClient(c.State.Kubeconfig())
	if err != nil {
		return err
	}
	err = poll.Until(ctx, readyLimit, func(ctx context.Context) error {
		if err := c.allAlive(Parts[:2]); err != nil {
			return err
		}
		return client.Ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("starting the API server: %w; its log is %s", err, c.State.Log("kube-apiserver"))
	}
	for _, name := range Parts[2:] {
		if err := c.startPart(name); err != nil {
			return err
		}
	}
	return nil
}

func (c ControlPlane) allAlive(names []string) error {
	for _, name := range names {
		if !c.table().Running(name) {
			return poll.Fatal{Err: fmt.Errorf("%s ended; %s", name, process.LogTail(c.State.Log(name)))}
		}
	}
	return nil
}

func (c ControlPlane) startPart(name string) error {
	dirs, err := c.Cgroups.Create(topology.ControlPlaneCgroup)
	if err != nil {
		return err
	}
	_, err = c.table().Start(process.Spec{
		Name:  name,
		Argv:  append([]string{filepath.Join(c.Tools.Bin(), name)}, c.arguments(name)...),
		Env:   process.Environment(c.Tools.Bin()),
		Log:   c.State.Log(name),
		Place: process.Place{Cgroups: dirs},
	})
	return err
}

func (c ControlPlane) arguments(name string) []string {
	in := func(file string) string { return filepath.Join(c.State.PKI(), file) }
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", topology.EtcdClientPort)
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", topology.EtcdPeerPort)
	switch name {
	case "etcd":
		return []string{
			"--name=kuda-dev", "--data-dir=" + c.State.Etcd(),
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL,
			"--initial-cluster=kuda-dev=" + peerURL,
			// A power cut ends this cluster anyway; waiting for the disk on each
			// write would only measure the disk.
			"--unsafe-no-fsync=true",
		}
	case "kube-apiserver":
		return []string{
			"--etcd-servers=" + etcdURL,
			"--bind-address=" + topology.BridgeAddress, "--advertise-address=" + topology.BridgeAddress,
			"--secure-port=" + strconv.Itoa(topology.APIPort),
			"--service-cluster-ip-range=" + topology.ServiceCIDR,
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			"--client-ca-file=" + in("ca.crt"),
			"--tls-cert-file=" + in("kube-apiserver.crt"), "--tls-private-key-file=" + in("kube-apiserver.key"),
			"--kubelet-certificate-authority=" + in("ca.crt"),
			"--kubelet-client-certificate=" + in("kubelet-client.crt"), "--kubelet-client-key=" + in("kubelet-client.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc." + topology.Domain,
			"--service-account-key-file=" + in("service-account.crt"),
			"--service-account-signing-key-file=" + in("service-account.key"),
			"--requestheader-client-ca-file=" + in("front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file=" + in("front-proxy-client.crt"), "--proxy-client-key-file=" + in("front-proxy-client.key"),
			// The host has routes to pods but no kube-proxy: webhooks are called at
			// their pods' addresses.
			"--enable-aggregator-routing=true",
		}
	case "kube-controller-manager":
		return []string{
			"--kubeconfig=" + c.kubeconfig(name), "--authentication-kubeconfig=" + c.kubeconfig(name), "--authorization-kubeconfig=" + c.kubeconfig(name),
			"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(topology.ControllerManagerPort),
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + in("service-account.key"), "--root-ca-file=" + in("ca.crt"),
			"--cluster-signing-cert-file=" + in("ca.crt"), "--cluster-signing-key-file=" + in("ca.key"),
			"--requestheader-client-ca-file=" + in("front-proxy-ca.crt"), "--client-ca-file=" + in("ca.crt"),
			"--allocate-node-cidrs=false",
			// One of each runs; an election would only cost a wait at each start.
			"--leader-elect=false",
		}
	case "kube-scheduler":
		return []string{
			"--kubeconfig=" + c.kubeconfig(name), "--authentication-kubeconfig=" + c.kubeconfig(name), "--authorization-kubeconfig=" + c.kubeconfig(name),
			"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(topology.SchedulerPort), "--leader-elect=false",
		}
	}
	return nil
}
