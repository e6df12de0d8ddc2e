// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"cmp"
	"path/filepath"
	"time"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/all"
	"github.com/kuda-io/kuda/internal/source/alluxio"
	"github.com/kuda-io/kuda/internal/source/hdfs"
	"github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/oci"
	"github.com/kuda-io/kuda/internal/source/plugin"
	"github.com/kuda-io/kuda/internal/source/pvc"
	"github.com/kuda-io/kuda/internal/source/s3"
)

// Mounts says where the injector put what sources refer to; package sidecar has
// the places in a pod.
type Mounts struct {
	// Secrets, CAs, Claims and Plugins have one directory per Secret, ConfigMap,
	// claim and plugin, by its name; Identities one per audience, by its hash.
	Secrets, CAs, Claims, Identities, Plugins string
	// Scratch is a directory for what a source has to keep while it is read.
	Scratch string
}

// defaultUser is who reads from an HDFS that is told no user, and from an Alluxio.
const defaultUser = "kuda"

// driverConfig turns a source of the protocol into a driver's configuration.
func (m Mounts) driverConfig(s *gatewayv1alpha1.Source) (all.Config, error) {
	switch c := s.GetConfig().(type) {
	case *gatewayv1alpha1.Source_S3:
		return all.Config{S3: m.s3Config(c.S3)}, nil
	case *gatewayv1alpha1.Source_Http:
		file, name := m.caFile(c.Http.GetCa())
		return all.Config{HTTP: &http.Config{
			URL: c.Http.GetUrl(), Credentials: m.credentialsMount(c.Http.GetSecret()), CAFile: file, CAName: name, Proxy: c.Http.GetProxy(),
		}}, nil
	case *gatewayv1alpha1.Source_Hdfs:
		return all.Config{HDFS: m.hdfsConfig(c.Hdfs)}, nil
	case *gatewayv1alpha1.Source_Alluxio:
		return all.Config{Alluxio: &alluxio.Config{
			Host: c.Alluxio.GetHost(), Port: int(c.Alluxio.GetPort()), UserName: defaultUser,
			Timeout: time.Duration(c.Alluxio.GetTimeoutSeconds()) * time.Second,
		}}, nil
	case *gatewayv1alpha1.Source_Oci:
		file, name := m.caFile(c.Oci.GetCa())
		return all.Config{OCI: &oci.Config{
			Registry: c.Oci.GetRegistry(), Credentials: m.credentialsMount(c.Oci.GetSecret()), CAFile: file, CAName: name,
			Proxy: c.Oci.GetProxy(), Platform: c.Oci.GetPlatform(), ScratchDir: m.Scratch,
		}}, nil
	case *gatewayv1alpha1.Source_Pvc:
		return all.Config{PVC: &pvc.Config{
			Root: filepath.Join(m.Claims, filepath.Base(c.Pvc.GetClaim())), Claim: c.Pvc.GetClaim(),
		}}, nil
	case *gatewayv1alpha1.Source_Plugin:
		return all.Config{Plugin: m.pluginConfig(c.Plugin)}, nil
	default:
		return all.Config{}, &UnsupportedError{Source: s.GetName()}
	}
}

func (m Mounts) s3Config(c *gatewayv1alpha1.S3Source) *s3.Config {
	file, name := m.caFile(c.GetCa())
	config := &s3.Config{
		Endpoint: c.GetEndpoint(), Bucket: c.GetBucket(), Region: c.GetRegion(), PathStyle: c.GetPathStyle(),
		Credentials: m.credentialsMount(c.GetSecret()), CAFile: file, CAName: name, Proxy: c.GetProxy(),
	}
	if w := c.GetWebIdentity(); w != nil {
		config.WebIdentity = &s3.WebIdentity{
			RoleARN: w.GetRoleArn(), STSEndpoint: w.GetStsEndpoint(),
			TokenFile: filepath.Join(m.Identities, sidecar.ShortHash(w.GetAudience()), sidecar.IdentityFile),
		}
	}
	if i := c.GetInstanceCredentials(); i != nil {
		config.Instance = &s3.Instance{Endpoint: i.GetEndpoint()}
	}
	return config
}

func (m Mounts) hdfsConfig(c *gatewayv1alpha1.HDFSSource) *hdfs.Config {
	config := &hdfs.Config{Addresses: c.GetAddresses(), DataTransferProtection: c.GetDataTransferProtection()}
	k := c.GetKerberos()
	if k == nil {
		config.UserName = cmp.Or(c.GetUserName(), defaultUser)
		return config
	}
	config.Kerberos = &hdfs.Kerberos{
		Principal: k.GetPrincipal(), ServicePrincipalName: k.GetServicePrincipalName(),
		Keytab:   hdfs.File{Mount: m.secretMount(k.GetSecret()), Key: filepath.Base(k.GetKeytabKey())},
		Krb5Conf: hdfs.File{Mount: m.configMap(k.GetConfigMap()), Key: filepath.Base(k.GetKrb5ConfKey())},
	}
	return config
}

// pluginConfig names the directories of the plugin's container, which are mounted at
// the same places as the runtime's.
func (m Mounts) pluginConfig(c *gatewayv1alpha1.PluginSource) *plugin.Config {
	config := &plugin.Config{
		Name: c.GetName(), Settings: c.GetConfig(),
		Socket: filepath.Join(m.Plugins, filepath.Base(c.GetName()), sidecar.PluginSocket),
	}
	if name := c.GetSecret(); name != "" {
		config.SecretDir = filepath.Join(m.Secrets, filepath.Base(name))
	}
	if ca := c.GetCa(); ca.GetConfigMap() != "" {
		config.CADir, config.CAKey = filepath.Join(m.CAs, filepath.Base(ca.GetConfigMap())), ca.GetKey()
	}
	return config
}

// credentialsMount is nil for no name.
func (m Mounts) credentialsMount(name string) *source.Mount {
	if name == "" {
		return nil
	}
	mount := m.secretMount(name)
	return &mount
}

func (m Mounts) secretMount(name string) source.Mount {
	return source.Mount{Dir: filepath.Join(m.Secrets, filepath.Base(name)), Name: `Secret "` + name + `"`}
}

func (m Mounts) configMap(name string) source.Mount {
	return source.Mount{Dir: filepath.Join(m.CAs, filepath.Base(name)), Name: `ConfigMap "` + name + `"`}
}

func (m Mounts) caFile(ca *gatewayv1alpha1.CertificateAuthority) (file, name string) {
	if ca.GetConfigMap() == "" {
		return "", ""
	}
	mount := m.configMap(ca.GetConfigMap())
	return filepath.Join(mount.Dir, filepath.Base(ca.GetKey())), mount.Name + ", key " + ca.GetKey()
}
