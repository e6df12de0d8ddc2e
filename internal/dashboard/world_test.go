// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/dashboard"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/dashboard/session"
)

const (
	adminToken  = "admin-token"
	viewerToken = "viewer-token"
	// lateToken may read once: then the right is taken away.
	lateToken = "late-token"
)

// models is a DataSet whose rollout is at a pause.
func models() *v1alpha1.DataSet {
	start := metav1.NewMicroTime(time.Now().Add(-time.Minute))
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models", UID: "uid-1", Generation: 2},
		Spec: v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": "web"},
			UpdateStrategy: v1alpha1.UpdateStrategy{Steps: []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}}}},
	}
	d.Status = v1alpha1.DataSetStatus{
		ObservedGeneration: 2, CurrentRevision: "models-1", UpdateRevision: "models-2", Replicas: 2, UpdatedReplicas: 1, Success: 2, Ready: "2/2",
		Rollout: &v1alpha1.RolloutStatus{Revision: "models-2", Phase: v1alpha1.RolloutProgressing, StartTime: &start},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, ObservedGeneration: 2,
			Reason: v1alpha1.ReasonStepPaused}},
	}
	return d
}

// world is a cluster, and a dashboard in front of it.
type world struct {
	*clitest.World
	server *dashboard.Server
	web    *httptest.Server
	client *http.Client
}

// newWorld makes a dashboard of many users over TLS; the viewer may change nothing.
func newWorld(t *testing.T, change ...func(*dashboard.Options)) *world {
	t.Helper()
	w := &world{World: clitest.New(time.Now(), interceptor.Funcs{}, models())}
	door := session.NewTokens(session.TokenOptions{Config: &rest.Config{}, Namespace: "shop", Now: time.Now,
		Connect: func(c *rest.Config) (client.WithWatch, error) { return w.as(c.BearerToken), nil }})
	options := dashboard.Options{Door: door, Now: time.Now, Limits: dashboard.DefaultLimits()}
	for _, c := range change {
		c(&options)
	}
	w.server = dashboard.New(options)
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

// as is the API server as it treats a token.
func (w *world) as(token string) client.WithWatch {
	may := token == adminToken
	var lists atomic.Int32
	return interceptor.NewClient(w.Client, interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			switch review := o.(type) {
			case *authenticationv1.SelfSubjectReview:
				if token != adminToken && token != viewerToken && token != lateToken && !strings.HasPrefix(token, "e30.") {
					return apierrors.NewUnauthorized("no such token")
				}
				review.Status.UserInfo.Username = token
			case *authorizationv1.SelfSubjectAccessReview:
				review.Status.Allowed = may
			}
			return nil
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, data := list.(*v1alpha1.DataList); data && token == lateToken && lists.Add(1) > 1 {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "datas"}, "", errors.New("no more"))
			}
			return c.List(ctx, list, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if !may {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "datasets"}, o.GetName(), errors.New("only view"))
			}
			return c.Patch(ctx, o, p, options...)
		},
	})
}

// send sends a request as a page of the dashboard does; change makes it another one.
func (w *world) send(t *testing.T, method, path, body string, change ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.web.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(raw)
}

// signIn signs in with a token.
func (w *world) signIn(t *testing.T, token string) {
	t.Helper()
	body, err := json.Marshal(contract.SignIn{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if resp, text := w.send(t, http.MethodPost, "/api/v1/session", string(body)); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d: %s", resp.StatusCode, text)
	}
}

// wantRefusal fails the test unless the answer is a problem of that status and code.
func wantRefusal(t *testing.T, resp *http.Response, body string, status int, code string) {
	t.Helper()
	var p contract.Problem
	if err := json.NewDecoder(bytes.NewBufferString(body)).Decode(&p); err != nil || resp.StatusCode != status || p.Code != code {
		t.Errorf("got %d %s, want %d %s", resp.StatusCode, body, status, code)
	}
}

func read[T any](t *testing.T, body string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return value
}
