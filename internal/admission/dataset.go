// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
)

// DataSets checks DataSets when they are created and changed. It is an
// admission.Handler.
type DataSets struct {
	// Settings are those in force.
	Settings func() inject.Settings
	// Cache holds DataSets; nil: others are not compared with.
	Cache client.Reader
	// Log tells of refusals.
	Log logr.Logger
}

// Handle returns the response to one request.
func (d *DataSets) Handle(ctx context.Context, req admission.Request) admission.Response {
	if req.Operation != admissionv1.Create && req.Operation != admissionv1.Update || req.SubResource != "" {
		return admission.Allowed("")
	}
	next, err := decodeDataSet(req.Object.Raw)
	if err != nil {
		return deniedResponse(err.Error())
	}
	if next.DeletionTimestamp != nil {
		return admission.Allowed("")
	}
	var last *v1alpha1.DataSet
	if req.Operation == admissionv1.Update {
		if last, err = decodeDataSet(req.OldObject.Raw); err != nil {
			return deniedResponse(err.Error())
		}
	}
	if errs := append(checkSize(last, next), checkDataSet(next)...); len(errs) > 0 {
		invalid := apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("DataSet").GroupKind(), next.Name, errs)
		d.Log.V(1).Info("refused a DataSet", "namespace", req.Namespace, "name", next.Name, "errors", errs.ToAggregate().Error())
		return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: &invalid.ErrStatus}}
	}
	warnings := append(warnDataSet(last, next), warnRequire(last, next, d.Settings().SchedulerName)...)
	warnings = append(warnings, d.warnShared(ctx, req.Namespace, next)...)
	return admission.Allowed("").WithWarnings(warnings...)
}

func decodeDataSet(raw []byte) (*v1alpha1.DataSet, error) {
	dataSet := &v1alpha1.DataSet{}
	if err := json.Unmarshal(raw, dataSet); err != nil {
		return nil, fmt.Errorf("reading the DataSet: %w", err)
	}
	return dataSet, nil
}
