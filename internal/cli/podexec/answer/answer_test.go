// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package answer

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/inspect"
)

// fill gives every field at any depth a value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	default:
		v.SetInt(7)
	}
}

func TestTheRuntimeAnswersOtherwise(t *testing.T) {
	for name, pair := range map[string][2]any{
		"data": {&inspect.DataSet{}, &DataSet{}},
		"plan": {&inspect.Plan{}, &Plan{}},
	} {
		fill(reflect.ValueOf(pair[0]).Elem())
		said, err := json.Marshal(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(said))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(pair[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		heard, err := json.Marshal(pair[1])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(said, heard) {
			t.Errorf("%s: the runtime says\n%s\nand is heard as\n%s", name, said, heard)
		}
	}
}
