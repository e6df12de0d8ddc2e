// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package item

import (
	"testing"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func s3(endpoint, bucket string) *gatewayv1alpha1.Source {
	return &gatewayv1alpha1.Source{Name: "minio",
		Config: &gatewayv1alpha1.Source_S3{S3: &gatewayv1alpha1.S3Source{Endpoint: endpoint, Bucket: bucket}}}
}

// A mark is on the disks of nodes: with another one, everything there is
// unknown after an upgrade.
func TestAMarkIsTheSameInEachRelease(t *testing.T) {
	mode := uint32(0o755)
	i := &gatewayv1alpha1.Item{RemotePath: "/models/v1/", Version: "v1", Digest: "sha256:00", Include: []string{"*.bin"}, Mode: &mode}
	if got := Mark(i, s3("http://minio:9000", "kuda")); got != "f0442154649bfd8156e57133a6d67af3" {
		t.Errorf("the mark is %s", got)
	}
}

func TestOtherBytesHaveAnotherMark(t *testing.T) {
	base := func() *gatewayv1alpha1.Item {
		return &gatewayv1alpha1.Item{Namespace: "default", Name: "m", LocalPath: "m", RemotePath: "a", Version: "1"}
	}
	mark := Mark(base(), s3("http://e", "b"))
	if !Valid(mark) || Valid(mark[1:]) || Valid(mark[1:]+"/") {
		t.Errorf("form of %q", mark)
	}
	for name, change := range map[string]func(*gatewayv1alpha1.Item){
		"path":    func(i *gatewayv1alpha1.Item) { i.RemotePath = "b" },
		"version": func(i *gatewayv1alpha1.Item) { i.Version = "2" },
		"digest":  func(i *gatewayv1alpha1.Item) { i.Digest = "sha256:1" },
		"include": func(i *gatewayv1alpha1.Item) { i.Include = []string{"x"} },
		"exclude": func(i *gatewayv1alpha1.Item) { i.Exclude = []string{"x"} },
		"mode":    func(i *gatewayv1alpha1.Item) { i.Mode = new(uint32) },
	} {
		i := base()
		change(i)
		if Mark(i, s3("http://e", "b")) == mark {
			t.Errorf("%s has no part in the mark", name)
		}
	}
	for name, source := range map[string]*gatewayv1alpha1.Source{"endpoint": s3("http://f", "b"), "bucket": s3("http://e", "c"), "none": nil} {
		if Mark(base(), source) == mark {
			t.Errorf("source: %s has no part in the mark", name)
		}
	}
}

func TestANameOrALocalPathDoesNotChangeTheMark(t *testing.T) {
	a := &gatewayv1alpha1.Item{Name: "a", LocalPath: "x", RemotePath: "p", Version: "1"}
	b := &gatewayv1alpha1.Item{Namespace: "n", Name: "b", LocalPath: "y", RemotePath: "p", Version: "1"}
	with := s3("http://e", "b")
	with.GetS3().Secret, with.Name = "other", "ceph"
	if Mark(a, s3("http://e", "b")) != Mark(b, with) {
		t.Error("the same bytes have two marks")
	}
}
