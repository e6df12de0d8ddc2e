// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// changed returns a DataSet with a credentialed HTTP source, an anonymous one, a
// hook of each kind and preheating, as changed.
func changed(change ...func(*v1alpha1.DataSetSpec)) *v1alpha1.DataSet {
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "model"}}
	d.Spec = v1alpha1.DataSetSpec{
		WorkloadSelector: map[string]string{"app": "search"},
		Preheat:          &v1alpha1.Preheat{},
		Template: v1alpha1.DataTemplateSpec{
			DataItems: []v1alpha1.DataItem{
				{Namespace: "default", Name: "private", RemotePath: "/a", LocalPath: "a", Version: "1", DataSourceType: v1alpha1.DataSourceHTTP,
					Include: []string{"*.bin"}},
				{Namespace: "default", Name: "public", RemotePath: "/b", LocalPath: "b", Version: "1", DataSourceType: v1alpha1.DataSourceMinIO,
					Lifecycle: &v1alpha1.Lifecycle{PreDownload: command("drain")}, Container: "app"},
			},
			DataSources: v1alpha1.DataSources{
				HTTP: &v1alpha1.HTTPDataSource{URL: "https://files.example.com", SecretRef: &v1alpha1.SecretReference{Name: "billing"},
					CARef: &v1alpha1.CAReference{Name: "ca", Key: "ca.crt"}},
				MinIO: &v1alpha1.S3DataSource{Endpoint: "https://minio:9000", Bucket: "public"},
			},
			Lifecycle: &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/reload",
				Port: intstr.FromInt32(8080)}}},
		},
	}
	for _, c := range change {
		c(&d.Spec)
	}
	return d
}

func command(words ...string) *v1alpha1.LifecycleHandler {
	return &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: words}}
}

func rights(needs []Need) []string {
	var all []string
	for _, n := range needs {
		all = append(all, n.Right.String())
	}
	slices.Sort(all)
	return all
}

const (
	secretRight = `get secrets "billing"`
	caRight     = `get configmaps "ca"`
	execRight   = "create pods/exec"
	proxyRight  = "create pods/proxy"
	podsRight   = "create pods"
)

func TestAChangeNeedsTheRightsOfWhatIsNewInIt(t *testing.T) {
	everything := []string{podsRight, execRight, proxyRight, caRight, secretRight}
	for name, c := range map[string]struct {
		change func(*v1alpha1.DataSetSpec)
		want   []string
	}{
		"nothing":            {func(*v1alpha1.DataSetSpec) {}, nil},
		"paused":             {func(s *v1alpha1.DataSetSpec) { s.Paused = true }, nil},
		"another version":    {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Version = "2" }, nil},
		"another local path": {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].LocalPath = "c" }, nil},
		"a digest":           {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Digest = "sha256:1" }, nil},
		"more at once":       {func(s *v1alpha1.DataSetSpec) { s.UpdateStrategy.RollingUpdate = &v1alpha1.RollingUpdate{} }, nil},
		"limits": {func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.HTTP.Limits = &v1alpha1.SourceLimits{Connections: 1}
		}, nil},
		"the order of items": {func(s *v1alpha1.DataSetSpec) { slices.Reverse(s.Template.DataItems) }, nil},
		"no private item":    {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems = s.Template.DataItems[1:] }, nil},
		"no hook":            {func(s *v1alpha1.DataSetSpec) { s.Template.Lifecycle = nil }, nil},
		"no preheating":      {func(s *v1alpha1.DataSetSpec) { s.Preheat = nil }, nil},
		"a public path":      {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[1].RemotePath = "/c" }, nil},
		"a public endpoint":  {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.MinIO.Endpoint = "https://other:9000" }, nil},
		"fewer pods":         {func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector = map[string]string{"app": "search", "tier": "web"} }, nil},
		"other pods":         {func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector = map[string]string{"app": "billing"} }, everything},
		"more pods":          {func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector = map[string]string{"tier": "web"} }, everything},
		"another Secret": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.SecretRef.Name = "other" },
			[]string{caRight, `get secrets "other"`}},
		"another server": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.URL = "https://evil.example.com" },
			[]string{caRight, secretRight}},
		"a proxy": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.Proxy = "http://evil:3128" },
			[]string{caRight, secretRight}},
		"another CA": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.CARef.Name = "mine" },
			[]string{`get configmaps "mine"`, secretRight}},
		"another key of the CA": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.CARef.Key = "mine" },
			[]string{caRight, secretRight}},
		"no CA":                {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.CARef = nil }, []string{secretRight}},
		"another private path": {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].RemotePath = "/salaries" }, []string{secretRight}},
		"more files":           {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Include = nil }, []string{secretRight}},
		"fewer left out":       {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Exclude = []string{"x"} }, []string{secretRight}},
		"a public item from the private source": {func(s *v1alpha1.DataSetSpec) {
			s.Template.DataItems[1].DataSourceType = v1alpha1.DataSourceHTTP
		}, []string{secretRight}},
		"a second private item": {func(s *v1alpha1.DataSetSpec) {
			s.Template.DataItems = append(s.Template.DataItems,
				v1alpha1.DataItem{Name: "more", RemotePath: "/more", DataSourceType: v1alpha1.DataSourceHTTP})
		}, []string{secretRight}},
		"credentials for a public source": {func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.MinIO.SecretRef = &v1alpha1.SecretReference{Name: "billing"}
		}, []string{secretRight}},
		"another command": {func(s *v1alpha1.DataSetSpec) {
			s.Template.DataItems[1].Lifecycle.PreDownload = command("drain", "--now")
		}, []string{execRight}},
		"the command at another time": {func(s *v1alpha1.DataSetSpec) {
			l := s.Template.DataItems[1].Lifecycle
			l.PreDownload, l.PostDownload = nil, l.PreDownload
		}, []string{execRight}},
		"another container": {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[1].Container = "db" }, []string{execRight}},
		"a hook of the DataSet": {func(s *v1alpha1.DataSetSpec) {
			s.Template.Lifecycle.PreDownload = command("id")
		}, []string{execRight}},
		"another call": {func(s *v1alpha1.DataSetSpec) {
			s.Template.Lifecycle.PostDownload.HTTPGet.Port = intstr.FromInt32(9090)
		}, []string{proxyRight}},
		"a header of the call": {func(s *v1alpha1.DataSetSpec) {
			s.Template.Lifecycle.PostDownload.HTTPGet.HTTPHeaders = []corev1.HTTPHeader{{Name: "Host", Value: "admin"}}
		}, []string{proxyRight}},
		"other nodes": {func(s *v1alpha1.DataSetSpec) { s.Preheat.NodeSelector = map[string]string{"gpu": "yes"} }, []string{podsRight}},
	} {
		got := rights(Needs(Change{Old: changed(), New: changed(c.change)}))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(everything, rights(Needs(Change{New: changed()}))); diff != "" {
		t.Errorf("at creation (-want +got):\n%s", diff)
	}
}

func TestEachSourceNeedsTheRightsOfWhatItRefersTo(t *testing.T) {
	secretRef := &v1alpha1.SecretReference{Name: "s"}
	for name, c := range map[string]struct {
		sources v1alpha1.DataSources
		want    []Need
	}{
		"ceph": {v1alpha1.DataSources{Ceph: &v1alpha1.S3DataSource{SecretRef: secretRef}},
			[]Need{{getSecret("s"), []string{"spec.template.dataSources.ceph.secretRef"}}}},
		"a token": {v1alpha1.DataSources{S3: &v1alpha1.S3DataSource{WebIdentity: &v1alpha1.WebIdentity{Audience: "a"}}},
			[]Need{{createTokens, []string{"spec.template.dataSources.s3.webIdentity"}}}},
		"the node's identity": {v1alpha1.DataSources{S3: &v1alpha1.S3DataSource{InstanceCredentials: &v1alpha1.InstanceCredentials{}}},
			[]Need{{createPods, []string{"spec.template.dataSources.s3.instanceCredentials"}}}},
		"a pull secret": {v1alpha1.DataSources{OCI: &v1alpha1.OCIDataSource{SecretRef: secretRef}},
			[]Need{{getSecret("s"), []string{"spec.template.dataSources.oci.secretRef"}}}},
		"a keytab": {v1alpha1.DataSources{HDFS: &v1alpha1.HDFSDataSource{Kerberos: &v1alpha1.HDFSKerberos{
			KeytabSecretRef: v1alpha1.KeytabReference{Name: "k"}, Krb5ConfRef: v1alpha1.Krb5ConfReference{Name: "c"}}}},
			[]Need{
				{getSecret("k"), []string{"spec.template.dataSources.hdfs.kerberos.keytabSecretRef"}},
				{getConfigMap("c"), []string{"spec.template.dataSources.hdfs.kerberos.krb5ConfRef"}},
			}},
		"a claim": {v1alpha1.DataSources{PVC: &v1alpha1.PVCDataSource{ClaimName: "c"}},
			[]Need{{getClaim("c"), []string{"spec.template.dataSources.pvc.claimName"}},
				{createPods, []string{"spec.template.dataSources.pvc.claimName"}}}},
		"a plugin": {v1alpha1.DataSources{Plugin: &v1alpha1.PluginDataSource{Name: "sftp", SecretRef: secretRef,
			CARef: &v1alpha1.CAReference{Name: "c"}}},
			[]Need{
				{getConfigMap("c"), []string{"spec.template.dataSources.plugin.caRef"}},
				{usePlugin("sftp"), []string{"spec.template.dataSources.plugin.name"}},
				{getSecret("s"), []string{"spec.template.dataSources.plugin.secretRef"}},
			}},
		"the pod itself": {v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: "http://localhost:8080/admin"}},
			[]Need{{callPods, []string{"spec.template.dataSources.http.url"}}}},
		"the pod as a proxy": {v1alpha1.DataSources{OCI: &v1alpha1.OCIDataSource{Registry: "registry", Proxy: "http://[::1]:15000"}},
			[]Need{{callPods, []string{"spec.template.dataSources.oci.proxy"}}}},
		"the node's metadata": {v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://169.254.169.254"}},
			[]Need{{createPods, []string{"spec.template.dataSources.minio.endpoint"}}}},
		"HDFS without credentials": {v1alpha1.DataSources{HDFS: &v1alpha1.HDFSDataSource{UserName: "root"}}, nil},
	} {
		got := Needs(Change{New: &v1alpha1.DataSet{Spec: v1alpha1.DataSetSpec{Template: v1alpha1.DataTemplateSpec{DataSources: c.sources}}}})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReturningToAStoredRevisionNeedsNoRight(t *testing.T) {
	old := changed(func(s *v1alpha1.DataSetSpec) {
		s.Template.DataSources.HTTP = &v1alpha1.HTTPDataSource{URL: "https://public.example.com"}
		s.Template.DataItems[1].Lifecycle, s.Template.Lifecycle = nil, nil
	})
	first := Stored{Selector: map[string]string{"app": "search"}, Template: changed().Spec.Template}
	for name, c := range map[string]struct {
		change func(*v1alpha1.DataSetSpec)
		stored []Stored
		want   []string
	}{
		"undone":                       {func(*v1alpha1.DataSetSpec) {}, []Stored{first}, nil},
		"undone under another version": {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Version = "3" }, []Stored{first}, nil},
		"for fewer pods": {func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector = map[string]string{"app": "search", "x": "y"} },
			[]Stored{first}, []string(nil)},
		"without a stored revision": {func(*v1alpha1.DataSetSpec) {}, nil, []string{execRight, proxyRight, caRight, secretRight}},
		"a revision of other pods": {func(*v1alpha1.DataSetSpec) {},
			[]Stored{{Selector: map[string]string{"app": "web"}, Template: first.Template}}, []string{execRight, proxyRight, caRight, secretRight}},
		"a revision of pods that narrow": {func(*v1alpha1.DataSetSpec) {}, []Stored{{Selector: map[string]string{"app": "search", "tier": "web"},
			Template: first.Template}}, []string{execRight, proxyRight, caRight, secretRight}},
		"a revision without its selector": {func(*v1alpha1.DataSetSpec) {}, []Stored{{Template: first.Template}},
			[]string{execRight, proxyRight, caRight, secretRight}},
		"undone with another path": {func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].RemotePath = "/x" }, []Stored{first},
			[]string{secretRight}},
		"undone with a proxy": {func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.Proxy = "http://x" }, []Stored{first},
			[]string{caRight, secretRight}},
	} {
		if diff := cmp.Diff(c.want, rights(Needs(Change{Old: old, New: changed(c.change), Stored: c.stored}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestRevisionsThatNewlySelectedPodsGetNeedTheirRights: new pods get the stable revision while a
// rollout runs or is paused, whatever the template says by then.
func TestRevisionsThatNewlySelectedPodsGetNeedTheirRights(t *testing.T) {
	harmless := func(s *v1alpha1.DataSetSpec) {
		s.Template.DataSources.HTTP = &v1alpha1.HTTPDataSource{URL: "https://public.example.com"}
		s.Template.DataItems[1].Lifecycle, s.Template.Lifecycle, s.Preheat, s.Paused = nil, nil, nil, true
	}
	selecting := func(key, value string) func(*v1alpha1.DataSetSpec) {
		return func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector[key] = value }
	}
	stored := func(given bool) []Stored {
		return []Stored{{Selector: map[string]string{"app": "search"}, Template: changed().Spec.Template, Given: given}}
	}
	everything := []string{execRight, proxyRight, caRight, secretRight}
	for name, c := range map[string]struct {
		change Change
		want   []string
	}{
		"at once with taking it out": {Change{Old: changed(), New: changed(harmless, selecting("app", "billing"))}, everything},
		"after it was taken out": {Change{Old: changed(harmless), New: changed(harmless, selecting("app", "billing")),
			Stored: stored(true)}, everything},
		"fewer pods": {Change{Old: changed(harmless), New: changed(harmless, selecting("tier", "web")),
			Stored: stored(true)}, nil},
		"a revision that no pod gets": {Change{Old: changed(harmless), New: changed(harmless, selecting("app", "billing")),
			Stored: stored(false)}, nil},
		"the same pods, taking it out": {Change{Old: changed(), New: changed(harmless)}, nil},
	} {
		needs := Needs(c.change)
		if diff := cmp.Diff(c.want, rights(needs)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, n := range needs {
			if !slices.Equal(n.Fields, []string{"spec.workloadSelector"}) {
				t.Errorf("%s: %s is needed for %q", name, n.Right, n.Fields)
			}
		}
	}
}

// TestMixingTwoStoredRevisionsNeedsTheRights: the credentials of one with the
// server or the path of another.
func TestMixingTwoStoredRevisionsNeedsTheRights(t *testing.T) {
	selector := map[string]string{"app": "search"}
	anonymous := changed(func(s *v1alpha1.DataSetSpec) {
		s.Template.DataSources.HTTP = &v1alpha1.HTTPDataSource{URL: "https://evil.example.com"}
		s.Template.DataItems[0].RemotePath = "/everything"
	})
	stored := []Stored{{Selector: selector, Template: changed().Spec.Template}, {Selector: selector, Template: anonymous.Spec.Template}}
	for name, change := range map[string]func(*v1alpha1.DataSetSpec){
		"the server": func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.URL = "https://evil.example.com" },
		"the path":   func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].RemotePath = "/everything" },
	} {
		if got := rights(Needs(Change{Old: anonymous, New: changed(change), Stored: stored})); !slices.Contains(got, secretRight) {
			t.Errorf("%s of another revision: needs %v", name, got)
		}
	}
}

func TestOnlyAudiencesThatAreNewAreLookedAt(t *testing.T) {
	identity := func(audience string) func(*v1alpha1.DataSetSpec) {
		return func(s *v1alpha1.DataSetSpec) {
			s.Template.DataSources.S3 = &v1alpha1.S3DataSource{Endpoint: "https://s3", WebIdentity: &v1alpha1.WebIdentity{Audience: audience}}
		}
	}
	paused := func(s *v1alpha1.DataSetSpec) { s.Paused = true }
	if got := Audiences(Change{Old: changed(identity("a")), New: changed(identity("a"), paused)}); len(got) != 0 {
		t.Errorf("an old audience is looked at: %v", got)
	}
	got := Audiences(Change{Old: changed(identity("a")), New: changed(identity("b"))})
	if len(got) != 1 || got[0].Name != "b" || got[0].Field.String() != "spec.template.dataSources.s3.webIdentity.audience" {
		t.Errorf("got %v", got)
	}
}

func TestARightIsNamedAsARoleHasIt(t *testing.T) {
	for want, r := range map[string]Right{
		"kubectl auth can-i get secrets/billing -n shop":              getSecret("billing"),
		"kubectl auth can-i create pods --subresource=exec -n shop":   runCommands,
		"kubectl auth can-i use plugins.data.kuda.io/sftp -n shop":    usePlugin("sftp"),
		"kubectl auth can-i get persistentvolumeclaims/claim -n shop": getClaim("claim"),
	} {
		if got := r.Command("shop"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := usePlugin("sftp").String(); got != `use plugins.data.kuda.io "sftp"` {
		t.Errorf("got %s", got)
	}
}

func TestADenialNamesTheFieldThatIsNew(t *testing.T) {
	for want, change := range map[string]func(*v1alpha1.DataSetSpec){
		"spec.template.dataSources.http.secretRef": func(s *v1alpha1.DataSetSpec) { s.Template.DataSources.HTTP.SecretRef.Name = "other" },
		"spec.template.dataItems[0].remotePath":    func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].RemotePath = "/x" },
	} {
		for _, n := range Needs(Change{Old: changed(), New: changed(change)}) {
			if n.Right.Resource == "secrets" && !slices.Equal(n.Fields, []string{want}) {
				t.Errorf("got %q, want %s", n.Fields, want)
			}
		}
	}
}
