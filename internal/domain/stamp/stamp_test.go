// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package stamp

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	by, generation = v1alpha1.AnnotationChangedBy, v1alpha1.AnnotationChangedGeneration
	asker, asked   = v1alpha1.AnnotationRequestedBy, v1alpha1.AnnotationRequestedFor
	request        = v1alpha1.AnnotationRolloutRequest
)

func TestNamesFollowWhatTheyBelongTo(t *testing.T) {
	type values = map[string]string
	stamped := values{by: "alice", generation: "3", request: "abort r t1", asker: "alice", asked: "abort r t1"}
	with := func(more values) values {
		all := maps.Clone(stamped)
		maps.Copy(all, more)
		return all
	}
	for name, c := range map[string]struct {
		change Change
		want   values
	}{
		"a new DataSet": {Change{SpecChanged: true}, values{by: "bob", generation: "1"}},
		"a new DataSet with forged names": {
			Change{SpecChanged: true, After: values{by: "alice", generation: "7", asker: "alice", asked: "x", "other": "kept"}},
			values{by: "bob", generation: "1", "other": "kept"}},
		"a new DataSet with a request": {Change{SpecChanged: true, After: values{request: "abort r t1"}},
			values{by: "bob", generation: "1", request: "abort r t1", asker: "bob", asked: "abort r t1"}},
		"another spec": {Change{SpecChanged: true, Generation: 3, Before: stamped, After: stamped},
			with(values{by: "bob", generation: "4"})},
		"another spec with a forged name": {Change{SpecChanged: true, Generation: 3, Before: stamped, After: with(values{by: "carol"})},
			with(values{by: "bob", generation: "4"})},
		"another request": {Change{Generation: 3, Before: stamped, After: with(values{request: "promote r t2"})},
			with(values{request: "promote r t2", asker: "bob", asked: "promote r t2"})},
		"the first request": {Change{Generation: 3, Before: values{by: "alice", generation: "3"}, After: values{request: ""}},
			values{by: "alice", generation: "3", request: "", asker: "bob", asked: ""}},
		"no request any more": {Change{Generation: 3, Before: stamped, After: values{by: "alice", generation: "3"}},
			values{by: "alice", generation: "3"}},
		"a request of endless length": {Change{Generation: 3, Before: stamped, After: with(values{request: strings.Repeat("x", 1025)})},
			values{by: "alice", generation: "3", request: strings.Repeat("x", 1025)}},
		"another annotation": {Change{Generation: 3, Before: stamped, After: with(values{"a": "b"})}, with(values{"a": "b"})},
		"forged names": {Change{Generation: 3, Before: stamped, After: with(values{by: "x", generation: "4", asker: "x", asked: "y"})},
			stamped},
		"names taken out":          {Change{Generation: 3, Before: stamped, After: values{request: "abort r t1"}}, stamped},
		"names where none were":    {Change{Generation: 3, After: values{by: "x", generation: "3", asker: "x", asked: "y"}}, values{}},
		"a change behind our back": {Change{Generation: 4, Before: stamped, After: with(values{generation: "4"})}, stamped},
	} {
		t.Run(name, func(t *testing.T) {
			c.change.Username = "bob"
			given := maps.Clone(c.change.After)
			if diff := cmp.Diff(c.want, Annotations(c.change)); diff != "" {
				t.Error(diff)
			}
			if !maps.Equal(given, c.change.After) {
				t.Error("the annotations of the request were changed")
			}
		})
	}
}

func TestANameOfAnotherChangeIsNotShown(t *testing.T) {
	d := &v1alpha1.DataSet{}
	d.Generation = 4
	d.Annotations = map[string]string{by: "alice", generation: "4", request: "abort r t1", asker: "bob", asked: "abort r t1"}
	if ChangedBy(d) != "alice" || RequestedBy(d) != "bob" {
		t.Errorf("got %q, %q", ChangedBy(d), RequestedBy(d))
	}
	d.Generation, d.Annotations[request] = 5, "abort r t2"
	if ChangedBy(d) != "" || RequestedBy(d) != "" {
		t.Errorf("after changes that the webhook did not see: %q, %q", ChangedBy(d), RequestedBy(d))
	}
	delete(d.Annotations, request)
	delete(d.Annotations, asked)
	if got := RequestedBy(d); got != "" {
		t.Errorf("without a request: %q", got)
	}
}

func TestNamesAreShortLines(t *testing.T) {
	for username, want := range map[string]string{
		"alice": "alice", "system:serviceaccount:flux-system:kustomize-controller": "system:serviceaccount:flux-system:kustomize-controller",
		"张伟 <z@example.com>": "张伟 <z@example.com>", "a\nb": "ab…", "\x1b[31mred": "[31mred…", "a\u202eb": "ab…", "": "",
		strings.Repeat("x", 250): strings.Repeat("x", 250),
	} {
		if got := Name(username); got != want {
			t.Errorf("%q: got %q, want %q", username, got, want)
		}
	}
	for _, username := range []string{strings.Repeat("x", 251), strings.Repeat("模", 1<<18), strings.Repeat("\xff", 1<<20)} {
		if got := Name(username); len(got) > MaxName || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("%d bytes become %q", len(username), got)
		}
	}
}
