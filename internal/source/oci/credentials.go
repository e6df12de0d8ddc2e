// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/kuda-io/kuda/internal/source"
)

// The names of the files with credentials.
const (
	fileDockerConfig = ".dockerconfigjson"
	fileUsername     = "username"
	filePassword     = "password"
)

// keeper finds the credentials for a registry. It is asked whenever the registry
// wants to see some, so they are never older than the last refusal.
type keeper struct {
	host  string
	mount *source.Mount
}

// credentialFor returns those for host, and none for any other than the registry.
func (k keeper) credentialFor(ctx context.Context, host string) (auth.Credential, error) {
	if k.mount == nil || host != k.host {
		return auth.EmptyCredential, nil
	}
	config, err := k.mount.ReadOptional(fileDockerConfig)
	if err != nil {
		return auth.EmptyCredential, err
	}
	if config != "" {
		return k.fromDockerConfig(ctx, config)
	}
	user, err := k.mount.ReadOptional(fileUsername)
	if err != nil {
		return auth.EmptyCredential, err
	}
	if user == "" {
		return auth.EmptyCredential, k.credentialsError(k.mount.Lacks(fmt.Sprintf("has neither the key %s nor %s and %s",
			fileDockerConfig, fileUsername, filePassword)))
	}
	password, err := k.mount.Read(filePassword)
	if err != nil {
		return auth.EmptyCredential, err
	}
	return auth.Credential{Username: user.Reveal(), Password: password.Reveal()}, nil
}

// readPrincipal is who the credentials are of, with what proves it.
func (k keeper) readPrincipal(ctx context.Context) (source.Secret, error) {
	if k.mount == nil {
		return "", nil
	}
	c, err := k.credentialFor(ctx, k.host)
	if err != nil {
		return "", err
	}
	return source.MakePrincipal("oci", source.Secret(c.Username), source.Secret(c.Password),
		source.Secret(c.RefreshToken), source.Secret(c.AccessToken)), nil
}

// fromDockerConfig finds the registry among those of a pull secret.
func (k keeper) fromDockerConfig(ctx context.Context, config source.Secret) (auth.Credential, error) {
	store, err := credentials.NewMemoryStoreFromDockerConfig([]byte(config.Reveal()))
	if err != nil {
		// The cause may quote the Secret.
		return auth.EmptyCredential, k.credentialsError(fmt.Errorf("key %s of %s is not the JSON that 'kubectl create secret docker-registry' "+
			"makes; make it anew",
			fileDockerConfig, k.mount.Name))
	}
	for _, name := range registryAliases(k.host) {
		credential, err := store.Get(ctx, name)
		if err != nil {
			return auth.EmptyCredential, k.credentialsError(err)
		}
		if credential != auth.EmptyCredential {
			return credential, nil
		}
	}
	return auth.EmptyCredential, k.credentialsError(fmt.Errorf("key %s of %s has no entry for %s; add one", fileDockerConfig,
		k.mount.Name, k.host))
}

func (k keeper) credentialsError(err error) error {
	return &source.Error{Op: "reading the credentials", Class: source.ErrCredentials, Err: err}
}

// registryAliases are the names under which a pull secret may have a registry.
func registryAliases(host string) []string {
	names := []string{host}
	if host == "registry-1.docker.io" {
		names = append(names, "index.docker.io", "docker.io")
	}
	// A port that goes without saying is left out by some, and given by others.
	if name, ok := strings.CutSuffix(host, ":443"); ok {
		names = append(names, name)
	} else if !strings.Contains(host, ":") {
		names = append(names, host+":443")
	}
	return names
}

// errAnonymous is what a registry means that asks for credentials.
var errAnonymous = errors.New("the registry asks who reads, and there are no credentials; add a pull secret as secretRef")
