// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/internal/freeport"
)

// Start starts the environment and returns an administrator's configuration, and
// what stops it. After an error nothing runs.
func Start(env *envtest.Environment) (*rest.Config, func() error, error) {
	dir, err := os.MkdirTemp("", "apiservertest-")
	if err != nil {
		return nil, nil, fmt.Errorf("starting an API server: %w", err)
	}
	stop := func() error { return errors.Join(env.Stop(), os.RemoveAll(dir)) }
	var config *rest.Config
	if err = setUpTLS(env, dir); err == nil {
		config, err = env.Start()
	}
	if err != nil {
		// A start that fails late leaves its processes running.
		return nil, nil, errors.Join(fmt.Errorf("starting an API server: %w", err), stop())
	}
	return config, stop, nil
}

// setUpTLS gives etcd and its only client certificates of an authority in dir.
func setUpTLS(env *envtest.Environment, dir string) error {
	if err := writeCertificates(dir); err != nil {
		return err
	}
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	address := func(scheme string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }
	client, peer := address("https", ports[0]), address("https", ports[1])

	plane := &env.ControlPlane
	if plane.Etcd == nil {
		plane.Etcd = &envtest.Etcd{}
	}
	// Where the environment asks whether etcd is healthy; there is nothing else.
	health, err := url.Parse(address("http", ports[2]))
	if err != nil {
		return err
	}
	plane.Etcd.URL = health
	flags := plane.Etcd.Configure()
	flags.Set("listen-metrics-urls", health.String())
	flags.Set("listen-client-urls", client)
	flags.Set("advertise-client-urls", client)
	flags.Set("listen-peer-urls", peer)
	for _, prefix := range []string{"", "peer-"} {
		flags.Set(prefix+"client-cert-auth", "true")
		flags.Set(prefix+"trusted-ca-file", filepath.Join(dir, authorityFile))
		flags.Set(prefix+"cert-file", filepath.Join(dir, certificateFile))
		flags.Set(prefix+"key-file", filepath.Join(dir, keyFile))
	}
	flags = plane.GetAPIServer().Configure()
	flags.Set("etcd-servers", client)
	flags.Set("etcd-cafile", filepath.Join(dir, authorityFile))
	flags.Set("etcd-certfile", filepath.Join(dir, certificateFile))
	flags.Set("etcd-keyfile", filepath.Join(dir, keyFile))
	return nil
}

// freePorts returns n ports of loopback that nothing listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for len(ports) < n {
		port, err := freeport.Pick("127.0.0.1")
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports, nil
}
