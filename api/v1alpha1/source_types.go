// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// DataSourceType names a kind of storage system; it is also the key below
// dataSources.
// +kubebuilder:validation:Enum=hdfs;alluxio;minio;ceph;s3;http;oci;pvc;plugin
type DataSourceType string

// The source types.
const (
	DataSourceHDFS    DataSourceType = "hdfs"
	DataSourceAlluxio DataSourceType = "alluxio"
	DataSourceMinIO   DataSourceType = "minio"
	DataSourceCeph    DataSourceType = "ceph"
	DataSourceS3      DataSourceType = "s3"
	DataSourceHTTP    DataSourceType = "http"
	DataSourceOCI     DataSourceType = "oci"
	DataSourcePVC     DataSourceType = "pvc"
	DataSourcePlugin  DataSourceType = "plugin"
)

// DataTemplateSpec is what each pod gets; one revision is one value of it.
//
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'hdfs' || has(self.dataSources.hdfs))",message="dataItems: an item has dataSourceType hdfs; describe that source in dataSources.hdfs"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'alluxio' || has(self.dataSources.alluxio))",message="dataItems: an item has dataSourceType alluxio; describe that source in dataSources.alluxio"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'minio' || has(self.dataSources.minio))",message="dataItems: an item has dataSourceType minio; describe that source in dataSources.minio"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'ceph' || has(self.dataSources.ceph))",message="dataItems: an item has dataSourceType ceph; describe that source in dataSources.ceph"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 's3' || has(self.dataSources.s3))",message="dataItems: an item has dataSourceType s3; describe that source in dataSources.s3"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'http' || has(self.dataSources.http))",message="dataItems: an item has dataSourceType http; describe that source in dataSources.http"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'oci' || has(self.dataSources.oci))",message="dataItems: an item has dataSourceType oci; describe that source in dataSources.oci"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'pvc' || has(self.dataSources.pvc))",message="dataItems: an item has dataSourceType pvc; describe that source in dataSources.pvc"
// +kubebuilder:validation:XValidation:rule="self.dataItems.all(i, i.dataSourceType != 'plugin' || has(self.dataSources.plugin))",message="dataItems: an item has dataSourceType plugin; describe that source in dataSources.plugin"
type DataTemplateSpec struct {
	// The files and directory trees to deliver. The pair of namespace and name
	// is unique.
	// +required
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	DataItems []DataItem `json:"dataItems"`

	// The storage systems that the items come from, keyed by dataSourceType.
	// +required
	DataSources DataSources `json:"dataSources"`

	// Hooks of the DataSet as a whole, run once per change: preDownload before
	// those of its items, postDownload after them.
	// +optional
	Lifecycle *Lifecycle `json:"lifecycle,omitempty"`
}

// DataSources describes the storage systems that items come from.
type DataSources struct {
	// An HDFS cluster.
	// +optional
	HDFS *HDFSDataSource `json:"hdfs,omitempty"`

	// An Alluxio cluster.
	// +optional
	Alluxio *AlluxioDataSource `json:"alluxio,omitempty"`

	// A MinIO server.
	// +optional
	MinIO *S3DataSource `json:"minio,omitempty"`

	// A Ceph cluster's object gateway (RGW).
	// +optional
	Ceph *S3DataSource `json:"ceph,omitempty"`

	// Any other service that speaks the S3 protocol.
	// +optional
	S3 *S3DataSource `json:"s3,omitempty"`

	// An HTTP server.
	// +optional
	HTTP *HTTPDataSource `json:"http,omitempty"`

	// An OCI registry.
	// +optional
	OCI *OCIDataSource `json:"oci,omitempty"`

	// A PersistentVolumeClaim.
	// +optional
	PVC *PVCDataSource `json:"pvc,omitempty"`

	// A plugin that the installation offers.
	// +optional
	Plugin *PluginDataSource `json:"plugin,omitempty"`
}

// SourceLimits protect a storage system from its readers.
type SourceLimits struct {
	// How many requests may be under way at the same time: of all pods of the
	// namespace on a node where they share a store, else of each pod.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	Connections int32 `json:"connections,omitempty"`

	// How many bytes each pod's runtime may read in a second, such as 100Mi.
	// Pods that share a store download an item only once between them.
	// +optional
	BytesPerSecond *resource.Quantity `json:"bytesPerSecond,omitempty"`
}

// HDFSDataSource describes an HDFS cluster.
//
// +kubebuilder:validation:XValidation:rule="!has(self.dataTransferProtection) || has(self.kerberos)",message="dataTransferProtection: goes with kerberos only"
type HDFSDataSource struct {
	// The namenodes, host:port; several are those of one highly available
	// nameservice, of which the active one is found.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	Addresses []string `json:"addresses"`

	// The user that reads, where the cluster asks for no proof of it. With
	// kerberos it has no meaning.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	UserName string `json:"userName,omitempty"`

	// How the reader proves who it is, where the cluster wants that.
	// +optional
	Kerberos *HDFSKerberos `json:"kerberos,omitempty"`

	// The least protection that transfers from datanodes must have:
	// authentication, integrity or privacy (encryption), as in the cluster's
	// dfs.data.transfer.protection. Without it, what the cluster asks for.
	// +optional
	DataTransferProtection DataTransferProtection `json:"dataTransferProtection,omitempty"`

	// What reading must not exceed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`

	// A cache in front of the source, which saves it from being read once for each
	// node. Names, versions, checksums and rights always come from the source itself.
	// +optional
	Cache *AlluxioCache `json:"cache,omitempty"`
}

// HDFSKerberos says how a reader of HDFS proves who it is.
type HDFSKerberos struct {
	// The reader's principal, user@REALM or user/host@REALM.
	// +required
	// +kubebuilder:validation:Pattern=`^[^@/\s]+(/[^@/\s]+)?@[^@/\s]+$`
	// +kubebuilder:validation:MaxLength=512
	Principal string `json:"principal"`

	// Its keytab, in a Secret of the DataSet's namespace. It is mounted into the
	// runtime only.
	// +required
	KeytabSecretRef KeytabReference `json:"keytabSecretRef"`

	// The krb5.conf that names the realm's servers, in a ConfigMap of the
	// DataSet's namespace.
	// +required
	Krb5ConfRef Krb5ConfReference `json:"krb5ConfRef"`

	// The namenodes' principal, service/host; _HOST stands for the namenode's
	// host name.
	// +optional
	// +kubebuilder:default="nn/_HOST"
	// +kubebuilder:validation:MaxLength=512
	ServicePrincipalName string `json:"servicePrincipalName,omitempty"`
}

// KeytabReference names a keytab in a Secret of the same namespace.
type KeytabReference struct {
	// The Secret's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// The key in it.
	// +optional
	// +kubebuilder:default=keytab
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// Krb5ConfReference names a krb5.conf in a ConfigMap of the same namespace.
type Krb5ConfReference struct {
	// The ConfigMap's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// The key in it.
	// +optional
	// +kubebuilder:default=krb5.conf
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// DataTransferProtection is a quality of protection of HDFS.
// +kubebuilder:validation:Enum=authentication;integrity;privacy
type DataTransferProtection string

// AlluxioDataSource describes an Alluxio cluster.
type AlluxioDataSource struct {
	// Host of the master.
	// +required
	Host string `json:"host"`

	// Port of the master, 19998 unless it was told otherwise. Where it is the port of
	// the HTTP proxy, the master on the same host at 19998 is read from.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// Timeout of a request to the master, in seconds; without it 30.
	// +optional
	Timeout int32 `json:"timeout,omitempty"`

	// What reading must not exceed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`
}

// CacheFallback says what to do when a cache does not serve a file.
// +kubebuilder:validation:Enum=Always;Never
type CacheFallback string

// The values of CacheFallback.
const (
	// CacheFallbackAlways reads from the source what the cache does not have, or has
	// wrong.
	CacheFallbackAlways CacheFallback = "Always"
	// CacheFallbackNever has the item fail, so that the source is not read from. Files
	// below 1 MiB come from the source all the same.
	CacheFallbackNever CacheFallback = "Never"
)

// SourceCache is a cache in front of a source that speaks the S3 protocol.
//
// +kubebuilder:validation:XValidation:rule="has(self.alluxio) != has(self.httpProxy)",message="alluxio, httpProxy: give exactly one of them"
type SourceCache struct {
	// An Alluxio that has the bucket mounted.
	// +optional
	Alluxio *AlluxioMount `json:"alluxio,omitempty"`

	// An HTTP proxy that keeps what goes through it, such as dfdaemon of Dragonfly,
	// nginx or Squid. The endpoint must be http://, because no proxy sees what TLS
	// protects.
	// +optional
	HTTPProxy *CachingProxy `json:"httpProxy,omitempty"`

	// What to do when the cache does not serve a file.
	// +optional
	// +kubebuilder:default=Always
	Fallback CacheFallback `json:"fallback,omitempty"`
}

// AlluxioCache is a cache in front of an HDFS cluster.
type AlluxioCache struct {
	// An Alluxio that has the HDFS mounted.
	// +required
	Alluxio AlluxioMount `json:"alluxio"`

	// What to do when the cache does not serve a file.
	// +optional
	// +kubebuilder:default=Always
	Fallback CacheFallback `json:"fallback,omitempty"`
}

// HTTPCache is a cache in front of an HTTP server.
type HTTPCache struct {
	// An HTTP proxy that keeps what goes through it, such as dfdaemon of Dragonfly,
	// nginx or Squid. The url must be http://, because no proxy sees what TLS protects.
	// +required
	HTTPProxy CachingProxy `json:"httpProxy"`

	// What to do when the cache does not serve a file.
	// +optional
	// +kubebuilder:default=Always
	Fallback CacheFallback `json:"fallback,omitempty"`
}

// AlluxioMount is where an Alluxio has what a source has.
type AlluxioMount struct {
	// Host of the master.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host"`

	// Port of the master.
	// +optional
	// +kubebuilder:default=19998
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// Timeout of a request to the master, in seconds; without it 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	Timeout int32 `json:"timeout,omitempty"`

	// The path in Alluxio at which the bucket, or the root of the HDFS, is mounted;
	// without it /.
	// +optional
	// +kubebuilder:validation:Pattern=`^/`
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`
}

// CachingProxy is an HTTP proxy that keeps what goes through it.
type CachingProxy struct {
	// Where the proxy answers: http://host:port.
	// +required
	// +kubebuilder:validation:Pattern=`^http://[^/\s]+/?$`
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url"`
}

// S3DataSource describes a service that speaks the S3 protocol.
//
// +kubebuilder:validation:XValidation:rule="(has(self.secretRef) ? 1 : 0) + (has(self.webIdentity) ? 1 : 0) + (has(self.instanceCredentials) ? 1 : 0) <= 1",message="secretRef, webIdentity, instanceCredentials: give at most one of them"
type S3DataSource struct {
	// Where the service answers: http://host:port or https://host:port.
	// +required
	// +kubebuilder:validation:Pattern=`^https?://[^/\s]+/?$`
	// +kubebuilder:validation:MaxLength=1024
	Endpoint string `json:"endpoint"`

	// The bucket.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=255
	Bucket string `json:"bucket"`

	// The region; without it us-east-1, or what the service says.
	// +optional
	Region string `json:"region,omitempty"`

	// Whether the bucket is part of the path (true) or of the host name (false).
	// Without it: true for minio and ceph, false for s3.
	// +optional
	PathStyle *bool `json:"pathStyle,omitempty"`

	// A Secret of the DataSet's namespace with the keys accessKey and secretKey,
	// and perhaps sessionToken. Without it requests are anonymous. It is mounted
	// into the runtime only.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// A ConfigMap of the DataSet's namespace with the certificates (PEM) that
	// the service's certificate is checked against.
	// +optional
	CARef *CAReference `json:"caRef,omitempty"`

	// An HTTP proxy to go through: http://host:port.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^/\s]+/?$`
	Proxy string `json:"proxy,omitempty"`

	// Credentials in exchange for a token of the pod's service account, so that
	// no secret has to be kept.
	// +optional
	WebIdentity *WebIdentity `json:"webIdentity,omitempty"`

	// Credentials from the metadata service of the node's cloud instance.
	// +optional
	InstanceCredentials *InstanceCredentials `json:"instanceCredentials,omitempty"`

	// What reading must not exceed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`

	// A cache in front of the source, which saves it from being read once for each
	// node. Names, versions, checksums and rights always come from the source itself.
	// +optional
	Cache *SourceCache `json:"cache,omitempty"`
}

// WebIdentity is an exchange of a service account's token for credentials
// (AssumeRoleWithWebIdentity).
type WebIdentity struct {
	// The role to take on.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	RoleARN string `json:"roleARN,omitempty"`

	// The security token service, http://host:port or https://host:port.
	// Without it, for s3, that of the region; for minio and ceph the endpoint.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^/\s]+/?$`
	STSEndpoint string `json:"stsEndpoint,omitempty"`

	// The audience that the token is made for.
	// +optional
	// +kubebuilder:default=sts.amazonaws.com
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Audience string `json:"audience,omitempty"`
}

// InstanceCredentials come from an instance's metadata service.
type InstanceCredentials struct {
	// The metadata service; without it the address that clouds share.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^/\s]+/?$`
	Endpoint string `json:"endpoint,omitempty"`
}

// HTTPDataSource describes an HTTP server.
//
// +kubebuilder:validation:XValidation:rule="!has(self.cache) || !has(self.secretRef)",message="cache: goes without secretRef only, because the proxy would see the credentials and keep the files for all who reach it"
type HTTPDataSource struct {
	// What remotePath is appended to: http://host:port/base.
	// +required
	// +kubebuilder:validation:Pattern=`^https?://[^/\s?#]+(/[^\s?#]*)?$`
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// A Secret of the DataSet's namespace with the key token (sent as a bearer
	// token) or the keys username and password (basic authentication). It is
	// mounted into the runtime only, and never sent to another host.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// A ConfigMap of the DataSet's namespace with the certificates (PEM) that
	// the server's certificate is checked against.
	// +optional
	CARef *CAReference `json:"caRef,omitempty"`

	// An HTTP proxy to go through: http://host:port.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^/\s]+/?$`
	Proxy string `json:"proxy,omitempty"`

	// What reading must not exceed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`

	// A cache in front of the source, which saves it from being read once for each
	// node. Names, versions, checksums and rights always come from the source itself.
	// +optional
	Cache *HTTPCache `json:"cache,omitempty"`
}

// OCIDataSource describes a registry of OCI artifacts and images. An item's
// remotePath is repository:tag or repository@sha256:…, and perhaps // and a path
// inside.
type OCIDataSource struct {
	// The registry, host:port; http://host:port for one without TLS.
	// +required
	// +kubebuilder:validation:Pattern=`^(https?://)?[^/\s]+/?$`
	// +kubebuilder:validation:MaxLength=1024
	Registry string `json:"registry"`

	// A pull secret of the DataSet's namespace (kubernetes.io/dockerconfigjson),
	// or one with the keys username and password. Without it requests are
	// anonymous. It is mounted into the runtime only.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// A ConfigMap of the DataSet's namespace with the certificates (PEM) that
	// the registry's certificate is checked against.
	// +optional
	CARef *CAReference `json:"caRef,omitempty"`

	// An HTTP proxy to go through: http://host:port.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^/\s]+/?$`
	Proxy string `json:"proxy,omitempty"`

	// Which image of an index is wanted, os/architecture; without it that of
	// the node.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9]+/[a-z0-9]+(/[a-z0-9.]+)?$`
	Platform string `json:"platform,omitempty"`

	// What reading must not exceed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`
}

// PVCDataSource describes a volume to read from. It is mounted, read-only, into
// the runtime only.
type PVCDataSource struct {
	// A PersistentVolumeClaim of the DataSet's namespace, which every node with
	// such a pod can mount.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClaimName string `json:"claimName"`

	// What reading must not exceed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`
}

// PluginDataSource describes a storage system that a plugin reads.
type PluginDataSource struct {
	// The plugin's name in the installation's configuration.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`

	// What the plugin wants to know, such as where the storage system is.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Config map[string]string `json:"config,omitempty"`

	// A Secret of the DataSet's namespace. It is mounted into the plugin's
	// container only.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// A ConfigMap of the DataSet's namespace with certificates, for the plugin's
	// container.
	// +optional
	CARef *CAReference `json:"caRef,omitempty"`

	// What reading must not exceed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`
}

// SecretReference names a Secret of the same namespace.
type SecretReference struct {
	// The Secret's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// CAReference names certificates in a ConfigMap of the same namespace.
type CAReference struct {
	// The ConfigMap's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// The key in it.
	// +optional
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
