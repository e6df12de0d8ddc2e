// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// Client talks to one API server.
type Client struct {
	server string
	http   *http.Client
}

// NewClient reads the kubeconfig at path. It understands only those that this
// program writes.
func NewClient(path string) (*Client, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig: %w", err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server    string `json:"server"`
				Authority []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", path, err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("reading kubeconfig %s: want one cluster and one user", path)
	}
	pair, err := tls.X509KeyPair(config.Users[0].User.Cert, config.Users[0].User.Key)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", path, err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.Clusters[0].Cluster.Authority)
	return &Client{
		server: config.Clusters[0].Cluster.Server,
		// No proxy: the server is on this machine, whatever the user's shell says.
		http: &http.Client{
			Timeout:   5 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
		},
	}, nil
}

// Server is the API server's URL.
func (c *Client) Server() string { return c.server }

// Ready returns nil when the API server says it is ready.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.get(ctx, "/readyz")
	return err
}

// NodeStatus is what the API server says of one node.
type NodeStatus struct {
	// Ready says that pods can be scheduled to it as well.
	Ready bool
	// Heartbeat is when the kubelet last reported its status.
	Heartbeat time.Time
	// Reason is why the node is not ready, or empty.
	Reason string
}

// Nodes returns the nodes by name.
func (c *Client) Nodes(ctx context.Context) (map[string]NodeStatus, error) {
	body, err := c.get(ctx, "/api/v1/nodes")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec struct {
				Taints []struct {
					Key string `json:"key"`
				} `json:"taints"`
			} `json:"spec"`
			Status struct {
				Conditions []struct {
					Type      string    `json:"type"`
					Status    string    `json:"status"`
					Message   string    `json:"message"`
					Heartbeat time.Time `json:"lastHeartbeatTime"`
				} `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("reading nodes: %w", err)
	}
	nodes := map[string]NodeStatus{}
	for _, item := range list.Items {
		s := NodeStatus{Reason: "it has not reported yet"}
		for _, condition := range item.Status.Conditions {
			if condition.Type == "Ready" {
				s = NodeStatus{Ready: condition.Status == "True", Heartbeat: condition.Heartbeat}
				if !s.Ready {
					s.Reason = condition.Message
				}
			}
		}
		// The controllers take a while to see that a node is ready, or is not.
		for _, taint := range item.Spec.Taints {
			if s.Ready && (taint.Key == "node.kubernetes.io/not-ready" || taint.Key == "node.kubernetes.io/unreachable") {
				s.Ready, s.Reason = false, "it still has the taint "+taint.Key
			}
		}
		nodes[item.Metadata.Name] = s
	}
	return nodes, nil
}

// DeploymentReady returns nil when all replicas of a Deployment are available.
func (c *Client) DeploymentReady(ctx context.Context, namespace, name string) error {
	body, err := c.get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/deployments/"+name)
	if err != nil {
		return err
	}
	var d struct {
		Metadata struct {
			Generation int64 `json:"generation"`
		} `json:"metadata"`
		Spec struct {
			Replicas int `json:"replicas"`
		} `json:"spec"`
		Status struct {
			ObservedGeneration int64 `json:"observedGeneration"`
			AvailableReplicas  int   `json:"availableReplicas"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("reading deployment: %w", err)
	}
	if d.Status.ObservedGeneration < d.Metadata.Generation || d.Status.AvailableReplicas < d.Spec.Replicas {
		return fmt.Errorf("%d of %d replicas of %s are available", d.Status.AvailableReplicas, d.Spec.Replicas, name)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the API server: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the API server: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("asking the API server: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking the API server for %s: %s: %.300s", path, response.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}
