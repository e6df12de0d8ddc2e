// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// The schema's defaults, for what it did not see.
const (
	defaultCAKey       = "ca.crt"
	defaultKeytabKey   = "keytab"
	defaultKrb5ConfKey = "krb5.conf"
	defaultAudience    = "sts.amazonaws.com"
)

// Assignment is a Data in the words of the protocol.
func Assignment(d *v1alpha1.Data) *gatewayv1alpha1.Assignment {
	items, sources := Contents(d.Spec.DataItems, &d.Spec.DataSources)
	return &gatewayv1alpha1.Assignment{
		Data:      d.Name,
		Dataset:   assignment.DataSet(d),
		Revision:  d.Spec.Revision,
		Items:     items,
		Sources:   sources,
		Lifecycle: toLifecycle(d.Spec.Lifecycle),
		Withdraw:  d.Spec.Withdraw,
		Preheat:   assignment.Preheats(d),
	}
}

// Contents is items, and the sources that they refer to.
func Contents(items []v1alpha1.DataItem, sources *v1alpha1.DataSources) ([]*gatewayv1alpha1.Item, []*gatewayv1alpha1.Source) {
	var outItems []*gatewayv1alpha1.Item
	var outSources []*gatewayv1alpha1.Source
	added := make(map[v1alpha1.DataSourceType]bool)
	for i := range items {
		item := &items[i]
		outItems = append(outItems, toItem(item))
		if added[item.DataSourceType] {
			continue
		}
		added[item.DataSourceType] = true
		if source := toSource(item.DataSourceType, sources); source != nil {
			outSources = append(outSources, source)
		}
	}
	return outItems, outSources
}

func toItem(i *v1alpha1.DataItem) *gatewayv1alpha1.Item {
	item := &gatewayv1alpha1.Item{
		Namespace:  i.Namespace,
		Name:       i.Name,
		Version:    i.Version,
		RemotePath: i.RemotePath,
		LocalPath:  i.LocalPath,
		Source:     string(i.DataSourceType),
		Digest:     i.Digest,
		Include:    i.Include,
		Exclude:    i.Exclude,
		Lifecycle:  toLifecycle(i.Lifecycle),
	}
	if i.Mode != nil {
		mode := uint32(*i.Mode)
		item.Mode = &mode
	}
	return item
}

func toLifecycle(l *v1alpha1.Lifecycle) *gatewayv1alpha1.Lifecycle {
	if l == nil {
		return nil
	}
	return &gatewayv1alpha1.Lifecycle{PreDownload: toHook(l.PreDownload), PostDownload: toHook(l.PostDownload)}
}

// toHook leaves the command of an exec hook out: the runtime only needs to know
// that there is one.
func toHook(h *v1alpha1.LifecycleHandler) *gatewayv1alpha1.Hook {
	switch {
	case h == nil:
		return nil
	case h.Exec != nil:
		return &gatewayv1alpha1.Hook{Action: &gatewayv1alpha1.Hook_Exec{Exec: &gatewayv1alpha1.ExecHook{}}}
	case h.HTTPGet != nil:
		return &gatewayv1alpha1.Hook{Action: &gatewayv1alpha1.Hook_HttpGet{HttpGet: toHTTPGet(h.HTTPGet)}}
	default:
		return nil
	}
}

func toHTTPGet(a *corev1.HTTPGetAction) *gatewayv1alpha1.HTTPGetHook {
	h := &gatewayv1alpha1.HTTPGetHook{Port: a.Port.IntVal, Path: a.Path, Scheme: string(a.Scheme)}
	for _, header := range a.HTTPHeaders {
		h.Headers = append(h.Headers, &gatewayv1alpha1.Header{Name: header.Name, Value: header.Value})
	}
	return h
}

// toSource returns nil for a source that the Data does not describe; the
// runtime reports items of it as misconfigured.
func toSource(kind v1alpha1.DataSourceType, s *v1alpha1.DataSources) *gatewayv1alpha1.Source {
	source := &gatewayv1alpha1.Source{Name: string(kind)}
	var limits *v1alpha1.SourceLimits
	switch {
	case kind == v1alpha1.DataSourceMinIO && s.MinIO != nil:
		source.Config = toS3(s.MinIO, true)
		limits = s.MinIO.Limits
	case kind == v1alpha1.DataSourceCeph && s.Ceph != nil:
		source.Config = toS3(s.Ceph, true)
		limits = s.Ceph.Limits
	case kind == v1alpha1.DataSourceS3 && s.S3 != nil:
		source.Config = toS3(s.S3, false)
		limits = s.S3.Limits
	case kind == v1alpha1.DataSourceHTTP && s.HTTP != nil:
		source.Config = &gatewayv1alpha1.Source_Http{Http: &gatewayv1alpha1.HTTPSource{
			Url: s.HTTP.URL, Secret: secretName(s.HTTP.SecretRef), Ca: toCA(s.HTTP.CARef), Proxy: s.HTTP.Proxy,
		}}
		limits = s.HTTP.Limits
	case kind == v1alpha1.DataSourceHDFS && s.HDFS != nil:
		source.Config = toHDFS(s.HDFS)
		limits = s.HDFS.Limits
	case kind == v1alpha1.DataSourceOCI && s.OCI != nil:
		source.Config = &gatewayv1alpha1.Source_Oci{Oci: &gatewayv1alpha1.OCISource{
			Registry: s.OCI.Registry, Secret: secretName(s.OCI.SecretRef), Ca: toCA(s.OCI.CARef), Proxy: s.OCI.Proxy, Platform: s.OCI.Platform,
		}}
		limits = s.OCI.Limits
	case kind == v1alpha1.DataSourcePVC && s.PVC != nil:
		source.Config = &gatewayv1alpha1.Source_Pvc{Pvc: &gatewayv1alpha1.PVCSource{Claim: s.PVC.ClaimName}}
		limits = s.PVC.Limits
	case kind == v1alpha1.DataSourcePlugin && s.Plugin != nil:
		source.Config = &gatewayv1alpha1.Source_Plugin{Plugin: &gatewayv1alpha1.PluginSource{
			Name: s.Plugin.Name, Config: s.Plugin.Config, Secret: secretName(s.Plugin.SecretRef), Ca: toCA(s.Plugin.CARef),
		}}
		limits = s.Plugin.Limits
	case kind == v1alpha1.DataSourceAlluxio && s.Alluxio != nil:
		source.Config = &gatewayv1alpha1.Source_Alluxio{Alluxio: &gatewayv1alpha1.AlluxioSource{
			Host: s.Alluxio.Host, Port: s.Alluxio.Port, TimeoutSeconds: s.Alluxio.Timeout,
		}}
	default:
		return nil
	}
	source.Limits = toLimits(limits)
	return source
}

func toLimits(l *v1alpha1.SourceLimits) *gatewayv1alpha1.SourceLimits {
	if l == nil {
		return nil
	}
	limits := &gatewayv1alpha1.SourceLimits{Connections: uint32(max(0, l.Connections))}
	if l.BytesPerSecond != nil {
		limits.BytesPerSecond = uint64(max(0, l.BytesPerSecond.Value()))
	}
	return limits
}

func toHDFS(s *v1alpha1.HDFSDataSource) *gatewayv1alpha1.Source_Hdfs {
	hdfs := &gatewayv1alpha1.HDFSSource{
		Addresses: s.Addresses, UserName: s.UserName, DataTransferProtection: string(s.DataTransferProtection),
	}
	if k := s.Kerberos; k != nil {
		hdfs.Kerberos = &gatewayv1alpha1.Kerberos{
			Principal: k.Principal, ServicePrincipalName: k.ServicePrincipalName,
			Secret: k.KeytabSecretRef.Name, KeytabKey: cmp.Or(k.KeytabSecretRef.Key, defaultKeytabKey),
			ConfigMap: k.Krb5ConfRef.Name, Krb5ConfKey: cmp.Or(k.Krb5ConfRef.Key, defaultKrb5ConfKey),
		}
	}
	return &gatewayv1alpha1.Source_Hdfs{Hdfs: hdfs}
}

func toS3(s *v1alpha1.S3DataSource, pathStyle bool) *gatewayv1alpha1.Source_S3 {
	if s.PathStyle != nil {
		pathStyle = *s.PathStyle
	}
	config := &gatewayv1alpha1.S3Source{
		Endpoint:  s.Endpoint,
		Bucket:    s.Bucket,
		Region:    s.Region,
		PathStyle: pathStyle,
		Secret:    secretName(s.SecretRef),
		Ca:        toCA(s.CARef),
		Proxy:     s.Proxy,
	}
	if w := s.WebIdentity; w != nil {
		config.WebIdentity = &gatewayv1alpha1.WebIdentity{RoleArn: w.RoleARN, StsEndpoint: w.STSEndpoint, Audience: cmp.Or(w.Audience, defaultAudience)}
	}
	if i := s.InstanceCredentials; i != nil {
		config.InstanceCredentials = &gatewayv1alpha1.InstanceCredentials{Endpoint: i.Endpoint}
	}
	return &gatewayv1alpha1.Source_S3{S3: config}
}

func secretName(r *v1alpha1.SecretReference) string {
	if r == nil {
		return ""
	}
	return r.Name
}

func toCA(r *v1alpha1.CAReference) *gatewayv1alpha1.CertificateAuthority {
	if r == nil {
		return nil
	}
	return &gatewayv1alpha1.CertificateAuthority{ConfigMap: r.Name, Key: cmp.Or(r.Key, defaultCAKey)}
}
