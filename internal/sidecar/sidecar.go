// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path"
)

// Names in the pod.
const (
	// ContainerName of the runtime; it is the first init container.
	ContainerName = "kuda-runtime"
	// PreheatContainer is the container of the pods that Kuda makes for
	// spec.preheat: it ends as soon as the runtime lets it start. The manager,
	// which makes the pod, does not know the installation's image; the injector
	// puts it in the place of PreheatImage, a name that no registry can have (RFC
	// 2606).
	PreheatContainer = "done"
	PreheatImage     = "set-by-kuda-webhook.invalid/kuda-runtime"
	// VolumeStore is the volume with snapshots and views.
	VolumeStore = "kuda-store"
	// VolumeToken is the projected service-account token for the gateway.
	VolumeToken = "kuda-token"
	// VolumeSecretPrefix and VolumeCAPrefix begin the names of the volumes of
	// the Secrets and ConfigMaps that sources refer to; a hash of the object's
	// name follows.
	VolumeSecretPrefix = "kuda-secret-"
	VolumeCAPrefix     = "kuda-ca-"
	// VolumeClaimPrefix and VolumeIdentityPrefix begin the names of the volumes
	// of PersistentVolumeClaims and of tokens for other services, likewise.
	VolumeClaimPrefix    = "kuda-claim-"
	VolumeIdentityPrefix = "kuda-identity-"
	// PluginPrefix begins the names of a plugin's container and of the volume
	// with its socket; the plugin's name follows.
	PluginPrefix = "kuda-plugin-"

	// TokenAudience is the audience of the runtime's token.
	TokenAudience = "kuda.io"
)

// Paths in the runtime's container.
const (
	// StoreRoot is where VolumeStore is mounted. A store of the pod's own has its
	// root there; that of a node has it at NodeStoreRoot.
	StoreRoot = "/var/lib/kuda"
	// TokenPath is the token's file.
	TokenDir  = "/var/run/kuda/token"
	TokenPath = TokenDir + "/token"
	// SecretsDir has one directory per mounted Secret, by its name.
	SecretsDir = "/var/run/kuda/secrets"
	// CADir has one directory per mounted ConfigMap of certificates, by its name.
	CADir = "/var/run/kuda/ca"
	// ClaimsDir has one directory per mounted claim, by its name.
	ClaimsDir = "/var/run/kuda/claims"
	// IdentityDir has one directory per audience, by its ShortHash, with the
	// token in IdentityFile.
	IdentityDir  = "/var/run/kuda/identity"
	IdentityFile = "token"
	// PluginsDir has one directory per plugin, by its name, with its
	// PluginSocket. In the plugin's container it is at the same place.
	PluginsDir   = "/var/run/kuda/plugins"
	PluginSocket = "plugin.sock"
)

// ShortHash is a name for what may itself be too long for one, or have
// characters that a name has not.
func ShortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// ViewSubPathExpr is the place of a pod's view below the store's root, as the
// subPathExpr of the application's mounts; EnvPodUID must be defined in each
// container that uses it.
const ViewSubPathExpr = "pods/$(" + EnvPodUID + ")/view"

// NodeStoreRoot is the root of a node's store: the directory, in VolumeStore, of
// the namespace's identity. A namespace that is deleted and made again under the
// same name has another UID, and finds nothing of the first one's.
func NodeStoreRoot(namespaceUID string) string { return path.Join(StoreRoot, namespaceUID) }

// NodeViewSubPathExpr is ViewSubPathExpr in the VolumeStore of a node's store.
func NodeViewSubPathExpr(namespaceUID string) string {
	return path.Join(namespaceUID, ViewSubPathExpr)
}

// DefaultStoreRoot is the root of the store where no flag names it: what
// EnvStoreRoot says, or else StoreRoot.
func DefaultStoreRoot() string { return cmp.Or(os.Getenv(EnvStoreRoot), StoreRoot) }

// Environment variables. EnvPodUID and EnvServerPort are defined in every container
// of the pod, the others in the runtime's only.
const (
	EnvPodName      = "KUDA_POD_NAME"
	EnvPodNamespace = "KUDA_POD_NAMESPACE"
	EnvPodUID       = "KUDA_POD_UID"
	EnvNodeName     = "KUDA_NODE_NAME"
	// EnvDataSets lists the DataSets that matched at admission, comma-separated.
	EnvDataSets = "KUDA_DATASETS"
	// EnvWaitFor lists those of EnvDataSets that the application's start waits for.
	EnvWaitFor = "KUDA_WAIT_FOR"
	// EnvGatewayAddress is the gateway's host:port.
	EnvGatewayAddress = "KUDA_GATEWAY_ADDRESS"
	// EnvGatewayCA holds the certificates (PEM) that the gateway is checked
	// against until it announces newer ones.
	EnvGatewayCA = "KUDA_GATEWAY_CA"
	// EnvServerPort is the port of the runtime's local API in this pod.
	EnvServerPort = "KUDA_SERVER_PORT"
	// EnvStoreQuota is how many bytes of snapshots the store keeps at most;
	// without it as many as fit.
	EnvStoreQuota = "KUDA_STORE_QUOTA"
	// EnvStoreReserve is how much of the file system downloads leave free: bytes, such
	// as 2Gi, or a share such as 10%; without it the runtime's own default.
	EnvStoreReserve = "KUDA_STORE_RESERVE"
	// EnvStore says whose the store is: StoreNode or StorePod.
	EnvStore = "KUDA_STORE"
	// EnvStoreRoot names the directory that is the store's root; without it that
	// is StoreRoot.
	EnvStoreRoot = "KUDA_STORE_ROOT"
	// EnvNamespaceCreated is when the namespace was made (RFC 3339). A store of
	// v0.1.0 that is older than that is one of an earlier namespace of the name. It
	// may be missing.
	EnvNamespaceCreated = "KUDA_NAMESPACE_CREATED"
	// EnvPluginSocket is, in a plugin's container, where it is to listen.
	EnvPluginSocket = "KUDA_PLUGIN_SOCKET"
	// EnvLogLevel is the runtime's log verbosity, 0 to 2.
	EnvLogLevel = "KUDA_LOG_LEVEL"
)

// Values of EnvStore, which are those of the API's annotation.
const (
	// StoreNode is shared by the pods of the namespace on the node.
	StoreNode = "node"
	// StorePod ends with the pod.
	StorePod = "pod"
)

// Endpoints of the runtime's local API.
const (
	PathHealthz = "/healthz"
	// PathReadyz returns 200 once everything in EnvWaitFor is in place, or will
	// never come; it is the startup probe that gates the application.
	PathReadyz  = "/readyz"
	PathMetrics = "/metrics"
	// PathData returns what is delivered; with ?watch=true it streams changes.
	PathData = "/v1/data"
)
