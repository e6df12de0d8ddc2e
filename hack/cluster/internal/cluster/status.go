// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/kuda-io/kuda/hack/cluster/internal/kube"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// Status is how the cluster is.
type Status struct {
	// Healthy says that the API server answers and all nodes are ready.
	Healthy    bool            `json:"healthy"`
	StateDir   string          `json:"stateDir"`
	BinDir     string          `json:"binDir"`
	Kubeconfig string          `json:"kubeconfig"`
	APIServer  string          `json:"apiServer"`
	APIError   string          `json:"apiError,omitempty"`
	HostIP     string          `json:"hostAddress"`
	DNS        string          `json:"dnsAddress"`
	Nodes      []NodeStatus    `json:"nodes"`
	Processes  []ProcessStatus `json:"processes"`
}

// NodeStatus is how one node is.
type NodeStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	PodCIDR string `json:"podCIDR"`
	// Running says that the node's own processes run; Ready is what the API
	// server believes, which may lag behind.
	Running bool   `json:"running"`
	Ready   bool   `json:"ready"`
	Reason  string `json:"reason,omitempty"`
}

// ProcessStatus is how one recorded process is.
type ProcessStatus struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Alive bool   `json:"alive"`
	Log   string `json:"log"`
}

// Status looks at the cluster.
func (c *Cluster) Status(ctx context.Context) (Status, error) {
	s := Status{
		StateDir: c.State.Root(), BinDir: c.Tools.Bin(), Kubeconfig: c.State.Kubeconfig(),
		HostIP: topology.BridgeAddress, DNS: topology.DNSServiceAddress,
	}
	var have map[string]kube.NodeStatus
	client, err := c.client()
	if err == nil {
		s.APIServer = client.Server()
		have, err = client.Nodes(ctx)
	}
	if err != nil {
		s.APIError = err.Error()
	}
	s.Healthy = err == nil && c.controlPlane().Running()
	for _, n := range topology.Nodes(c.Record.Nodes) {
		seen := have[n.Name()]
		s.Nodes = append(s.Nodes, NodeStatus{
			Name: n.Name(), Address: n.Address().String(), PodCIDR: n.PodCIDR().String(),
			Running: c.Host().Running(n), Ready: seen.Ready, Reason: seen.Reason,
		})
		last := s.Nodes[len(s.Nodes)-1]
		s.Healthy = s.Healthy && last.Running && last.Ready
	}
	entries, err := process.NewTable(c.State.Processes()).List()
	if err != nil {
		return Status{}, err
	}
	for _, e := range entries {
		s.Processes = append(s.Processes, ProcessStatus{Name: e.Name, PID: e.PID, Alive: e.Alive(), Log: e.Log})
	}
	return s, nil
}

// JSON prints the status for programs.
func (s Status) JSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

// Text prints the status for people.
func (s Status) Text(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	health := "healthy"
	if !s.Healthy {
		health = "NOT HEALTHY"
	}
	fmt.Fprintf(w, "cluster\t%s\n", health)
	fmt.Fprintf(w, "API server\t%s\n", s.APIServer)
	if s.APIError != "" {
		fmt.Fprintf(w, "\t%s\n", s.APIError)
	}
	fmt.Fprintf(w, "kubeconfig\t%s\nprograms\t%s\nstate, logs\t%s\nhost as seen by pods\t%s\ncluster DNS\t%s\n",
		s.Kubeconfig, s.BinDir, s.StateDir, s.HostIP, s.DNS)
	fmt.Fprintf(w, "\nNODE\tADDRESS\tPODS\tRUNNING\tREADY\n")
	for _, n := range s.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", n.Name, n.Address, n.PodCIDR, yes(n.Running), yes(n.Ready))
	}
	fmt.Fprintf(w, "\nPROCESS\tPID\tALIVE\tLOG\n")
	for _, p := range s.Processes {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", p.Name, p.PID, yes(p.Alive), p.Log)
	}
	return w.Flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
