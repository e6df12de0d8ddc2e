// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/internal/admission/author"
	"github.com/kuda-io/kuda/internal/inject"
)

// Config is the content of the key config.yaml.
type Config struct {
	// RuntimeImage is the runtime's image; without it the one that the webhook
	// was installed with.
	RuntimeImage string `json:"runtimeImage,omitempty"`
	// RuntimeImagePullPolicy is Always, IfNotPresent or Never.
	RuntimeImagePullPolicy corev1.PullPolicy `json:"runtimeImagePullPolicy,omitempty"`
	// RuntimeImagePullSecrets are added to the pull secrets of the pods that run the
	// runtime's image or a plugin's, and are looked up in the pods' namespaces.
	RuntimeImagePullSecrets []corev1.LocalObjectReference `json:"runtimeImagePullSecrets,omitempty"`
	// HostPath is the directory of the node store.
	HostPath string `json:"hostPath,omitempty"`
	// DataPathPrefix is the directory where applications find their data.
	DataPathPrefix string `json:"dataPathPrefix,omitempty"`
	// EnableAffinity gives pods preferences for the nodes that hold their data.
	EnableAffinity *bool `json:"enableAffinity,omitempty"`
	// SchedulerName is the scheduler of pods whose DataSets have a say in where
	// they run; without it pods keep the one that they name.
	SchedulerName string `json:"schedulerName,omitempty"`
	// RuntimeServerPort is the port of the runtime's local API in every injected pod
	// in which no container declares it.
	RuntimeServerPort int32 `json:"runtimeServerPort,omitempty"`
	// RuntimeResources of the runtime. Given, it replaces the default as a whole.
	RuntimeResources *corev1.ResourceRequirements `json:"runtimeResources,omitempty"`
	// StoreMode is Auto, Node or Pod.
	StoreMode inject.StoreMode `json:"storeMode,omitempty"`
	// PodStoreSizeLimit bounds a pod's own store, such as 20Gi.
	PodStoreSizeLimit *resource.Quantity `json:"podStoreSizeLimit,omitempty"`
	// NodeDriver is the CSI driver that makes node stores, data.kuda.io, where kuda-node
	// is installed; without it pods mount them from the node (hostPath).
	NodeDriver string `json:"nodeDriver,omitempty"`
	// PodSecurityDefault is the Pod Security level that the API server enforces, by its
	// own configuration, in namespaces that name none: privileged, baseline or
	// restricted.
	PodSecurityDefault string `json:"podSecurityDefault,omitempty"`
	// RuntimeSELinuxLevel is that of runtimes whose store NodeDriver makes, such as s0.
	RuntimeSELinuxLevel string `json:"runtimeSELinuxLevel,omitempty"`
	// NodeStoreQuota bounds the snapshots of a namespace's node store on each
	// node, such as 200Gi.
	NodeStoreQuota *resource.Quantity `json:"nodeStoreQuota,omitempty"`
	// NodeStoreReserve is how much of the node's file system downloads leave free: a
	// size such as 20Gi, or a share such as 10%, which is the default.
	NodeStoreReserve string `json:"nodeStoreReserve,omitempty"`
	// GatewayAddress is where runtimes find the gateway, host:port.
	GatewayAddress string `json:"gatewayAddress,omitempty"`
	// Plugins are sources beyond those that the runtime has.
	Plugins []Plugin `json:"plugins,omitempty"`
	// AuthorChecks is Enforce, Warn or Off: what becomes of a change of a DataSet
	// whose author may not do what Kuda is to do.
	AuthorChecks author.Mode `json:"authorChecks,omitempty"`
	// WebIdentityAudiences are those for which sources may have tokens of pods'
	// service accounts. Given, they replace the default.
	WebIdentityAudiences []string `json:"webIdentityAudiences,omitempty"`
	// ForbiddenAudiences are never admitted, beside those of the API server.
	ForbiddenAudiences []string `json:"forbiddenAudiences,omitempty"`
}

// Plugin is a source that runs in a container of its own, beside the runtime of
// each pod that needs it.
type Plugin struct {
	// Name by which dataSources.plugin.name asks for it.
	Name string `json:"name"`
	// Image of the plugin.
	Image string `json:"image"`
	// ImagePullPolicy is Always, IfNotPresent (the default) or Never.
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
	// Args of the image's entrypoint, and variables of its environment.
	Args []string          `json:"args,omitempty"`
	Env  map[string]string `json:"env,omitempty"`
	// Resources of the container. Given, it replaces the default as a whole.
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
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
	setDefault(&c.PodSecurityDefault, "privileged")
	setDefault(&c.GatewayAddress, "kuda-gateway.kuda-system.svc:8443")
	setDefault(&c.AuthorChecks, author.Enforce)
	if c.WebIdentityAudiences == nil {
		c.WebIdentityAudiences = []string{"sts.amazonaws.com"}
	}
	if c.EnableAffinity == nil {
		c.EnableAffinity = new(true)
	}
	if c.RuntimeResources == nil {
		c.RuntimeResources = defaultResources()
	}
	for i := range c.Plugins {
		setDefault(&c.Plugins[i].ImagePullPolicy, corev1.PullIfNotPresent)
		if c.Plugins[i].Resources == nil {
			c.Plugins[i].Resources = defaultResources()
		}
	}
}

func defaultResources() *corev1.ResourceRequirements {
	return &corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("10m"),
			corev1.ResourceMemory: resource.MustParse("32Mi"),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
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
	errs = append(errs, checkImage("runtimeImage", c.RuntimeImage)...)
	errs = append(errs, checkPullPolicy("runtimeImagePullPolicy", c.RuntimeImagePullPolicy)...)
	errs = append(errs, checkPullSecrets("runtimeImagePullSecrets", c.RuntimeImagePullSecrets)...)
	for field, dir := range map[string]string{"hostPath": c.HostPath, "dataPathPrefix": c.DataPathPrefix} {
		if !isPlainPath(dir) {
			wrong(field, "must be an absolute path below /, without . or .. or a slash at the end, not %q", dir)
		}
	}
	if c.RuntimeServerPort < 1 || c.RuntimeServerPort > 65535 {
		wrong("runtimeServerPort", "must be from 1 to 65535, not %d", c.RuntimeServerPort)
	}
	if c.SchedulerName != "" {
		for _, problem := range validation.IsDNS1123Subdomain(c.SchedulerName) {
			wrong("schedulerName", "%s", problem)
		}
	}
	if !isHostPort(c.GatewayAddress) {
		wrong("gatewayAddress", "must be host:port, not %q", c.GatewayAddress)
	}
	errs = append(errs, checkResources("runtimeResources", c.RuntimeResources)...)
	errs = append(errs, c.checkStores()...)
	errs = append(errs, c.checkAuthors()...)
	return errors.Join(append(errs, checkPlugins(c.Plugins)...)...)
}

// isPlainPath reports whether a path is absolute, clean and below /, and can stand in
// a mount.
func isPlainPath(dir string) bool {
	return path.IsAbs(dir) && path.Clean(dir) == dir && dir != "/" && !strings.ContainsAny(dir, ":$")
}

// isHostPort reports whether an address has a host and a port.
func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, convErr := strconv.Atoi(port)
	return err == nil && convErr == nil && host != "" && n >= 1 && n <= 65535
}

// checkAuthors checks what concerns authors of DataSets.
func (c *Config) checkAuthors() []error {
	var errs []error
	switch c.AuthorChecks {
	case author.Enforce, author.Warn, author.Off:
	default:
		errs = append(errs, fmt.Errorf("authorChecks: must be Enforce, Warn or Off, not %q", c.AuthorChecks))
	}
	for i, audience := range c.WebIdentityAudiences {
		if inject.ReservedAudience(audience) {
			errs = append(errs, fmt.Errorf("webIdentityAudiences[%d]: %q stands for the Kubernetes API server or for Kuda itself; take it out", i,
				audience))
		}
	}
	return errs
}

func checkImage(field, image string) []error {
	if image == "" || strings.ContainsAny(image, " \t\n") {
		return []error{fmt.Errorf("%s: must be an image's name, such as kuda-io/kuda-runtime:v0.1.0", field)}
	}
	return nil
}

func checkPullPolicy(field string, policy corev1.PullPolicy) []error {
	switch policy {
	case corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
		return nil
	}
	return []error{fmt.Errorf("%s: must be Always, IfNotPresent or Never, not %q", field, policy)}
}

func checkPullSecrets(field string, secrets []corev1.LocalObjectReference) []error {
	var errs []error
	seen := map[string]bool{}
	for i, s := range secrets {
		at := fmt.Sprintf("%s[%d].name", field, i)
		for _, problem := range validation.IsDNS1123Subdomain(s.Name) {
			errs = append(errs, fmt.Errorf("%s: %s", at, problem))
		}
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("%s: %s is listed twice; take one out", at, s.Name))
		}
		seen[s.Name] = true
	}
	return errs
}

// maxPluginName leaves room for what names of containers and volumes begin with.
const maxPluginName = 40

func checkPlugins(plugins []Plugin) []error {
	var errs []error
	seen := map[string]bool{}
	for i, p := range plugins {
		at := fmt.Sprintf("plugins[%d].", i)
		for _, problem := range validation.IsDNS1123Label(p.Name) {
			errs = append(errs, fmt.Errorf("%sname: %s", at, problem))
		}
		if len(p.Name) > maxPluginName {
			errs = append(errs, fmt.Errorf("%sname: must have at most %d characters", at, maxPluginName))
		}
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("%sname: there is another plugin %s; give each its own name", at, p.Name))
		}
		seen[p.Name] = true
		for _, name := range slices.Sorted(maps.Keys(p.Env)) {
			for _, problem := range validation.IsEnvVarName(name) {
				errs = append(errs, fmt.Errorf("%senv: %q: %s", at, name, problem))
			}
		}
		errs = append(errs, checkImage(at+"image", p.Image)...)
		errs = append(errs, checkPullPolicy(at+"imagePullPolicy", p.ImagePullPolicy)...)
		errs = append(errs, checkResources(at+"resources", p.Resources)...)
	}
	return errs
}

func checkResources(field string, r *corev1.ResourceRequirements) []error {
	var errs []error
	if len(r.Claims) > 0 {
		errs = append(errs, fmt.Errorf("%s.claims: the container claims no devices; take it out", field))
	}
	for name, limit := range r.Limits {
		if limit.Sign() <= 0 {
			errs = append(errs, fmt.Errorf("%s.limits.%s: must be more than 0", field, name))
		}
		if request, ok := r.Requests[name]; ok && request.Cmp(limit) > 0 {
			errs = append(errs, fmt.Errorf("%s.requests.%s: must not exceed the limit", field, name))
		}
	}
	if _, ok := r.Limits[corev1.ResourceMemory]; !ok {
		errs = append(errs, fmt.Errorf("%s.limits.memory: set one, such as 256Mi", field))
	}
	return errs
}

// Settings are the part that injection goes by; ca is what the gateway is checked against.
func (c Config) Settings(ca []byte) inject.Settings {
	reserve, _ := readAmount(c.NodeStoreReserve) // validated
	plugins := make(map[string]inject.Plugin, len(c.Plugins))
	for _, p := range c.Plugins {
		plugin := inject.Plugin{Image: p.Image, PullPolicy: p.ImagePullPolicy, Args: p.Args, Resources: *p.Resources}
		for _, name := range slices.Sorted(maps.Keys(p.Env)) {
			plugin.Env = append(plugin.Env, corev1.EnvVar{Name: name, Value: p.Env[name]})
		}
		plugins[p.Name] = plugin
	}
	return inject.Settings{
		Image:             c.RuntimeImage,
		PullPolicy:        c.RuntimeImagePullPolicy,
		PullSecrets:       c.RuntimeImagePullSecrets,
		HostPath:          c.HostPath,
		DataPath:          c.DataPathPrefix,
		ServerPort:        c.RuntimeServerPort,
		Resources:         *c.RuntimeResources,
		Store:             c.StoreMode,
		PodStoreSizeLimit: c.PodStoreSizeLimit,
		NodeStoreQuota:    c.NodeStoreQuota,
		NodeStoreReserve:  reserve,
		NodeDriver:        c.NodeDriver,
		SecurityDefault:   c.PodSecurityDefault,
		SELinuxLevel:      c.RuntimeSELinuxLevel,
		Plugins:           plugins,
		Audiences:         inject.Audiences{Allowed: c.WebIdentityAudiences, Forbidden: c.ForbiddenAudiences},
		Affinity:          *c.EnableAffinity,
		SchedulerName:     c.SchedulerName,
		GatewayAddress:    c.GatewayAddress,
		GatewayCA:         ca,
	}
}
