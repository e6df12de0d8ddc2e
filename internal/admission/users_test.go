// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/internal/inject"
)

// changeBy is a review of a change; without an object before it is of a creation.
func changeBy(username, before, after string) admission.Request {
	r := admissionv1.AdmissionRequest{Namespace: "shop", Operation: admissionv1.Create,
		UserInfo: authenticationv1.UserInfo{Username: username}, Object: runtime.RawExtension{Raw: []byte(after)}}
	if before != "" {
		r.Operation, r.OldObject.Raw = admissionv1.Update, []byte(before)
	}
	return admission.Request{AdmissionRequest: r}
}

func TestTheUserOfAChangeIsWritten(t *testing.T) {
	const stamped = `"kuda.io/changed-by":"alice","kuda.io/changed-generation":"3"`
	object := func(annotations, spec string) string {
		return `{"metadata":{"generation":3,"annotations":{` + annotations + `}},"spec":` + spec + `}`
	}
	before := object(stamped, `{"a":1,"b":{"c":2}}`)
	for name, c := range map[string]struct {
		before, after string
		want          []string // of the patch
	}{
		"a new DataSet": {"", `{"metadata":{},"spec":{}}`,
			[]string{`add /metadata/annotations {"kuda.io/changed-by":"bob","kuda.io/changed-generation":"1"}`}},
		"a field that this version does not know": {before, object(stamped, `{"a":1,"b":{"c":2},"new":1}`),
			[]string{`add /metadata/annotations/kuda.io~1changed-by "bob"`, `add /metadata/annotations/kuda.io~1changed-generation "4"`}},
		"the same spec":                  {before, object(stamped, `{"a":1,"b":{"c":2}}`), nil},
		"the same spec in another order": {before, object(stamped, `{"b": {"c":2}, "a":1}`), nil},
		"a forged name": {before, object(`"kuda.io/changed-by":"carol","kuda.io/changed-generation":"3"`, `{"a":1,"b":{"c":2}}`),
			[]string{`add /metadata/annotations/kuda.io~1changed-by "alice"`}},
		"names left out": {before, `{"metadata":{"generation":3},"spec":{"a":1,"b":{"c":2}}}`,
			[]string{`add /metadata/annotations {"kuda.io/changed-by":"alice","kuda.io/changed-generation":"3"}`}},
		"a name of a request that is not there": {before, object(stamped+`,"kuda.io/requested-by":"carol"`, `{"a":1,"b":{"c":2}}`),
			[]string{`remove /metadata/annotations/kuda.io~1requested-by null`}},
	} {
		t.Run(name, func(t *testing.T) {
			resp := (&Users{Log: logr.Discard()}).Handle(t.Context(), changeBy("bob", c.before, c.after))
			var ops []inject.Operation
			if len(resp.Patch) > 0 {
				if err := json.Unmarshal(resp.Patch, &ops); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, op := range ops {
				value, err := json.Marshal(op.Value)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, op.Op+" "+op.Path+" "+string(value))
			}
			if !resp.Allowed || len(resp.Warnings) > 0 || !slices.Equal(got, c.want) {
				t.Errorf("got %t, %q, want %q", resp.Allowed, got, c.want)
			}
		})
	}
}

func TestADataSetIsAdmittedWhateverTheNameOfItsUser(t *testing.T) {
	for _, username := range []string{"", "a\x00\nb", strings.Repeat("\xff", 1<<20), strings.Repeat("x", 1<<20)} {
		resp := (&Users{Log: logr.Discard()}).Handle(t.Context(), changeBy(username, "", `{"metadata":{},"spec":{}}`))
		if !resp.Allowed || len(resp.Patch) == 0 || len(resp.Patch) > 1024 || strings.ContainsAny(string(resp.Patch), "\x00\n") {
			t.Errorf("%d bytes: got %t, %.2000s", len(username), resp.Allowed, resp.Patch)
		}
	}
	for _, raw := range []string{"", "{", "[]", `{"metadata":[]}`, `{"metadata":{"annotations":1}}`} {
		resp := (&Users{Log: logr.Discard()}).Handle(t.Context(), changeBy("bob", "", raw))
		if !resp.Allowed || len(resp.Patch) > 0 || len(resp.Warnings) != 1 {
			t.Errorf("%q: got %+v", raw, resp)
		}
	}
}

func TestStatusAndDeletionHaveNoUser(t *testing.T) {
	status := changeBy("bob", `{"metadata":{},"spec":{}}`, `{"metadata":{},"spec":{"a":1}}`)
	status.SubResource = "status"
	deletion := changeBy("bob", `{"metadata":{},"spec":{}}`, "")
	deletion.Operation = admissionv1.Delete
	for _, req := range []admission.Request{status, deletion} {
		if resp := (&Users{Log: logr.Discard()}).Handle(t.Context(), req); !resp.Allowed || len(resp.Patch) > 0 {
			t.Errorf("%s %s: got %+v", req.Operation, req.SubResource, resp)
		}
	}
}
