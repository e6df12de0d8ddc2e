// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/json"
	"fmt"
	"os"
)

// WriteKubeconfig writes a kubeconfig that holds all it needs: the server, its
// authority, and the client's pair. JSON is YAML, and needs no library.
func WriteKubeconfig(path, server string, authority []byte, client Pair) error {
	type object = map[string]any
	config := object{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []object{{"name": "kuda-dev", "cluster": object{
			"server": server, "certificate-authority-data": authority,
		}}},
		"users": []object{{"name": "kuda-dev", "user": object{
			"client-certificate-data": client.Cert, "client-key-data": client.Key,
		}}},
		"contexts":        []object{{"name": "kuda-dev", "context": object{"cluster": "kuda-dev", "user": "kuda-dev"}}},
		"current-context": "kuda-dev",
	}
	body, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	return nil
}
