// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// DataSourceType names a kind of storage system; it is also the key below
// dataSources.
// +kubebuilder:validation:Enum=hdfs;alluxio;minio;ceph;s3;http
type DataSourceType string

// The source types.
const (
	DataSourceHDFS    DataSourceType = "hdfs"
	DataSourceAlluxio DataSourceType = "alluxio"
	DataSourceMinIO   DataSourceType = "minio"
	DataSourceCeph    DataSourceType = "ceph"
	DataSourceS3      DataSourceType = "s3"
	DataSourceHTTP    DataSourceType = "http"
)

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
}

// HDFSDataSource describes an HDFS cluster.
type HDFSDataSource struct {
	// The namenodes, host:port.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	Addresses []string `json:"addresses"`

	// The user that reads.
	// +optional
	UserName string `json:"userName,omitempty"`
}

// AlluxioDataSource describes an Alluxio cluster.
type AlluxioDataSource struct {
	// Host of the proxy.
	// +required
	Host string `json:"host"`

	// Port of the proxy.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// Timeout of a request, in seconds.
	// +optional
	Timeout int32 `json:"timeout,omitempty"`
}

// S3DataSource describes a service that speaks the S3 protocol.
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
}

// HTTPDataSource describes an HTTP server.
type HTTPDataSource struct {
	// What remotePath is appended to: http://host:port/base.
	// +required
	// +kubebuilder:validation:Pattern=`^https?://[^/\s]+(/\S*)?$`
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
