// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func s3Source(secret string, ca *gatewayv1alpha1.CertificateAuthority) *gatewayv1alpha1.Source {
	return &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_S3{S3: &gatewayv1alpha1.S3Source{Secret: secret, Ca: ca}}}
}

func caKey(key string) *gatewayv1alpha1.CertificateAuthority {
	return &gatewayv1alpha1.CertificateAuthority{ConfigMap: "cas", Key: key}
}

func TestWhatMountsLackIsToldApart(t *testing.T) {
	m := Mounts{Secrets: t.TempDir(), CAs: t.TempDir()}
	for _, path := range []string{
		filepath.Join(m.Secrets, "whole", "accessKey"), filepath.Join(m.Secrets, "whole", "secretKey"),
		filepath.Join(m.Secrets, "partial", "accessKey"), filepath.Join(m.Secrets, "absent", "..data"),
		filepath.Join(m.Secrets, "web", "token"),
		filepath.Join(m.CAs, "cas", "ca.crt"),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	http := &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Http{Http: &gatewayv1alpha1.HTTPSource{Secret: "web"}}}
	kerberos := &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Hdfs{Hdfs: &gatewayv1alpha1.HDFSSource{
		Kerberos: &gatewayv1alpha1.Kerberos{Secret: "whole", KeytabKey: "keytab", ConfigMap: "cas", Krb5ConfKey: "krb5.conf"}}}}
	plugin := &gatewayv1alpha1.Source{Config: &gatewayv1alpha1.Source_Plugin{Plugin: &gatewayv1alpha1.PluginSource{Secret: "theirs"}}}
	missing := func(all ...MissingMount) *Credentials { return &Credentials{Missing: all} }
	for name, c := range map[string]struct {
		sources []*gatewayv1alpha1.Source
		want    *Credentials
	}{
		"none named":          {[]*gatewayv1alpha1.Source{s3Source("", nil), nil}, nil},
		"of a plugin":         {[]*gatewayv1alpha1.Source{plugin}, nil},
		"whole":               {[]*gatewayv1alpha1.Source{s3Source("whole", caKey("ca.crt"))}, missing()},
		"one of several keys": {[]*gatewayv1alpha1.Source{http}, missing()},
		"no volume":           {[]*gatewayv1alpha1.Source{s3Source("later", nil)}, missing(MissingMount{"Secret", "later", "notMounted", ""})},
		"an empty volume":     {[]*gatewayv1alpha1.Source{s3Source("absent", nil)}, missing(MissingMount{"Secret", "absent", "empty", ""})},
		"a key": {[]*gatewayv1alpha1.Source{s3Source("partial", nil)},
			missing(MissingMount{"Secret", "partial", "noKey", "secretKey"})},
		"a certificate's key": {[]*gatewayv1alpha1.Source{s3Source("whole", caKey("other"))},
			missing(MissingMount{"ConfigMap", "cas", "noKey", "other"})},
		"several, once each": {[]*gatewayv1alpha1.Source{s3Source("later", nil), kerberos, s3Source("later", nil)},
			missing(MissingMount{"ConfigMap", "cas", "noKey", "krb5.conf"}, MissingMount{"Secret", "later", "notMounted", ""},
				MissingMount{"Secret", "whole", "noKey", "keytab"})},
	} {
		got := m.Check(c.sources)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if told := got.Message(); (told == nil) != (c.want == nil) || len(told.GetMissing()) != len(got.missing()) {
			t.Errorf("%s: the protocol says %v", name, told)
		}
		for _, lack := range got.Message().GetMissing() {
			if lack.GetState() == gatewayv1alpha1.MountState_MOUNT_STATE_UNSPECIFIED {
				t.Errorf("%s: the protocol does not say what is missing: %v", name, lack)
			}
		}
	}
}

func (c *Credentials) missing() []MissingMount {
	if c == nil {
		return nil
	}
	return c.Missing
}
