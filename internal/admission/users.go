// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/internal/admission/jsonspan"
	"github.com/kuda-io/kuda/internal/domain/stamp"
	"github.com/kuda-io/kuda/internal/inject"
)

// Users writes the names of users into the annotations of DataSets: who changed the
// spec, and who set the request to the rollout. It is an admission.Handler.
//
// A DataSet that it cannot read is admitted without a name.
type Users struct {
	// Changed is told the namespaces of DataSets that are about to change; nil: not asked for.
	Changed func(ctx context.Context, namespace string)
	// Log tells of failures.
	Log logr.Logger
}

// Handle returns the response to one request.
func (u *Users) Handle(ctx context.Context, req admission.Request) admission.Response {
	if req.Operation != admissionv1.Create && req.Operation != admissionv1.Update || req.SubResource != "" {
		return admission.Allowed("")
	}
	// A dry run changes nothing, and costs who sends it nothing either.
	if u.Changed != nil && (req.DryRun == nil || !*req.DryRun) {
		u.Changed(ctx, req.Namespace)
	}
	response, err := nameUsers(req)
	if err != nil {
		// Strangers must not be able to fill the log.
		u.Log.V(1).Info("admitted a DataSet without the name of its author", "namespace", req.Namespace, "error", err.Error())
		return admission.Allowed("").WithWarnings("Kuda does not know who made this change: " + err.Error())
	}
	return response
}

func nameUsers(req admission.Request) (admission.Response, error) {
	next, err := readNamed(req.Object.Raw)
	if err != nil {
		return admission.Response{}, err
	}
	change := stamp.Change{Username: req.UserInfo.Username, After: next.meta.Annotations, SpecChanged: true}
	if req.Operation == admissionv1.Update {
		last, err := readNamed(req.OldObject.Raw)
		if err != nil {
			return admission.Response{}, err
		}
		change.Before, change.Generation = last.meta.Annotations, last.meta.Generation
		change.SpecChanged = !equalJSON(last.spec, next.spec)
	}
	ops := inject.PatchAnnotations(next.meta.Annotations, stamp.Annotations(change))
	if len(ops) == 0 {
		return admission.Allowed(""), nil
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		return admission.Response{}, fmt.Errorf("encoding the names of users: %w", err)
	}
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed: true, Patch: patch, PatchType: new(admissionv1.PatchTypeJSONPatch),
	}}, nil
}

// named is what of a DataSet decides on the names.
type named struct {
	meta metav1.ObjectMeta
	spec []byte
}

func readNamed(raw []byte) (named, error) {
	spans, err := jsonspan.Members(raw, "metadata", "spec")
	if err != nil {
		return named{}, fmt.Errorf("reading the DataSet: %w", err)
	}
	var n named
	if text := spans[0].Of(raw); len(text) > 0 {
		if err := json.Unmarshal(text, &n.meta); err != nil {
			return named{}, fmt.Errorf("reading the DataSet: %w", err)
		}
	}
	n.spec = spans[1].Of(raw)
	return n, nil
}

// equalJSON reports whether two texts have one meaning. The API server writes the keys of
// objects in one order, so the texts of an unchanged spec are nearly always equal.
// Fields are compared that this version of the API does not know, too.
func equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}
