// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/pki"
)

// reference is a field of a DataSet by which its author could get more than the
// author has, and the rights that it takes.
type reference struct {
	set    func(*v1alpha1.DataSetSpec)
	field  string
	rights []rbacv1.PolicyRule
	// words of the denial that name the right.
	words string
}

func hooks(l **v1alpha1.Lifecycle) *v1alpha1.Lifecycle {
	if *l == nil {
		*l = &v1alpha1.Lifecycle{}
	}
	return *l
}

func right(verb, group, resource string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}
}

func references() map[string]reference {
	billing := &v1alpha1.SecretReference{Name: "billing"}
	secret := []rbacv1.PolicyRule{right("get", "", "secrets", "billing")}
	run := &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"id"}}}
	call := &v1alpha1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(9000)}}
	exec, proxy := []rbacv1.PolicyRule{right("create", "", "pods/exec")}, []rbacv1.PolicyRule{right("create", "", "pods/proxy")}
	pods, token := []rbacv1.PolicyRule{right("create", "", "pods")}, []rbacv1.PolicyRule{right("create", "", "serviceaccounts/token")}
	s3 := func(change func(*v1alpha1.S3DataSource)) *v1alpha1.S3DataSource {
		s := &v1alpha1.S3DataSource{Endpoint: "https://evil.example.com", Bucket: "data"}
		change(s)
		return s
	}
	withSecret := func(s *v1alpha1.S3DataSource) { s.SecretRef = billing }
	set := func(change func(*v1alpha1.DataSources)) func(*v1alpha1.DataSetSpec) {
		return func(s *v1alpha1.DataSetSpec) { change(&s.Template.DataSources) }
	}
	hdfs := func(s *v1alpha1.DataSources) {
		s.HDFS = &v1alpha1.HDFSDataSource{Addresses: []string{"evil:8020"}, Kerberos: &v1alpha1.HDFSKerberos{
			Principal: "a@B", KeytabSecretRef: v1alpha1.KeytabReference{Name: "billing"}, Krb5ConfRef: v1alpha1.Krb5ConfReference{Name: "krb5"},
		}}
	}
	const sources = "spec.template.dataSources."
	return map[string]reference{
		"minio-secret": {set(func(s *v1alpha1.DataSources) { s.MinIO = s3(withSecret) }), sources + "minio.secretRef", secret,
			`get secrets "billing"`},
		"ceph-secret": {set(func(s *v1alpha1.DataSources) { s.Ceph = s3(withSecret) }), sources + "ceph.secretRef", secret,
			`get secrets "billing"`},
		"s3-secret": {set(func(s *v1alpha1.DataSources) { s.S3 = s3(withSecret) }), sources + "s3.secretRef", secret, `get secrets "billing"`},
		"http-secret": {set(func(s *v1alpha1.DataSources) {
			s.HTTP = &v1alpha1.HTTPDataSource{URL: "https://evil.example.com", SecretRef: billing}
		}), sources + "http.secretRef", secret, `get secrets "billing"`},
		"pull-secret": {set(func(s *v1alpha1.DataSources) {
			s.OCI = &v1alpha1.OCIDataSource{Registry: "evil.example.com", SecretRef: billing}
		}), sources + "oci.secretRef", secret, `get secrets "billing"`},
		"keytab": {set(hdfs), sources + "hdfs.kerberos.keytabSecretRef", append(secret, right("get", "", "configmaps", "krb5")),
			`get secrets "billing"`},
		"krb5-conf": {set(hdfs), sources + "hdfs.kerberos.krb5ConfRef", append(secret, right("get", "", "configmaps", "krb5")),
			`get configmaps "krb5"`},
		"ca": {set(func(s *v1alpha1.DataSources) {
			s.MinIO = s3(func(s *v1alpha1.S3DataSource) { s.CARef = &v1alpha1.CAReference{Name: "settings"} })
		}), sources + "minio.caRef", []rbacv1.PolicyRule{right("get", "", "configmaps", "settings")}, `get configmaps "settings"`},
		"token": {set(func(s *v1alpha1.DataSources) {
			s.S3 = s3(func(s *v1alpha1.S3DataSource) {
				s.WebIdentity = &v1alpha1.WebIdentity{STSEndpoint: "https://evil.example.com"}
			})
		}), sources + "s3.webIdentity", token, "create serviceaccounts/token"},
		"node-identity": {set(func(s *v1alpha1.DataSources) {
			s.S3 = s3(func(s *v1alpha1.S3DataSource) { s.InstanceCredentials = &v1alpha1.InstanceCredentials{} })
		}), sources + "s3.instanceCredentials", pods, "create pods"},
		"node-metadata": {set(func(s *v1alpha1.DataSources) {
			s.HTTP = &v1alpha1.HTTPDataSource{URL: "http://169.254.169.254/latest"}
		}), sources + "http.url", pods, "create pods"},
		"node-localhost": {set(func(s *v1alpha1.DataSources) {
			s.HTTP = &v1alpha1.HTTPDataSource{URL: "http://[0:0:0:0:0:0:0:1]:15000"}
		}), sources + "http.url", proxy, "create pods/proxy"},
		"node-localhost-as-a-proxy": {set(func(s *v1alpha1.DataSources) {
			s.OCI = &v1alpha1.OCIDataSource{Registry: "registry.example.com", Proxy: "http://LocalHost:3128"}
		}), sources + "oci.proxy", proxy, "create pods/proxy"},
		"claim": {set(func(s *v1alpha1.DataSources) { s.PVC = &v1alpha1.PVCDataSource{ClaimName: "ledger"} }), sources + "pvc.claimName",
			append(pods, right("get", "", "persistentvolumeclaims", "ledger")), `get persistentvolumeclaims "ledger"`},
		"plugin": {set(func(s *v1alpha1.DataSources) { s.Plugin = &v1alpha1.PluginDataSource{Name: "sftp"} }), sources + "plugin.name",
			[]rbacv1.PolicyRule{right("use", "data.kuda.io", "plugins", "sftp")}, `use plugins.data.kuda.io "sftp"`},
		"plugin-secret": {set(func(s *v1alpha1.DataSources) {
			s.Plugin = &v1alpha1.PluginDataSource{Name: "sftp", SecretRef: billing}
		}), sources + "plugin.secretRef", append(secret, right("use", "data.kuda.io", "plugins")), `get secrets "billing"`},
		"exec-of-the-dataset": {func(s *v1alpha1.DataSetSpec) { hooks(&s.Template.Lifecycle).PreDownload = run },
			"spec.template.lifecycle.preDownload.exec", exec, "create pods/exec"},
		"exec-of-an-item": {func(s *v1alpha1.DataSetSpec) {
			hooks(&s.Template.DataItems[0].Lifecycle).PostDownload = run
		}, "spec.template.dataItems[0].lifecycle.postDownload.exec", exec, "create pods/exec"},
		"call-of-the-dataset": {func(s *v1alpha1.DataSetSpec) { hooks(&s.Template.Lifecycle).PostDownload = call },
			"spec.template.lifecycle.postDownload.httpGet", proxy, "create pods/proxy"},
		"call-of-an-item": {func(s *v1alpha1.DataSetSpec) {
			hooks(&s.Template.DataItems[0].Lifecycle).PreDownload = call
		}, "spec.template.dataItems[0].lifecycle.preDownload.httpGet", proxy, "create pods/proxy"},
		"preheat": {func(s *v1alpha1.DataSetSpec) { s.Preheat = &v1alpha1.Preheat{} }, "spec.preheat", pods, "create pods"},
	}
}

// everyReference uses all of them, as far as one DataSet can.
func everyReference(s *v1alpha1.DataSetSpec) {
	for name, r := range references() {
		if !strings.HasPrefix(name, "node-") && name != "s3-secret" && name != "ca" && name != "plugin" {
			r.set(s)
		}
	}
}

// plain returns a DataSet that refers to nothing.
func plain(namespace, name string, change ...func(*v1alpha1.DataSetSpec)) *v1alpha1.DataSet {
	d := dataSet(namespace)
	d.Name = name
	d.Spec.Template.DataItems[0].DataSourceType = v1alpha1.DataSourceHTTP
	d.Spec.Template.DataSources = v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: "https://files.example.com"}}
	for _, c := range change {
		c(&d.Spec)
	}
	return d
}

// person returns a client of a user of the namespace who has these rights.
func person(t *testing.T, namespace, name string, rules ...rbacv1.PolicyRule) client.Client {
	t.Helper()
	rules = append([]rbacv1.PolicyRule{{
		Verbs: []string{"get", "list", "create", "update", "patch", "delete"}, APIGroups: []string{"data.kuda.io"},
		Resources: []string{"datasets"},
	}}, rules...)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: strings.ReplaceAll(name, ":", "-")}, Rules: rules}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	c := rest.CopyConfig(apiConfig)
	c.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	user, err := client.New(c, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the API server knows the rights of "+name, func(ctx context.Context) (bool, error) {
		return user.List(ctx, &v1alpha1.DataSetList{}, client.InNamespace(namespace)) == nil, nil
	})
	return user
}

func edit(t *testing.T, c client.Client, d *v1alpha1.DataSet, change func(*v1alpha1.DataSetSpec)) error {
	t.Helper()
	now := &v1alpha1.DataSet{}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(d), now); err != nil {
		t.Fatal(err)
	}
	change(&now.Spec)
	return c.Update(t.Context(), now)
}

func refusedFor(t *testing.T, err error, words ...string) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Fatalf("got %v; want it refused", err)
	}
	for _, want := range words {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the denial does not say %q: %v", want, err)
		}
	}
}

// harmless are edits that change nothing of what a DataSet refers to.
var harmless = map[string]func(*v1alpha1.DataSetSpec){
	"pause":           func(s *v1alpha1.DataSetSpec) { s.Paused = !s.Paused },
	"another version": func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Version += "1" },
	"more at once": func(s *v1alpha1.DataSetSpec) {
		s.UpdateStrategy.RollingUpdate = &v1alpha1.RollingUpdate{MaxUnavailable: new(intstr.FromString("50%"))}
	},
}

func TestAnAuthorGetsNoMoreThanTheAuthorHas(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice := person(t, ns, "alice")
	if err := alice.Create(t.Context(), plain(ns, "plain")); err != nil {
		t.Fatalf("a DataSet that refers to nothing is refused: %v", err)
	}
	var group sync.WaitGroup
	defer group.Wait()
	for name, r := range references() {
		t.Run(name, func(t *testing.T) {
			words := []string{r.field, "you may not", "in namespace " + ns, r.words}
			refusedFor(t, alice.Create(t.Context(), plain(ns, name, r.set)), words...)
			before := plain(ns, name)
			if err := alice.Create(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			refusedFor(t, edit(t, alice, before, r.set), words...)

			bob := person(t, ns, "bob-"+name, r.rights...)
			if err := edit(t, bob, before, r.set); err != nil {
				t.Fatalf("with the right: %v", err)
			}
			for what, change := range harmless {
				if err := edit(t, alice, before, change); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			refusedFor(t, edit(t, alice, before, func(s *v1alpha1.DataSetSpec) {
				s.WorkloadSelector = map[string]string{"app": "other"}
			}), r.words)
			for _, missing := range r.rights {
				var others []rbacv1.PolicyRule
				for _, other := range r.rights {
					if fmt.Sprint(other) != fmt.Sprint(missing) {
						others = append(others, other)
					}
				}
				half := person(t, ns, fmt.Sprintf("half-%s-%s", name, strings.ReplaceAll(missing.Resources[0], "/", "-")), others...)
				refusedFor(t, half.Create(t.Context(), plain(ns, name+"-half", r.set)))
			}
			if err := alice.Delete(t.Context(), before); err != nil {
				t.Errorf("deleting it: %v", err)
			}
		})
	}
}

func TestAChangedUseOfACredentialIsRefused(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice := person(t, ns, "alice")
	d := plain(ns, "model", everyReference)
	if err := admin.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for name, change := range misuses() {
		t.Run(name, func(t *testing.T) { refusedFor(t, edit(t, alice, d, change), "you may not") })
	}
	for what, change := range harmless {
		if err := edit(t, alice, d, change); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// misuses are changes of a DataSet that uses every reference, by which they are
// used for something else.
func misuses() map[string]func(*v1alpha1.DataSetSpec) {
	return map[string]func(*v1alpha1.DataSetSpec){
		"endpoint": func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.URL = "https://else.example.com" },
		"proxy":    func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.Proxy = "http://proxy.example.com:3128" },
		"CA": func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.MinIO.CARef = &v1alpha1.CAReference{Name: "mine"}
		},
		"bucket": func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.Bucket = "salaries" },
		"STS": func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.S3.WebIdentity.STSEndpoint = "https://sts.example.com"
		},
		"path":     func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].RemotePath = "/salaries" },
		"patterns": func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Include = []string{"**"} },
		"type":     func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].DataSourceType = v1alpha1.DataSourceMinIO },
		"selector": func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector = map[string]string{"tier": "web"} },
		"command": func(s *v1alpha1.DataSetSpec) {
			s.Template.DataItems[0].Lifecycle.PostDownload.Exec.Command = []string{"sh"}
		},
		"container": func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Container = "db" },
		"nodes":     func(s *v1alpha1.DataSetSpec) { s.Preheat.NodeSelector = map[string]string{"a": "b"} },
		"plugin":    func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.Plugin.Config = map[string]string{"host": "x"} },
	}
}
