// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

func TestRuntimeThatLinksKubernetesIsRefused(t *testing.T) {
	got := Check("./cmd/kuda-runtime", []Package{
		{ImportPath: "k8s.io/api/core/v1", Imports: []string{"k8s.io/apimachinery/pkg/types"}},
		{ImportPath: own + "/internal/delivery/agent", Imports: []string{"fmt", "k8s.io/api/core/v1"}},
		{ImportPath: "example.com/k8s.io", Imports: []string{"fmt"}},
	})
	want := []exception.Finding{{ID: "link", Where: "kuda-runtime", Message: own +
		"/internal/delivery/agent imports k8s.io/api/core/v1: kuda-runtime links nothing of it; move what needs it to another program"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStorageSDKBesideTheDriversIsRefused(t *testing.T) {
	sdk := "github.com/minio/minio-go/v7"
	driver := Package{ImportPath: drivers + "/s3", Imports: []string{sdk}}
	if got := Check("./cmd/kuda-runtime", []Package{driver}); len(got) != 0 {
		t.Errorf("a driver: %+v", got)
	}
	if got := Check("./cmd/kuda-runtime",
		[]Package{{ImportPath: own + "/internal/delivery/fetchcmd", Imports: []string{sdk}}}); len(got) != 1 {
		t.Errorf("beside the drivers: %+v", got)
	}
	if got := Check("./cmd/kuda-manager", []Package{driver}); len(got) != 1 {
		t.Errorf("a program without drivers: %+v", got)
	}
}
