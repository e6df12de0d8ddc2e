// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcekind

import (
	"cmp"
	"net"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// kinds is the table: an entry is a line here and the function that it names.
var kinds = []describer{
	describerOf(v1alpha1.DataSourceHDFS, func(s *v1alpha1.DataSources) *v1alpha1.HDFSDataSource { return s.HDFS }, describeHDFS),
	describerOf(v1alpha1.DataSourceAlluxio, func(s *v1alpha1.DataSources) *v1alpha1.AlluxioDataSource { return s.Alluxio }, describeAlluxio),
	describerOf(v1alpha1.DataSourceMinIO, func(s *v1alpha1.DataSources) *v1alpha1.S3DataSource { return s.MinIO }, describeS3(true)),
	describerOf(v1alpha1.DataSourceCeph, func(s *v1alpha1.DataSources) *v1alpha1.S3DataSource { return s.Ceph }, describeS3(true)),
	describerOf(v1alpha1.DataSourceS3, func(s *v1alpha1.DataSources) *v1alpha1.S3DataSource { return s.S3 }, describeS3(false)),
	describerOf(v1alpha1.DataSourceHTTP, func(s *v1alpha1.DataSources) *v1alpha1.HTTPDataSource { return s.HTTP }, describeHTTP),
	describerOf(v1alpha1.DataSourceOCI, func(s *v1alpha1.DataSources) *v1alpha1.OCIDataSource { return s.OCI }, describeOCI),
	describerOf(v1alpha1.DataSourcePVC, func(s *v1alpha1.DataSources) *v1alpha1.PVCDataSource { return s.PVC }, describePVC),
	describerOf(v1alpha1.DataSourcePlugin, func(s *v1alpha1.DataSources) *v1alpha1.PluginDataSource { return s.Plugin }, describePlugin),
}

// The schema's defaults, for what it did not see.
const (
	defaultCAKey       = "ca.crt"
	defaultKeytabKey   = "keytab"
	defaultKrb5ConfKey = "krb5.conf"
	defaultAudience    = "sts.amazonaws.com"
)

func describeHDFS(s v1alpha1.HDFSDataSource, at *field.Path) Source {
	config := &gatewayv1alpha1.HDFSSource{
		Addresses: s.Addresses, UserName: s.UserName, DataTransferProtection: string(s.DataTransferProtection),
	}
	source := Source{Origin: s.Addresses, Message: &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Hdfs{Hdfs: config}}}
	for i, address := range s.Addresses {
		at := at.Child("addresses").Index(i)
		source.References = append(source.References, Reference{Kind: OtherServer, Name: address, Field: at})
		host, port, err := net.SplitHostPort(address)
		if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || host == "" || n < 1 || n > 65535 {
			source.Problems = append(source.Problems, field.Invalid(at, address, "must be host:port, such as namenode:8020"))
		}
	}
	if k := s.Kerberos; k != nil {
		keytab, conf := k.KeytabSecretRef, k.Krb5ConfRef
		source.References = append(source.References,
			Reference{Kind: Secret, Name: keytab.Name, Key: keytab.Key, Field: at.Child("kerberos", "keytabSecretRef")},
			Reference{Kind: ConfigMap, Name: conf.Name, Key: conf.Key, Field: at.Child("kerberos", "krb5ConfRef")})
		config.Kerberos = &gatewayv1alpha1.Kerberos{
			Principal: k.Principal, ServicePrincipalName: k.ServicePrincipalName,
			Secret: keytab.Name, KeytabKey: cmp.Or(keytab.Key, defaultKeytabKey),
			ConfigMap: conf.Name, Krb5ConfKey: cmp.Or(conf.Key, defaultKrb5ConfKey),
		}
	}
	if s.Cache != nil {
		c := newCache(s.Cache.Fallback)
		c.addAlluxio(s.Cache.Alluxio, at.Child("cache"))
		config.Cache = c.addTo(&source)
	}
	return source
}

func describeAlluxio(s v1alpha1.AlluxioDataSource, at *field.Path) Source {
	at = at.Child("host")
	source := Source{
		Origin:     []string{s.Host, strconv.Itoa(int(s.Port))},
		References: []Reference{{Kind: OtherServer, Name: s.Host, Field: at}},
		Message: &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Alluxio{Alluxio: &gatewayv1alpha1.AlluxioSource{
			Host: s.Host, Port: s.Port, TimeoutSeconds: s.Timeout,
		}}},
	}
	source.Problems = hostProblems(s.Host, at)
	return source
}

// describeS3 is for what speaks the S3 protocol. The path style is that of servers of
// the kind, where the DataSet does not say.
func describeS3(pathStyle bool) func(v1alpha1.S3DataSource, *field.Path) Source {
	return func(s v1alpha1.S3DataSource, at *field.Path) Source {
		config := &gatewayv1alpha1.S3Source{
			Endpoint: s.Endpoint, Bucket: s.Bucket, Region: s.Region, PathStyle: pathStyle,
			Secret: secretName(s.SecretRef), Ca: authority(s.CARef), Proxy: s.Proxy,
		}
		if s.PathStyle != nil {
			config.PathStyle = *s.PathStyle
		}
		source := Source{
			Origin:     []string{s.Endpoint, s.Bucket},
			References: httpReferences(at, s.SecretRef, s.CARef, s.Proxy, Reference{Name: s.Endpoint, Field: at.Child("endpoint"), WarnPlain: true}),
			Message:    &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_S3{S3: config}},
		}
		if w := s.WebIdentity; w != nil {
			at := at.Child("webIdentity")
			source.References = append(source.References, Reference{Kind: Audience, Name: w.Audience, Field: at},
				Reference{Kind: TokenServer, Name: w.STSEndpoint, Field: at.Child("stsEndpoint")})
			config.WebIdentity = &gatewayv1alpha1.WebIdentity{
				RoleArn: w.RoleARN, StsEndpoint: w.STSEndpoint, Audience: cmp.Or(w.Audience, defaultAudience),
			}
		}
		if i := s.InstanceCredentials; i != nil {
			at := at.Child("instanceCredentials")
			source.References = append(source.References, Reference{Kind: Instance, Field: at},
				Reference{Kind: TokenServer, Name: i.Endpoint, Field: at.Child("endpoint")})
			config.InstanceCredentials = &gatewayv1alpha1.InstanceCredentials{Endpoint: i.Endpoint}
		}
		if s.Cache != nil {
			c := s3Cache(s.Cache, s.Endpoint, at.Child("cache"))
			config.Cache = c.addTo(&source)
		}
		return source
	}
}

func describeHTTP(s v1alpha1.HTTPDataSource, at *field.Path) Source {
	config := &gatewayv1alpha1.HTTPSource{
		Url: s.URL, Secret: secretName(s.SecretRef), Ca: authority(s.CARef), Proxy: s.Proxy,
	}
	source := Source{
		Origin:     []string{s.URL},
		References: httpReferences(at, s.SecretRef, s.CARef, s.Proxy, Reference{Name: s.URL, Field: at.Child("url"), WarnPlain: true}),
		Message:    &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Http{Http: config}},
	}
	if s.Cache != nil {
		c := newCache(s.Cache.Fallback)
		c.addProxy(s.Cache.HTTPProxy, s.URL, at.Child("cache"))
		config.Cache = c.addTo(&source)
	}
	return source
}

func describeOCI(s v1alpha1.OCIDataSource, at *field.Path) Source {
	return Source{
		References: httpReferences(at, s.SecretRef, s.CARef, s.Proxy, Reference{Name: s.Registry, Field: at.Child("registry")}),
		Message: &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Oci{Oci: &gatewayv1alpha1.OCISource{
			Registry: s.Registry, Secret: secretName(s.SecretRef), Ca: authority(s.CARef), Proxy: s.Proxy, Platform: s.Platform,
		}}},
	}
}

func describePVC(s v1alpha1.PVCDataSource, at *field.Path) Source {
	return Source{
		References: []Reference{{Kind: Claim, Name: s.ClaimName, Field: at.Child("claimName")}},
		Message:    &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Pvc{Pvc: &gatewayv1alpha1.PVCSource{Claim: s.ClaimName}}},
	}
}

func describePlugin(s v1alpha1.PluginDataSource, at *field.Path) Source {
	return Source{
		References: append([]Reference{{Kind: Plugin, Name: s.Name, Field: at.Child("name")}}, objectReferences(at, s.SecretRef, s.CARef)...),
		Message: &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Plugin{Plugin: &gatewayv1alpha1.PluginSource{
			Name: s.Name, Config: s.Config, Secret: secretName(s.SecretRef), Ca: authority(s.CARef),
		}}},
	}
}

// httpReferences returns those of a source that is read by HTTP.
func httpReferences(at *field.Path, secret *v1alpha1.SecretReference, ca *v1alpha1.CAReference, proxy string,
	server Reference) []Reference {
	server.Kind = HTTPServer
	return append(objectReferences(at, secret, ca), server, Reference{Kind: HTTPServer, Name: proxy, Field: at.Child("proxy")})
}

func objectReferences(at *field.Path, secret *v1alpha1.SecretReference, ca *v1alpha1.CAReference) []Reference {
	var references []Reference
	if secret != nil {
		references = append(references, Reference{Kind: Secret, Name: secret.Name, Field: at.Child("secretRef")})
	}
	if ca != nil {
		references = append(references, Reference{Kind: ConfigMap, Name: ca.Name, Key: ca.Key, Field: at.Child("caRef")})
	}
	return references
}

func secretName(r *v1alpha1.SecretReference) string {
	if r == nil {
		return ""
	}
	return r.Name
}

func authority(r *v1alpha1.CAReference) *gatewayv1alpha1.CertificateAuthority {
	if r == nil {
		return nil
	}
	return &gatewayv1alpha1.CertificateAuthority{ConfigMap: r.Name, Key: cmp.Or(r.Key, defaultCAKey)}
}
