// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net/url"
	"runtime"
	"strings"

	"oras.land/oras-go/v2/registry"

	"github.com/kuda-io/kuda/internal/source"
)

// Config describes one registry.
type Config struct {
	// Registry is host:port, or a URL of a host: with http:// it is asked
	// without TLS.
	Registry string
	// Credentials has the file .dockerconfigjson, as a Secret of the type
	// kubernetes.io/dockerconfigjson has it, or the files username and password,
	// which are read again when they change. Nil: anonymous.
	Credentials *source.Mount
	// CAFile, CAName and Proxy are those of source.TransportConfig.
	CAFile, CAName, Proxy string
	// Platform chooses from manifests for several platforms: os/architecture or
	// os/architecture/variant. "" is the one that this program runs on.
	Platform string
	// ScratchDir is where compressed archives are unpacked, "" for the system's
	// directory of temporary files.
	ScratchDir string
	// ScratchBytes is how much room unpacked archives may take together; 0 means
	// what the file system has.
	ScratchBytes int64
}

// registryURL returns the URL of the registry.
func (c Config) registryURL() (*url.URL, error) {
	text := c.Registry
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" ||
		u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("registry %q is not a host such as registry.example.com:5000, or http:// and a host", c.Registry)
	}
	if err := (registry.Reference{Registry: u.Host}).ValidateRegistry(); err != nil {
		return nil, fmt.Errorf("registry %q is not a host such as registry.example.com:5000: %w", c.Registry, err)
	}
	return &url.URL{Scheme: u.Scheme, Host: (registry.Reference{Registry: u.Host}).Host()}, nil
}

// platform is that of the image index specification.
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

func (p platform) String() string {
	if p.Variant == "" {
		return p.OS + "/" + p.Architecture
	}
	return p.OS + "/" + p.Architecture + "/" + p.Variant
}

func parsePlatform(text string) (platform, error) {
	if text == "" {
		return platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}, nil
	}
	parts := strings.Split(text, "/")
	for _, part := range parts {
		if part == "" {
			parts = nil
		}
	}
	switch len(parts) {
	case 2:
		return platform{OS: parts[0], Architecture: parts[1]}, nil
	case 3:
		return platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}, nil
	}
	return platform{}, fmt.Errorf("platform %q is not one such as linux/amd64", text)
}

// isSatisfiedBy reports whether p, which is wanted, is satisfied by other.
func (p platform) isSatisfiedBy(other platform) bool {
	return p.OS == other.OS && p.Architecture == other.Architecture && (p.Variant == "" || p.Variant == other.Variant)
}
