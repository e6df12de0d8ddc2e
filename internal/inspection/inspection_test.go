// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inspection

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fill gives every field at any depth a value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte("{}"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	default:
		v.SetInt(7)
	}
}

// A runtime and a command line of different releases read each other's texts: fields
// may be added here, but none may change or go.
func TestFieldsKeepTheirNames(t *testing.T) {
	const files = `{"count":7,"bytes":7,"files":[{"path":"x","size":7}]}`
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"data": {&DataSet{}, `{"name":"x","revision":"x","items":[{"namespace":"x","name":"x","version":"x","path":"x","digest":"x","bytes":7,` +
			`"files":[{"path":"x","size":7,"digest":"x","mode":"x","link":"x"}]}]}`},
		"question": {&Question{}, `{"dataset":"x","prefetch":{}}`},
		"plan": {&Plan{}, `{"dataset":"x","revision":"x","currentRevision":"x","items":[{"namespace":"x","name":"x","version":"x",` +
			`"currentVersion":"x","path":"x",` +
			`"added":` + files + `,"changed":` + files + `,"removed":` + files + `,"unchanged":` + files + `,` +
			`"totalBytes":7,"bytesToMove":7,"bytesPresent":7,"reason":"x","error":"x"}]}`},
	} {
		fill(reflect.ValueOf(c.value).Elem())
		got, err := json.Marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
