// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/dashboard"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/dashboard/session"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

var cluster *managertest.Cluster

func TestMain(m *testing.M) {
	var err error
	if cluster, err = managertest.NewCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// account makes a service account with these rights to DataSets, and returns its token.
func account(t *testing.T, namespace, name string, verbs ...string) string {
	t.Helper()
	admin, err := client.New(cluster.Config, client.Options{Scheme: frame.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	sa := &corev1.ServiceAccount{ObjectMeta: meta}
	objects := []client.Object{sa}
	if len(verbs) > 0 {
		objects = append(objects, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"datasets", "datas"}, Verbs: verbs}}},
			&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
				Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}}})
	}
	for _, o := range objects {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	request := &authenticationv1.TokenRequest{}
	if err := admin.SubResource("token").Create(t.Context(), sa, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// realWorld is a dashboard without any credentials in front of the real API server.
func realWorld(t *testing.T, namespace string) *world {
	t.Helper()
	config := &rest.Config{Host: cluster.Config.Host, TLSClientConfig: rest.TLSClientConfig{CAData: cluster.Config.CAData}}
	door := session.NewTokens(session.TokenOptions{Config: config, Namespace: namespace, Now: time.Now,
		Connect: func(c *rest.Config) (client.WithWatch, error) {
			return client.NewWithWatch(c, client.Options{Scheme: frame.Scheme()})
		}})
	w := &world{server: dashboard.New(dashboard.Options{Door: door, Now: time.Now, Limits: dashboard.DefaultLimits()})}
	w.web = httptest.NewTLSServer(w.server.Handler())
	t.Cleanup(w.web.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.client = w.web.Client()
	w.client.Jar = jar
	return w
}

func TestTheAPIServerDecidesWhatEachUserMaySeeAndChange(t *testing.T) {
	namespace := cluster.Namespace(t)
	d := cluster.DataSet(t, namespace, "models", "web")
	path, body := "/api/v1/datasets/"+namespace+"/models", fmt.Sprintf(`{"uid":%q}`, d.UID)

	stranger := realWorld(t, namespace)
	stranger.signIn(t, account(t, namespace, "stranger"))
	resp, text := stranger.send(t, http.MethodGet, "/api/v1/datasets", "")
	wantRefusal(t, resp, text, http.StatusForbidden, "Forbidden")

	viewer := realWorld(t, namespace)
	viewer.signIn(t, account(t, namespace, "viewer", "get", "list", "watch"))
	_, text = viewer.send(t, http.MethodGet, "/api/v1/datasets", "")
	if list := read[contract.DataSets](t, text); !list.Narrowed || len(list.Items) != 1 {
		t.Errorf("%+v", list)
	}
	_, text = viewer.send(t, http.MethodGet, "/api/v1/me", "")
	if me := read[contract.Me](t, text); me.User != "system:serviceaccount:"+namespace+":viewer" || !me.Installed {
		t.Errorf("%+v", me)
	}
	_, text = viewer.send(t, http.MethodGet, "/api/v1/access?namespace="+namespace, "")
	if a := read[contract.Access](t, text); a.Rights[contract.RightSteer] || a.Rights[contract.RightNodes] {
		t.Errorf("%+v", a)
	}
	resp, text = viewer.send(t, http.MethodPost, path+"/pause", body)
	wantRefusal(t, resp, text, http.StatusForbidden, "Forbidden")
	resp, text = viewer.send(t, http.MethodGet, "/api/v1/nodes", "")
	wantRefusal(t, resp, text, http.StatusForbidden, "NodesForbidden")

	editor := realWorld(t, namespace)
	editor.signIn(t, account(t, namespace, "editor", "get", "list", "watch", "patch"))
	if resp, text := editor.send(t, http.MethodPost, path+"/pause", body); resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(d), d); err != nil || !d.Spec.Paused {
		t.Errorf("%v: paused %t", err, d.Spec.Paused)
	}
	resp, text = editor.send(t, http.MethodPost, "/api/v1/session", `{"token":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln"}`)
	wantRefusal(t, resp, text, http.StatusUnauthorized, "Unauthorized")
}

func TestAStreamShowsWhatTheAPIServerHas(t *testing.T) {
	namespace := cluster.Namespace(t)
	d := cluster.DataSet(t, namespace, "models", "web")
	w := realWorld(t, namespace)
	w.signIn(t, account(t, namespace, "viewer", "get", "list", "watch"))
	events := w.eventsOf(t, t.Context(), "/api/v1/watch?namespace="+namespace+"&name=models")
	if s := nextScene(t, events); s.UID != d.UID {
		t.Fatalf("%+v", s)
	}
	d.Status = v1alpha1.DataSetStatus{ObservedGeneration: d.Generation, UpdateRevision: "models-1", CurrentRevision: "models-1", Replicas: 7,
		Rollout: &v1alpha1.RolloutStatus{Revision: "models-1", Phase: v1alpha1.RolloutDelivering}}
	if err := cluster.Client.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for s := nextScene(t, events); s.View.Replicas != 7; s = nextScene(t, events) {
	}
}
