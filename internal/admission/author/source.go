// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/source/local"
)

// source is a storage system that a DataSet describes, and what it refers to.
type source struct {
	kind v1alpha1.DataSourceType
	// block is the description without its limits, which change nothing of what
	// is read nor of where credentials go.
	block      any
	references []reference
}

// reference is one thing of the namespace that a source refers to.
type reference struct {
	right Right
	field *field.Path
	// reads says that data is read by virtue of it, as with credentials; a
	// certificate authority's certificates only protect the reading.
	reads    bool
	audience string
}

// sourcesOf returns the sources that are given.
func sourcesOf(sources *v1alpha1.DataSources, at *field.Path) []source {
	var given []source
	for _, s := range []struct {
		kind   v1alpha1.DataSourceType
		source *v1alpha1.S3DataSource
	}{
		{v1alpha1.DataSourceMinIO, sources.MinIO}, {v1alpha1.DataSourceCeph, sources.Ceph}, {v1alpha1.DataSourceS3, sources.S3},
	} {
		if s.source != nil {
			given = append(given, s3Source(s.kind, *s.source, at.Child(string(s.kind))))
		}
	}
	if http := sources.HTTP; http != nil {
		block, at := *http, at.Child("http")
		block.Limits = nil
		references := append(secretReferences(http.SecretRef, at), caReferences(http.CARef, at)...)
		references = append(references, localReferences(at.Child("url"), http.URL)...)
		given = append(given, source{v1alpha1.DataSourceHTTP, block, append(references, localReferences(at.Child("proxy"), http.Proxy)...)})
	}
	if oci := sources.OCI; oci != nil {
		block, at := *oci, at.Child("oci")
		block.Limits = nil
		references := append(secretReferences(oci.SecretRef, at), caReferences(oci.CARef, at)...)
		references = append(references, localReferences(at.Child("registry"), oci.Registry)...)
		given = append(given, source{v1alpha1.DataSourceOCI, block, append(references, localReferences(at.Child("proxy"), oci.Proxy)...)})
	}
	if hdfs := sources.HDFS; hdfs != nil {
		given = append(given, hdfsSource(*hdfs, at.Child("hdfs")))
	}
	if pvc := sources.PVC; pvc != nil {
		given = append(given, pvcSource(*pvc, at.Child("pvc", "claimName")))
	}
	if plugin := sources.Plugin; plugin != nil {
		given = append(given, pluginSource(*plugin, at.Child("plugin")))
	}
	return given
}

func s3Source(kind v1alpha1.DataSourceType, s3 v1alpha1.S3DataSource, at *field.Path) source {
	s3.Limits = nil
	references := append(secretReferences(s3.SecretRef, at), caReferences(s3.CARef, at)...)
	references = append(references, localReferences(at.Child("endpoint"), s3.Endpoint)...)
	references = append(references, localReferences(at.Child("proxy"), s3.Proxy)...)
	if w := s3.WebIdentity; w != nil {
		references = append(references, reference{right: createTokens, field: at.Child("webIdentity"), reads: true, audience: w.Audience})
		references = append(references, localReferences(at.Child("webIdentity", "stsEndpoint"), w.STSEndpoint)...)
	}
	if s3.InstanceCredentials != nil {
		// A user who may create a pod reaches the metadata service from it.
		references = append(references, reference{right: createPods, field: at.Child("instanceCredentials"), reads: true})
		references = append(references, localReferences(at.Child("instanceCredentials", "endpoint"), s3.InstanceCredentials.Endpoint)...)
	}
	return source{kind, s3, references}
}

func hdfsSource(hdfs v1alpha1.HDFSDataSource, at *field.Path) source {
	hdfs.Limits = nil
	s := source{kind: v1alpha1.DataSourceHDFS, block: hdfs}
	if k := hdfs.Kerberos; k != nil {
		at = at.Child("kerberos")
		s.references = []reference{
			{right: getSecret(k.KeytabSecretRef.Name), field: at.Child("keytabSecretRef"), reads: true},
			{right: getConfigMap(k.Krb5ConfRef.Name), field: at.Child("krb5ConfRef")},
		}
	}
	return s
}

// pvcSource needs both: seeing the claim, and what mounting it takes without Kuda.
func pvcSource(pvc v1alpha1.PVCDataSource, at *field.Path) source {
	pvc.Limits = nil
	return source{v1alpha1.DataSourcePVC, pvc, []reference{
		{right: getClaim(pvc.ClaimName), field: at, reads: true},
		{right: createPods, field: at, reads: true},
	}}
}

// pluginSource needs the right to the plugin whatever it reads: the installation
// may have given it credentials of its own.
func pluginSource(plugin v1alpha1.PluginDataSource, at *field.Path) source {
	plugin.Limits = nil
	references := []reference{{right: usePlugin(plugin.Name), field: at.Child("name"), reads: true}}
	references = append(references, secretReferences(plugin.SecretRef, at)...)
	return source{v1alpha1.DataSourcePlugin, plugin, append(references, caReferences(plugin.CARef, at)...)}
}

func secretReferences(r *v1alpha1.SecretReference, at *field.Path) []reference {
	if r == nil {
		return nil
	}
	return []reference{{right: getSecret(r.Name), field: at.Child("secretRef"), reads: true}}
}

func caReferences(r *v1alpha1.CAReference, at *field.Path) []reference {
	if r == nil {
		return nil
	}
	return []reference{{right: getConfigMap(r.Name), field: at.Child("caRef")}}
}

// localReferences is for an address that leads to the pod itself, which takes what calling pods
// takes, or to its node, which a user who may create a pod reaches from it.
func localReferences(at *field.Path, address string) []reference {
	switch local.Named(address) {
	case local.Pod:
		return []reference{{right: callPods, field: at, reads: true}}
	case local.Node:
		return []reference{{right: createPods, field: at, reads: true}}
	}
	return nil
}
