// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func source(t *testing.T, kind v1alpha1.DataSourceType, s v1alpha1.DataSources) *gatewayv1alpha1.Source {
	t.Helper()
	d := &v1alpha1.Data{Spec: v1alpha1.DataSpec{
		DataItems:   []v1alpha1.DataItem{{Name: "a", DataSourceType: kind}, {Name: "b", DataSourceType: kind}},
		DataSources: s,
	}}
	a := Assignment(d)
	if len(a.GetSources()) > 1 {
		t.Errorf("%s: %d sources for one", kind, len(a.GetSources()))
	}
	if len(a.GetSources()) == 0 {
		return nil
	}
	return a.GetSources()[0]
}

func TestThePathStyleDefaultDependsOnTheSource(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		kind v1alpha1.DataSourceType
		set  *bool
		want bool
	}{
		"minio":      {v1alpha1.DataSourceMinIO, nil, true},
		"minio, no":  {v1alpha1.DataSourceMinIO, &no, false},
		"ceph":       {v1alpha1.DataSourceCeph, nil, true},
		"s3":         {v1alpha1.DataSourceS3, nil, false},
		"s3, wanted": {v1alpha1.DataSourceS3, &yes, true},
	} {
		config := &v1alpha1.S3DataSource{Endpoint: "http://e", Bucket: "b", PathStyle: c.set, SecretRef: &v1alpha1.SecretReference{Name: "s"},
			CARef: &v1alpha1.CAReference{Name: "c"}}
		got := source(t, c.kind, v1alpha1.DataSources{MinIO: config, Ceph: config, S3: config})
		s3 := got.GetS3()
		if got.GetName() != string(c.kind) || s3.GetPathStyle() != c.want || s3.GetSecret() != "s" || s3.GetCa().GetKey() != "ca.crt" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEachSourceIsConvertedCompletely(t *testing.T) {
	all := v1alpha1.DataSources{
		HTTP:    &v1alpha1.HTTPDataSource{URL: "http://h/base", SecretRef: &v1alpha1.SecretReference{Name: "s"}, Proxy: "http://p:1"},
		HDFS:    &v1alpha1.HDFSDataSource{Addresses: []string{"n1:8020", "n2:8020"}, UserName: "u"},
		Alluxio: &v1alpha1.AlluxioDataSource{Host: "a", Port: 39999, Timeout: 7},
	}
	if s := source(t, v1alpha1.DataSourceHTTP, all).GetHttp(); s.GetUrl() != "http://h/base" || s.GetSecret() != "s" ||
		s.GetProxy() != "http://p:1" || s.GetCa() != nil {
		t.Errorf("http: %v", s)
	}
	if s := source(t, v1alpha1.DataSourceHDFS, all).GetHdfs(); len(s.GetAddresses()) != 2 || s.GetUserName() != "u" {
		t.Errorf("hdfs: %v", s)
	}
	if s := source(t, v1alpha1.DataSourceAlluxio, all).GetAlluxio(); s.GetHost() != "a" || s.GetPort() != 39999 || s.GetTimeoutSeconds() != 7 {
		t.Errorf("alluxio: %v", s)
	}
	bytesPerSecond := resource.MustParse("1Mi")
	all.OCI = &v1alpha1.OCIDataSource{Registry: "r:5000", SecretRef: &v1alpha1.SecretReference{Name: "pull"}, Platform: "linux/arm64",
		Limits: &v1alpha1.SourceLimits{Connections: 3, BytesPerSecond: &bytesPerSecond}}
	all.PVC = &v1alpha1.PVCDataSource{ClaimName: "claim"}
	all.Plugin = &v1alpha1.PluginDataSource{Name: "sftp", Config: map[string]string{"host": "h"},
		SecretRef: &v1alpha1.SecretReference{Name: "key"}}
	all.HDFS.Kerberos = &v1alpha1.HDFSKerberos{Principal: "p@R", KeytabSecretRef: v1alpha1.KeytabReference{Name: "k"},
		Krb5ConfRef: v1alpha1.Krb5ConfReference{Name: "c", Key: "conf"}, ServicePrincipalName: "nn/_HOST"}
	all.HDFS.DataTransferProtection = "privacy"
	all.Ceph = &v1alpha1.S3DataSource{WebIdentity: &v1alpha1.WebIdentity{RoleARN: "arn"}}
	all.MinIO = &v1alpha1.S3DataSource{InstanceCredentials: &v1alpha1.InstanceCredentials{Endpoint: "http://i"}}
	oci := source(t, v1alpha1.DataSourceOCI, all)
	if s := oci.GetOci(); s.GetRegistry() != "r:5000" || s.GetSecret() != "pull" || s.GetPlatform() != "linux/arm64" {
		t.Errorf("oci: %v", s)
	}
	if l := oci.GetLimits(); l.GetConnections() != 3 || l.GetBytesPerSecond() != 1<<20 {
		t.Errorf("limits: %v", l)
	}
	if s := source(t, v1alpha1.DataSourcePVC, all).GetPvc(); s.GetClaim() != "claim" {
		t.Errorf("pvc: %v", s)
	}
	if s := source(t, v1alpha1.DataSourcePlugin, all).GetPlugin(); s.GetName() != "sftp" || s.GetConfig()["host"] != "h" ||
		s.GetSecret() != "key" {
		t.Errorf("plugin: %v", s)
	}
	hdfs := source(t, v1alpha1.DataSourceHDFS, all).GetHdfs()
	if k := hdfs.GetKerberos(); k.GetPrincipal() != "p@R" || k.GetSecret() != "k" || k.GetKeytabKey() != "keytab" ||
		k.GetConfigMap() != "c" || k.GetKrb5ConfKey() != "conf" || k.GetServicePrincipalName() != "nn/_HOST" ||
		hdfs.GetDataTransferProtection() != "privacy" {
		t.Errorf("kerberos: %v", hdfs)
	}
	if w := source(t, v1alpha1.DataSourceCeph, all).GetS3().GetWebIdentity(); w.GetRoleArn() != "arn" ||
		w.GetAudience() != "sts.amazonaws.com" {
		t.Errorf("web identity: %v", w)
	}
	if i := source(t, v1alpha1.DataSourceMinIO, all).GetS3().GetInstanceCredentials(); i.GetEndpoint() != "http://i" {
		t.Errorf("instance credentials: %v", i)
	}
	if s := source(t, v1alpha1.DataSourceS3, all); s != nil {
		t.Errorf("an undescribed source: %v", s)
	}
}

func TestPromise9TheCommandOfAHookIsNotSentToTheRuntime(t *testing.T) {
	mode := int32(0o755)
	d := &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Name: "d", Labels: map[string]string{v1alpha1.LabelDataSet: "models"}},
		Spec: v1alpha1.DataSpec{
			Revision: "r", Withdraw: true,
			Lifecycle: &v1alpha1.Lifecycle{PreDownload: &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"secret-command"}}}},
			DataItems: []v1alpha1.DataItem{{
				Namespace: "default", Name: "m", Version: "v1", RemotePath: "r", LocalPath: "l", Mode: &mode, Digest: "sha256:x",
				Include: []string{"*"}, Exclude: []string{"x"}, DataSourceType: "http",
				Lifecycle: &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
					Port: intstr.FromInt32(80), Path: "/reload", Scheme: "HTTPS", HTTPHeaders: []corev1.HTTPHeader{{Name: "a", Value: "b"}},
				}}},
			}},
		},
	}
	a := Assignment(d)
	if a.GetLifecycle().GetPreDownload().GetExec() == nil || strings.Contains(protojson.Format(a), "secret-command") {
		t.Errorf("hooks: %v", a.GetLifecycle())
	}
	if a.GetLifecycle().GetPostDownload().GetAction() != nil {
		t.Error("a hook that is not declared")
	}
	item := a.GetItems()[0]
	h := item.GetLifecycle().GetPostDownload().GetHttpGet()
	if h.GetPort() != 80 || h.GetPath() != "/reload" || h.GetScheme() != "HTTPS" || h.GetHeaders()[0].GetValue() != "b" {
		t.Errorf("http hook: %v", h)
	}
	if a.GetData() != "d" || a.GetDataset() != "models" || a.GetRevision() != "r" || !a.GetWithdraw() ||
		item.GetMode() != 0o755 || item.GetSource() != "http" || item.GetDigest() != "sha256:x" || item.GetVersion() != "v1" {
		t.Errorf("assignment: %v", a)
	}
}
