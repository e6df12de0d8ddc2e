// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sidecar

// CSIDriver is the name of kuda-node's CSI driver.
const CSIDriver = "data.kuda.io"

// Attributes of the volumes of CSIDriver in a pod.
const (
	// AttributeKind is CSIKindStore or CSIKindView.
	AttributeKind = "kind"
	// AttributeNamespaceUID is the UID of the pod's namespace. The policy
	// kuda-node-volumes compares it with the namespace's own.
	AttributeNamespaceUID = "namespaceUID"
	// AttributeUser is the user that the volume's files belong to as the pod sees
	// them, in decimal; absent: RuntimeUser.
	AttributeUser = "user"
)

// Values of AttributeKind.
const (
	// CSIKindStore is the node's store of the namespace, for the runtime.
	CSIKindStore = "store"
	// CSIKindView is the pod's view, read-only, for its applications.
	CSIKindView = "view"
)

const (
	// VolumeView is the volume with the pod's view where CSIDriver makes it.
	VolumeView = "kuda-view"
	// RuntimeUser owns what is on disk in the stores that CSIDriver makes. It is
	// the user, and the group, of all processes that write there.
	RuntimeUser = 65532
	// NodeStoresDir is, in the node's directory of stores, the directory of those
	// that CSIDriver makes: in it one directory for each namespace, by its name, and
	// in that one for each UID. No namespace has a name that begins with "@".
	NodeStoresDir = "@node"
	// EnvStoreReporter says who reports the node's store to the gateway:
	// ReporterKeeper, or, when it is empty, the runtimes.
	EnvStoreReporter = "KUDA_STORE_REPORTER"
	// ReporterKeeper is the keeper of kuda-node.
	ReporterKeeper = "keeper"
)
