// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/internal/inject"
)

// Config is the content of the key config.yaml.
type Config struct {
	// RuntimeImage is the runtime's image; without it the one that the webhook
	// was installed with.
	RuntimeImage string `json:"runtimeImage,omitempty"`
	// RuntimeImagePullPolicy is Always, IfNotPresent or Never.
	RuntimeImagePullPolicy corev1.PullPolicy `json:"runtimeImagePullPolicy,omitempty"`
	// HostPath is the directory of the node store.
	HostPath string `json:"hostPath,omitempty"`
	// DataPathPrefix is the directory where applications find their data.
	DataPathPrefix string `json:"dataPathPrefix,omitempty"`
	// EnableAffinity is accepted, and has no effect yet: pods are not placed by
	// the data that nodes hold.
	EnableAffinity bool `json:"enableAffinity,omitempty"`
	// RuntimeServerPort is the port of the runtime's local API in every injected pod.
	RuntimeServerPort int32 `json:"runtimeServerPort,omitempty"`
	// RuntimeResources of the runtime. Given, it replaces the default as a whole.
	RuntimeResources *corev1.ResourceRequirements `json:"runtimeResources,omitempty"`
	// StoreMode is Auto, Node or Pod.
	StoreMode inject.StoreMode `json:"storeMode,omitempty"`
	// PodStoreSizeLimit bounds a pod's own store, such as 20Gi.
	PodStoreSizeLimit *resource.Quantity `json:"podStoreSizeLimit,omitempty"`
	// GatewayAddress is where runtimes find the gateway, host:port.
	GatewayAddress string `json:"gatewayAddress,omitempty"`
}

// Parse reads a configuration: the given image is the default of RuntimeImage. The
// error names every field that is wrong.
func Parse(content []byte, defaultImage string) (Config, error) {
	var c Config
	if err := yaml.UnmarshalStrict(content, &c); err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	c.setDefaults(defaultImage)
	if err := c.validate(); err != nil {
		return Config{}, fmt.Errorf("checking the configuration: %w", err)
	}
	return c, nil
}

func (c *Config) setDefaults(image string) {
	setDefault(&c.RuntimeImage, image)
	setDefault(&c.RuntimeImagePullPolicy, corev1.PullIfNotPresent)
	setDefault(&c.HostPath, "/var/lib/kuda")
	setDefault(&c.DataPathPrefix, "/kuda/data")
	setDefault(&c.RuntimeServerPort, 8888)
	setDefault(&c.StoreMode, inject.StoreAuto)
	setDefault(&c.GatewayAddress, "kuda-gateway.kuda-system.svc:8443")
	if c.RuntimeResources == nil {
		c.RuntimeResources = &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("10m"),
				corev1.ResourceMemory: resource.MustParse("32Mi"),
			},
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	if c.RuntimeImage == "" || strings.ContainsAny(c.RuntimeImage, " \t\n") {
		wrong("runtimeImage", "must be an image's name, such as kuda-io/kuda-runtime:v0.1.0")
	}
	switch c.RuntimeImagePullPolicy {
	case corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		wrong("runtimeImagePullPolicy", "must be Always, IfNotPresent or Never, not %q", c.RuntimeImagePullPolicy)
	}
	for field, dir := range map[string]string{"hostPath": c.HostPath, "dataPathPrefix": c.DataPathPrefix} {
		if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" || strings.ContainsAny(dir, ":$") {
			wrong(field, "must be an absolute path below /, without . or .. or a slash at the end, not %q", dir)
		}
	}
	if c.RuntimeServerPort < 1 || c.RuntimeServerPort > 65535 {
		wrong("runtimeServerPort", "must be from 1 to 65535, not %d", c.RuntimeServerPort)
	}
	switch c.StoreMode {
	case inject.StoreAuto, inject.StoreNode, inject.StorePod:
	default:
		wrong("storeMode", "must be Auto, Node or Pod, not %q", c.StoreMode)
	}
	if c.PodStoreSizeLimit != nil && c.PodStoreSizeLimit.Sign() <= 0 {
		wrong("podStoreSizeLimit", "must be more than 0, such as 20Gi")
	}
	host, port, err := net.SplitHostPort(c.GatewayAddress)
	if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || host == "" || n < 1 || n > 65535 {
		wrong("gatewayAddress", "must be host:port, not %q", c.GatewayAddress)
	}
	return errors.Join(append(errs, checkResources(c.RuntimeResources)...)...)
}

func checkResources(r *corev1.ResourceRequirements) []error {
	var errs []error
	if len(r.Claims) > 0 {
		errs = append(errs, errors.New("runtimeResources.claims: the runtime claims no devices; take it out"))
	}
	for name, limit := range r.Limits {
		if limit.Sign() <= 0 {
			errs = append(errs, fmt.Errorf("runtimeResources.limits.%s: must be more than 0", name))
		}
		if request, ok := r.Requests[name]; ok && request.Cmp(limit) > 0 {
			errs = append(errs, fmt.Errorf("runtimeResources.requests.%s: must not exceed the limit", name))
		}
	}
	if _, ok := r.Limits[corev1.ResourceMemory]; !ok {
		errs = append(errs, errors.New("runtimeResources.limits.memory: set one, such as 256Mi"))
	}
	return errs
}

// Settings are the part that injection goes by; ca is what the gateway is checked against.
func (c Config) Settings(ca []byte) inject.Settings {
	return inject.Settings{
		Image:             c.RuntimeImage,
		PullPolicy:        c.RuntimeImagePullPolicy,
		HostPath:          c.HostPath,
		DataPath:          c.DataPathPrefix,
		ServerPort:        c.RuntimeServerPort,
		Resources:         *c.RuntimeResources,
		Store:             c.StoreMode,
		PodStoreSizeLimit: c.PodStoreSizeLimit,
		GatewayAddress:    c.GatewayAddress,
		GatewayCA:         ca,
	}
}
