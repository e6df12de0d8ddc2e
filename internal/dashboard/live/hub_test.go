// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/insight/status"
)

// listing is a cluster in which lists do what a function does.
func listing(list func() error) client.WithWatch {
	return clitest.New(time.Now(), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return list() },
	}).Client
}

func TestRevisionsThatMayNotBeReadAreNotAskedForWithEachPicture(t *testing.T) {
	asked := 0
	w := &watcher{input: status.Input{DataSet: &v1alpha1.DataSet{}}, client: listing(func() error {
		asked++
		return apierrors.NewForbidden(schema.GroupResource{Resource: "controllerrevisions"}, "", errors.New("no"))
	})}
	now := time.Unix(1000, 0)
	for range 10 {
		w.readRevisions(t.Context(), now)
	}
	if asked != 1 {
		t.Errorf("they were asked for %d times", asked)
	}
	w.readRevisions(t.Context(), now.Add(revisionsAgain))
	w.input.DataSet.Status.UpdateRevision = "models-2"
	w.readRevisions(t.Context(), now.Add(revisionsAgain))
	if asked != 3 {
		t.Errorf("they were asked for %d times, after a while and a change", asked)
	}
}

func TestAPanicEndsAStreamAndNotTheServer(t *testing.T) {
	h := NewHub(time.Now)
	look := h.Subscribe(listing(func() error { panic("a fault") }), Key{Name: "models"}, &v1alpha1.DataSet{})
	defer look.Close()
	picture, fresh := look.Latest()
	for picture == nil {
		<-fresh
		picture, fresh = look.Latest()
	}
	if picture.Err == nil || !strings.Contains(picture.Err.Error(), "a fault") {
		t.Errorf("got %+v", picture.Err)
	}
}
