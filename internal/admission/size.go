// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// checkSize refuses a spec for which there would be no status. One that is stored
// already may become smaller, or stay as it is; last is nil at creation.
func checkSize(last, next *v1alpha1.DataSet) field.ErrorList {
	size := specSize(next)
	if size <= v1alpha1.MaxSpecBytes || last != nil && size <= specSize(last) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), fmt.Sprintf(
		"has %d bytes as JSON, at most %d (1 MiB) leave room for status and history in an object of the API server; "+
			"shorten include and exclude, or split the items among several DataSets", size, v1alpha1.MaxSpecBytes))}
}

func specSize(ds *v1alpha1.DataSet) int {
	encoded, err := json.Marshal(&ds.Spec)
	if err != nil {
		return 0 // it was decoded from JSON
	}
	return len(encoded)
}
