// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cgroup"
	"github.com/kuda-io/kuda/hack/cluster/internal/pki"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// etcDir is where a node sees its configuration.
const etcDir = "/run/kuda-node"

const cniDir = "/usr/lib/cni"

type object = map[string]any

// WriteConfig writes all a node reads at its start, certificates included.
func WriteConfig(n topology.Node, dir state.NodeDir, ca *pki.Authority, cgroups cgroup.System) error {
	for _, d := range []string{filepath.Join(dir.Etc(), "cni"), dir.VarLog(), dir.Kuda(), filepath.Join(dir.VarLib(), "kubelet")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("writing configuration of %s: %w", n.Name(), err)
		}
	}
	if err := writeCredentials(n, dir.Etc(), ca); err != nil {
		return fmt.Errorf("writing configuration of %s: %w", n.Name(), err)
	}
	kubelet, err := kubeletConfig(n)
	if err != nil {
		return fmt.Errorf("writing configuration of %s: %w", n.Name(), err)
	}
	cni, err := cniConfig(n)
	if err != nil {
		return fmt.Errorf("writing configuration of %s: %w", n.Name(), err)
	}
	for name, body := range map[string][]byte{
		"kubelet.yaml":         kubelet,
		"cni/10-pods.conflist": cni,
		"containerd.toml":      []byte(containerdConfig(canRaiseOOMScore())),
		"resolv.conf": []byte("# Nothing answers there; names outside the cluster fail at once.\nnameserver " +
			topology.BridgeAddress + "\n"),
	} {
		if err := state.WriteFile(filepath.Join(dir.Etc(), name), body, 0o644); err != nil {
			return fmt.Errorf("writing configuration of %s: %w", n.Name(), err)
		}
	}
	return nil
}

func writeCredentials(n topology.Node, etc string, ca *pki.Authority) error {
	server := fmt.Sprintf("https://%s:%d", topology.BridgeAddress, topology.APIPort)
	serving, err := ca.Issue(pki.Request{
		Name: "system:node:" + n.Name(), Groups: []string{"system:nodes"},
		Hosts: []string{n.Name(), n.Address().String()},
	})
	if err != nil {
		return err
	}
	if err := serving.Write(etc, "kubelet"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(etc, "ca.crt"), ca.Cert, 0o644); err != nil {
		return err
	}
	for file, client := range map[string]pki.Request{
		"kubelet.kubeconfig":    {Name: "system:node:" + n.Name(), Groups: []string{"system:nodes"}},
		"kube-proxy.kubeconfig": {Name: "system:kube-proxy"},
		// The name that controlplane/policy.yaml gives rights to.
		"network-policy.kubeconfig": {Name: "kuda-dev:network-policy"},
	} {
		pair, err := ca.Issue(client)
		if err != nil {
			return err
		}
		if err := pki.WriteKubeconfig(filepath.Join(etc, file), server, ca.Cert, pair); err != nil {
			return err
		}
	}
	return nil
}

func kubeletConfig(n topology.Node) ([]byte, error) {
	return json.MarshalIndent(object{
		"apiVersion":               "kubelet.config.k8s.io/v1beta1",
		"kind":                     "KubeletConfiguration",
		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               "/" + n.Cgroup(),
		"failCgroupV1":             false,
		"failSwapOn":               false,
		"maxPods":                  250,
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": etcDir + "/ca.crt"},
		},
		"authorization":     object{"mode": "Webhook"},
		"readOnlyPort":      0,
		"tlsCertFile":       etcDir + "/kubelet.crt",
		"tlsPrivateKeyFile": etcDir + "/kubelet.key",
		"clusterDNS":        []string{topology.DNSServiceAddress},
		"clusterDomain":     topology.Domain,
		"resolvConf":        etcDir + "/resolv.conf",
		"volumePluginDir":   "/var/lib/kubelet/volume-plugins",
		// Images cannot be pulled again, and the disk is the whole machine's: they
		// are kept even when it is full.
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"evictionHard":                object{"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
	}, "", "  ")
}

// cniConfig connects pods point to point. On a bridge, answers between pods of
// one node would take the short way past the translation of Service addresses.
func cniConfig(n topology.Node) ([]byte, error) {
	return json.MarshalIndent(object{
		"cniVersion": "0.4.0",
		"name":       "pods",
		"plugins": []object{
			{
				"type": "ptp", "ipMasq": false,
				"ipam": object{
					"type":   "host-local",
					"ranges": [][]object{{{"subnet": n.PodCIDR().String()}}},
					"routes": []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
}

// containerdConfig leaves all paths as they are by default: they are the
// node's own.
func containerdConfig(canRaiseOOMScore bool) string {
	return fmt.Sprintf(`version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "%s"
[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE a container's OOM score cannot be set lower than
  # the runtime's own; every sandbox would fail over it.
  restrict_oom_score_adj = %t
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [%q]
    conf_dir = %q
`, build.PauseImage, !canRaiseOOMScore, cniDir, etcDir+"/cni")
}

// canRaiseOOMScore reports whether this process, and so its children, has
// CAP_SYS_RESOURCE.
func canRaiseOOMScore() bool {
	const capSysResource = 24
	body, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for _, line := range strings.Split(string(body), "\n") {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			var caps uint64
			if _, err := fmt.Sscanf(strings.TrimSpace(value), "%x", &caps); err != nil {
				return false
			}
			return caps&(1<<capSysResource) != 0
		}
	}
	return false
}
