// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// authenticationConfig lets requests without credentials see whether the API
// server is healthy, and nothing else.
const authenticationConfig = `{
  "apiVersion": "apiserver.config.k8s.io/v1",
  "kind": "AuthenticationConfiguration",
  "anonymous": {"enabled": true, "conditions": [{"path": "/livez"}, {"path": "/readyz"}, {"path": "/healthz"}]}
}
`

func (c ControlPlane) authenticationConfig() string {
	return filepath.Join(c.State.PKI(), "authentication.json")
}

// arguments are those of one part. No part has a port without TLS, and no port
// takes writes from a client without a certificate or a token.
func (c ControlPlane) arguments(name string) []string {
	switch name {
	case "etcd":
		return c.etcdArguments()
	case "kube-apiserver":
		return c.apiServerArguments()
	case "kube-controller-manager":
		return c.controllerManagerArguments()
	case "kube-scheduler":
		return []string{
			"--kubeconfig=" + c.kubeconfig(name), "--authentication-kubeconfig=" + c.kubeconfig(name),
			"--authorization-kubeconfig=" + c.kubeconfig(name),
			"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(topology.SchedulerPort), "--leader-elect=false",
		}
	}
	return nil
}

func (c ControlPlane) in(file string) string { return filepath.Join(c.State.PKI(), file) }

func etcdURL() string { return fmt.Sprintf("https://127.0.0.1:%d", topology.EtcdClientPort) }

func (c ControlPlane) etcdArguments() []string {
	peerURL := fmt.Sprintf("https://127.0.0.1:%d", topology.EtcdPeerPort)
	arguments := []string{
		"--name=kuda-dev", "--data-dir=" + c.State.Etcd(),
		"--listen-client-urls=" + etcdURL(), "--advertise-client-urls=" + etcdURL(),
		"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=kuda-dev=" + peerURL,
		// A power cut ends this cluster anyway; waiting for the disk on each
		// write would only measure the disk.
		"--unsafe-no-fsync=true",
	}
	for _, prefix := range []string{"--", "--peer-"} {
		arguments = append(arguments, prefix+"client-cert-auth=true", prefix+"trusted-ca-file="+c.in(etcdCA+".crt"),
			prefix+"cert-file="+c.in("etcd.crt"), prefix+"key-file="+c.in("etcd.key"))
	}
	return arguments
}

func (c ControlPlane) apiServerArguments() []string {
	return []string{
		"--etcd-servers=" + etcdURL(), "--etcd-cafile=" + c.in(etcdCA+".crt"),
		"--etcd-certfile=" + c.in("etcd-client.crt"), "--etcd-keyfile=" + c.in("etcd-client.key"),
		"--bind-address=" + topology.BridgeAddress, "--advertise-address=" + topology.BridgeAddress,
		"--secure-port=" + strconv.Itoa(topology.APIPort),
		"--service-cluster-ip-range=" + topology.ServiceCIDR,
		"--authentication-config=" + c.authenticationConfig(),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--client-ca-file=" + c.in("ca.crt"),
		"--tls-cert-file=" + c.in("kube-apiserver.crt"), "--tls-private-key-file=" + c.in("kube-apiserver.key"),
		"--kubelet-certificate-authority=" + c.in("ca.crt"),
		"--kubelet-client-certificate=" + c.in("kubelet-client.crt"), "--kubelet-client-key=" + c.in("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc." + topology.Domain,
		"--service-account-key-file=" + c.in("service-account.crt"),
		"--service-account-signing-key-file=" + c.in("service-account.key"),
		"--requestheader-client-ca-file=" + c.in("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + c.in("front-proxy-client.crt"), "--proxy-client-key-file=" + c.in("front-proxy-client.key"),
		// The host has routes to pods but no kube-proxy: webhooks are called at
		// their pods' addresses.
		"--enable-aggregator-routing=true",
	}
}

func (c ControlPlane) controllerManagerArguments() []string {
	kubeconfig := c.kubeconfig("kube-controller-manager")
	return []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(topology.ControllerManagerPort),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.in("service-account.key"), "--root-ca-file=" + c.in("ca.crt"),
		"--cluster-signing-cert-file=" + c.in("ca.crt"), "--cluster-signing-key-file=" + c.in("ca.key"),
		"--requestheader-client-ca-file=" + c.in("front-proxy-ca.crt"), "--client-ca-file=" + c.in("ca.crt"),
		"--allocate-node-cidrs=false",
		// One of each runs; an election would only cost a wait at each start.
		"--leader-elect=false",
	}
}
