// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// maxSpecBytes bounds a DataSet's spec as JSON. The API server stores no object of
// more than 1.5 MiB. What is left is for what is stored with the spec or its
// template: the status of up to 128 items with their messages (in Data), history and
// conditions (in the DataSet), and the metadata, of which annotations alone may
// have 256 KiB.
const maxSpecBytes = 1 << 20

// checkSize refuses a spec for which there would be no status. One that is stored
// already may become smaller, or stay as it is; last is nil at creation.
func checkSize(last, next *v1alpha1.DataSet) field.ErrorList {
	size := specSize(next)
	if size <= maxSpecBytes || last != nil && size <= specSize(last) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), fmt.Sprintf(
		"has %d bytes as JSON, at most %d (1 MiB) leave room for status and history in an object of the API server; "+
			"shorten include and exclude, or split the items among several DataSets", size, maxSpecBytes))}
}

func specSize(ds *v1alpha1.DataSet) int {
	encoded, err := json.Marshal(&ds.Spec)
	if err != nil {
		return 0 // it was decoded from JSON
	}
	return len(encoded)
}
