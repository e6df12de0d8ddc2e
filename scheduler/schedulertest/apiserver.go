// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package schedulertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/apiservertest"
)

// systemNamespace is where the manifests put the scheduler.
const systemNamespace = "kuda-system"

var errNoAssets = errors.New("KUBEBUILDER_ASSETS is empty; let it name a directory with etcd and kube-apiserver")

// APIServer is one that runs.
type APIServer struct {
	// Config is an administrator's, without limits.
	Config *rest.Config
	// Client is an administrator's and has no cache.
	Client client.Client

	stop        func() error
	dir, deploy string
}

// Start starts an API server, which knows nothing of Kuda yet. Files of schedulers
// are kept below dir; deploy is the directory of the manifests. Flags are more of
// kube-apiserver's.
func Start(dir, deploy string, flags map[string]string) (*APIServer, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errNoAssets
	}
	environment := &envtest.Environment{ControlPlaneStopTimeout: time.Minute}
	for name, value := range flags {
		environment.ControlPlane.GetAPIServer().Configure().Set(name, value)
	}
	cfg, stop, err := apiservertest.Start(environment)
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	scheme := apiruntime.NewScheme()
	for _, add := range []func(*apiruntime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, errors.Join(fmt.Errorf("building a scheme: %w", err), stop())
		}
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a client: %w", err), stop())
	}
	return &APIServer{Config: cfg, Client: c, stop: stop, dir: dir, deploy: deploy}, nil
}

// Stop stops the API server.
func (a *APIServer) Stop() error { return a.stop() }

// InstallCRDs installs Kuda's.
func (a *APIServer) InstallCRDs() error {
	_, err := envtest.InstallCRDs(a.Config, envtest.CRDInstallOptions{Paths: []string{filepath.Join(a.deploy, "base/crd")},
		ErrorIfPathMissing: true})
	if err != nil {
		return fmt.Errorf("installing Kuda's CRDs: %w", err)
	}
	return nil
}

// InstallRights gives the scheduler the rights that its manifests give it.
func (a *APIServer) InstallRights(ctx context.Context) error {
	if err := a.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", systemNamespace, err)
	}
	content, err := os.ReadFile(filepath.Join(a.deploy, "scheduler/rbac.yaml"))
	if err != nil {
		return fmt.Errorf("reading the scheduler's rights: %w", err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content))
	for {
		var object unstructured.Unstructured
		switch err := decoder.Decode(&object); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the scheduler's rights: %w", err)
		}
		if err := a.Client.Create(ctx, &object); err != nil {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

// Kubeconfig writes an administrator's to a file below the directory; asScheduler
// takes the rights of the installed scheduler instead, and no others.
func (a *APIServer) Kubeconfig(asScheduler bool) (string, error) {
	user := &clientcmdapi.AuthInfo{ClientCertificateData: a.Config.CertData, ClientKeyData: a.Config.KeyData}
	name := "administrator.kubeconfig"
	if asScheduler {
		name = "scheduler.kubeconfig"
		user.Impersonate = "system:serviceaccount:" + systemNamespace + ":kuda-scheduler"
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"}
	}
	file := filepath.Join(a.dir, name)
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: a.Config.Host, CertificateAuthorityData: a.Config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": user},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "c",
	}
	if err := clientcmd.WriteToFile(config, file); err != nil {
		return "", fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return file, nil
}
