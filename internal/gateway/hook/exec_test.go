// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// refuse replies to every exec with a status, or with text when there is none.
func refuse(t *testing.T, status *apierrors.StatusError, text string) (*Executor, *int) {
	t.Helper()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if status == nil {
			http.Error(w, text, http.StatusInternalServerError)
			return
		}
		answer := status.ErrStatus
		answer.APIVersion, answer.Kind = "v1", "Status"
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(answer.Code))
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	e, err := NewExecutor(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return e, &asked
}

var target = types.NamespacedName{Namespace: "shop", Name: "web-0"}

func TestARefusalIsReturnedAndNotRetried(t *testing.T) {
	e, asked := refuse(t, apierrors.NewForbidden(corev1.Resource("pods"), "web-0", errors.New("no right to pods/exec")), "")
	_, err := e.Run(t.Context(), target, "app", []string{"true"})
	if !apierrors.IsForbidden(err) || errors.Is(err, ErrNotRunning) {
		t.Errorf("the error is %v", err)
	}
	if *asked != 1 {
		t.Errorf("the API server was asked %d times, although its answer was clear", *asked)
	}
}

func TestAContainerThatIsNotStartedHasAnErrorOfItsOwn(t *testing.T) {
	e, asked := refuse(t, nil, `unable to upgrade connection: container not found ("app")`)
	if _, err := e.Run(t.Context(), target, "app", []string{"true"}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("the error is %v", err)
	}
	if *asked != 2 {
		t.Errorf("it was asked %d times, not once for each protocol", *asked)
	}
	e, _ = refuse(t, nil, "dialing the kubelet: connection refused")
	if _, err := e.Run(t.Context(), target, "app", []string{"true"}); err == nil || errors.Is(err, ErrNotRunning) ||
		apierrors.IsForbidden(err) {
		t.Errorf("a broken connection is %v", err)
	}
}
