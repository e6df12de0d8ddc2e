// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"github.com/kuda-io/kuda/hack/cluster/internal/pki"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// The files of the authorities and of the pairs they sign, as they are called in
// the directory of certificates.
const (
	clusterCA    = "ca"
	frontProxyCA = "front-proxy-ca"
	// etcd has an authority of its own: a certificate that the API server takes,
	// such as a kubelet's, must not open the database.
	etcdCA = "etcd-ca"
)

// issue is one pair to sign.
type issue struct {
	name string
	ca   *pki.Authority
	pki.Request
}

// Credentials makes the authorities and everything they sign for the host's
// side, and returns the one that signs for Kubernetes' users.
func (c ControlPlane) Credentials() (*pki.Authority, error) {
	dir := c.State.PKI()
	authorities := map[string]*pki.Authority{}
	for name, title := range map[string]string{
		clusterCA: "kuda-dev", frontProxyCA: "kuda-dev front proxy", etcdCA: "kuda-dev etcd",
	} {
		ca, err := pki.NewAuthority(title)
		if err != nil {
			return nil, err
		}
		if err := ca.Write(dir, name); err != nil {
			return nil, err
		}
		authorities[name] = ca
	}
	tokens, err := pki.NewSigningKey()
	if err != nil {
		return nil, err
	}
	if err := tokens.Write(dir, "service-account"); err != nil {
		return nil, err
	}
	for _, i := range issues(authorities) {
		pair, err := i.ca.Issue(i.Request)
		if err != nil {
			return nil, err
		}
		if err := pair.Write(dir, i.name); err != nil {
			return nil, err
		}
	}
	if err := state.WriteFile(c.authenticationConfig(), []byte(authenticationConfig), 0o600); err != nil {
		return nil, err
	}
	ca := authorities[clusterCA]
	return ca, c.writeKubeconfigs(ca)
}

func issues(authorities map[string]*pki.Authority) []issue {
	loopback := []string{"127.0.0.1", "localhost"}
	cluster, etcd := authorities[clusterCA], authorities[etcdCA]
	return []issue{
		{"kube-apiserver", cluster, pki.Request{Name: "kube-apiserver", Hosts: append([]string{
			topology.BridgeAddress, topology.APIServiceAddress,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + topology.Domain,
		}, loopback...)}},
		{"kubelet-client", cluster, pki.Request{Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}},
		{"front-proxy-client", authorities[frontProxyCA], pki.Request{Name: "front-proxy-client"}},
		{"etcd", etcd, pki.Request{Name: "etcd", Hosts: loopback}},
		{"etcd-client", etcd, pki.Request{Name: "kube-apiserver-etcd-client"}},
	}
}

func (c ControlPlane) writeKubeconfigs(ca *pki.Authority) error {
	for path, r := range map[string]pki.Request{
		c.State.Kubeconfig():                    {Name: "kuda-dev-admin", Groups: []string{"system:masters"}},
		c.kubeconfig("kube-controller-manager"): {Name: "system:kube-controller-manager"},
		c.kubeconfig("kube-scheduler"):          {Name: "system:kube-scheduler"},
	} {
		pair, err := ca.Issue(r)
		if err != nil {
			return err
		}
		if err := pki.WriteKubeconfig(path, Server(), ca.Cert, pair); err != nil {
			return err
		}
	}
	return nil
}
