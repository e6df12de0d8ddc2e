// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission/author"
	"github.com/kuda-io/kuda/internal/inject"
)

type rights struct {
	asked   []author.Need
	missing []author.Need
	err     error
}

func (r *rights) Missing(_ context.Context, _ authenticationv1.UserInfo, _ string, needs []author.Need) ([]author.Need, error) {
	r.asked = append(r.asked, needs...)
	return r.missing, r.err
}

func creation(t *testing.T, ds *v1alpha1.DataSet) admission.Request {
	t.Helper()
	raw, err := json.Marshal(ds)
	if err != nil {
		t.Fatal(err)
	}
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Create, Namespace: "shop", Object: runtime.RawExtension{Raw: raw},
		UserInfo: authenticationv1.UserInfo{Username: "alice"},
	}}
}

func authors(t *testing.T, mode author.Mode, r *rights) *Authors {
	t.Helper()
	counts, err := NewAuthorMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return &Authors{
		Rights: r, Metrics: counts, Log: logr.Discard(),
		Mode: func() author.Mode { return mode }, Audiences: func() inject.Audiences { return inject.Audiences{} },
	}
}

func TestAFailedCheckOfRightsRefusesOnlyWhereRightsAreEnforced(t *testing.T) {
	lacking := author.Needs(author.Change{New: dataSet()})
	for name, c := range map[string]struct {
		mode    author.Mode
		rights  rights
		allowed bool
		code    int32
		says    string
	}{
		"has the right": {author.Enforce, rights{}, true, http.StatusOK, ""},
		"lacks the right": {author.Enforce, rights{missing: lacking}, false, http.StatusForbidden,
			"spec.template.dataSources.minio.secretRef: you may not get Secret \"reader\" in namespace shop; ask for the right to get " +
				"secrets \"reader\""},
		"lacks one, another failed": {author.Enforce, rights{missing: lacking, err: errors.New("timeout")}, false,
			http.StatusForbidden, "you may not"},
		"cannot be asked":      {author.Enforce, rights{err: errors.New("timeout")}, false, http.StatusInternalServerError, "try again"},
		"is not asked in time": {author.Enforce, rights{err: errBusy}, false, http.StatusTooManyRequests, "try again"},
		"warned":               {author.Warn, rights{missing: lacking}, true, http.StatusOK, "you may not get Secret"},
		"warned of a failure":  {author.Warn, rights{err: errors.New("timeout")}, true, http.StatusOK, "could not check"},
		"off":                  {author.Off, rights{missing: lacking}, true, http.StatusOK, ""},
	} {
		got := authors(t, c.mode, &c.rights).Handle(t.Context(), creation(t, dataSet()))
		said := strings.Join(got.Warnings, "\n")
		if got.Result != nil {
			said += got.Result.Message
		}
		if got.Allowed != c.allowed || got.Result != nil && got.Result.Code != c.code || !strings.Contains(said, c.says) ||
			c.says == "" && said != "" {
			t.Errorf("%s: got allowed %t, %v, %q", name, got.Allowed, got.Result, said)
		}
	}
}

func TestAChangeOfATerminatingDataSetIsChecked(t *testing.T) {
	r := &rights{}
	ds := dataSet()
	ds.DeletionTimestamp = new(metav1.Now())
	authors(t, author.Enforce, r).Handle(t.Context(), creation(t, ds))
	if len(r.asked) == 0 {
		t.Error("the right was not checked")
	}
}

// reviewer is an API server that answers SubjectAccessReviews.
type reviewer struct {
	mu                sync.Mutex
	running, together int
	asked             []authorizationv1.SubjectAccessReviewSpec
	release           chan struct{}
}

func (v *reviewer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review authorizationv1.SubjectAccessReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	v.running++
	v.together = max(v.together, v.running)
	full := v.together == reviewsOfRequest
	v.asked = append(v.asked, review.Spec)
	v.mu.Unlock()
	if v.release != nil {
		if full {
			v.mu.Lock()
			select {
			case <-v.release:
			default:
				close(v.release)
			}
			v.mu.Unlock()
		}
		<-v.release
	}
	v.mu.Lock()
	v.running--
	v.mu.Unlock()
	review.Status.Allowed = !strings.HasPrefix(review.Spec.ResourceAttributes.Name, "secret-")
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SubjectAccessReview"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review)
}

func reviews(t *testing.T, v *reviewer) *Reviews {
	t.Helper()
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	s := runtime.NewScheme()
	if err := authorizationv1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview"), meta.RESTScopeRoot)
	r, err := NewReviews(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
		client.Options{Scheme: s, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheAPIServerIsAskedForTheAuthorAsItKnowsThem(t *testing.T) {
	v := &reviewer{}
	user := authenticationv1.UserInfo{Username: "alice", UID: "7", Groups: []string{"devs"},
		Extra: map[string]authenticationv1.ExtraValue{"scopes": {"read"}}}
	needs := []author.Need{{Right: author.Right{Verb: "create", Resource: "pods", Subresource: "exec"}},
		{Right: author.Right{Verb: "get", Resource: "secrets", Name: "secret-1"}}}
	missing, err := reviews(t, v).Missing(t.Context(), user, "shop", needs)
	if err != nil || len(missing) != 1 || missing[0].Right != needs[1].Right {
		t.Fatalf("missing %v, %v", missing, err)
	}
	for _, got := range v.asked {
		if got.ResourceAttributes.Resource != "pods" {
			continue
		}
		want := authorizationv1.SubjectAccessReviewSpec{
			User: "alice", UID: "7", Groups: []string{"devs"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"read"}},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "shop", Verb: "create", Version: "*", Resource: "pods",
				Subresource: "exec"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestTheAPIServerIsAskedAFewQuestionsAtATime(t *testing.T) {
	v := &reviewer{release: make(chan struct{})}
	var needs []author.Need
	for range maxRights {
		needs = append(needs, author.Need{Right: author.Right{Verb: "get", Resource: "secrets", Name: "secret-x"}})
	}
	missing, err := reviews(t, v).Missing(t.Context(), authenticationv1.UserInfo{Username: "alice"}, "shop", needs)
	if err != nil || len(missing) != maxRights || v.together != reviewsOfRequest {
		t.Errorf("%d missing, %v; %d asked together", len(missing), err, v.together)
	}
}
