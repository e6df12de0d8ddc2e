// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
)

func (w *world) dataSet(t *testing.T) *v1alpha1.DataSet {
	t.Helper()
	d := &v1alpha1.DataSet{}
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "models"}, d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRolloutsAreSteeredWithTheRightsOfWhoSignedIn(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, adminToken)
	resp, body := w.send(t, http.MethodPost, pausePath, pauseBody)
	if resp.StatusCode != http.StatusOK || !w.dataSet(t).Spec.Paused {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	resp, body = w.send(t, http.MethodPost, pausePath, pauseBody)
	wantRefusal(t, resp, body, http.StatusConflict, "AlreadyPaused")
	if !strings.Contains(body, "let it go on by: Resume") {
		t.Error(body)
	}
	w.send(t, http.MethodPost, "/api/v1/datasets/shop/models/resume", pauseBody)
	resp, body = w.send(t, http.MethodPost, "/api/v1/datasets/shop/models/promote", `{"uid":"uid-1","updateRevision":"models-2"}`)
	request := w.dataSet(t).Annotations[v1alpha1.AnnotationRolloutRequest]
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(request, v1alpha1.RequestPromote+" models-2 ") {
		t.Errorf("%d %s: %q", resp.StatusCode, body, request)
	}
}

func TestWhatTheUserDidNotSeeIsNotChanged(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, adminToken)
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"another DataSet of the name": {`{"uid":"uid-0"}`, http.StatusConflict, "Replaced"},
		"another revision":            {`{"uid":"uid-1","updateRevision":"models-1"}`, http.StatusConflict, "AnotherRevision"},
		"no DataSet at all":           {`{}`, http.StatusBadRequest, "BadRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.send(t, http.MethodPost, "/api/v1/datasets/shop/models/abort", test.body)
			wantRefusal(t, resp, body, test.status, test.code)
		})
	}
	if request := w.dataSet(t).Annotations[v1alpha1.AnnotationRolloutRequest]; request != "" {
		t.Error(request)
	}
}

func TestAccessIsWhatTheAPIServerSays(t *testing.T) {
	for token, may := range map[string]bool{adminToken: true, viewerToken: false} {
		w := newWorld(t)
		w.signIn(t, token)
		_, body := w.send(t, http.MethodGet, "/api/v1/access?namespace=shop", "")
		if a := read[contract.Access](t, body); a.Rights[contract.RightSteer] != may || len(a.Rights) != 4 {
			t.Errorf("%s: %+v", token, a)
		}
	}
}

func TestTheReadViewsAnswer(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, adminToken)
	for path, want := range map[string]string{
		"/api/v1/me":                               `"user":"admin-token"`,
		"/api/v1/datasets":                         `"name":"models"`,
		"/api/v1/datasets/shop/models":             `"verb":"promote","sensible":true`,
		"/api/v1/datasets/shop/models/history":     `[]`,
		"/api/v1/datasets/shop/models/events":      `[]`,
		"/api/v1/datasets/shop/models/doctor":      `"summary"`,
		"/api/v1/datasets/shop/models/yaml":        `kind: DataSet`,
		"/api/v1/datasets/shop/none":               `"code":"NotFound"`,
		"/api/v1/datasets/shop/models/revisions/x": `"code":"BadRequest"`,
		"/api/v1/datasets/shop/models/diff?from=1": `"code":"BadRequest"`,
		"/api/v1/pods/shop/web-0":                  `"dataSets":[]`,
		"/api/v1/pods/shop/web-0/why":              `"code":"NotFound"`,
		"/api/v1/nodes":                            `"stores":[]`,
		"/api/v1/doctor":                           `"findings"`,
	} {
		if _, body := w.send(t, http.MethodGet, path, ""); !strings.Contains(body, want) {
			t.Errorf("%s: no %s in %s", path, want, body)
		}
	}
}
