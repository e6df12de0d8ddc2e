// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package jsonspan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestMembersAreFound(t *testing.T) {
	for text, want := range map[string][2]string{
		`{}`:                        {"", ""},
		` null `:                    {"", ""},
		`{"a":1}`:                   {"1", ""},
		`{"b":"x","a":[1,{"a":2}]}`: {`[1,{"a":2}]`, `"x"`},
		" {\n\"a\" :\t{ \"b\": 3 } , \"b\" : null } ": {`{ "b": 3 }`, "null"},
		`{"A":true,"c":"}\\\"]","b":-1e9}`:            {"true", "-1e9"},
		`{"c":[],"d":{},"b":[["]"]]}`:                 {"", `[["]"]]`},
	} {
		spans, err := Members([]byte(text), "a", "b")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i := range spans {
			if got := string(spans[i].Of([]byte(text))); got != want[i] {
				t.Errorf("%s: member %d is %q, want %q", text, i, got, want[i])
			}
		}
	}
}

func TestTextOfAnotherFormIsRefused(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `"a"`, `1`, `{`, `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":1,`, `{"a":1}x`, `{"a":1}}`, `{a:1}`, `{"a" 1}`,
		`{"a":"x}`, `{"a":[1}`,
		`{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"\u0061":1}`, `{"b\"":1}`, `nullx`,
	} {
		if spans, err := Members([]byte(text), "a"); err == nil {
			t.Errorf("%s: %v", text, spans)
		}
	}
}

func TestElementsAreCounted(t *testing.T) {
	for text, want := range map[string]int{
		``: 0, `null`: 0, ` [] `: 0, `[1]`: 1, `[ {} , {"a":[1,2,3]} ]`: 2, `["a,b","]",[],[[]]]`: 4, "[\n1,2 ,3\n]": 3,
		`[` + strings.Repeat("{},", 8000) + `{}]`: 8001,
	} {
		if got, err := Len([]byte(text)); err != nil || got != want {
			t.Errorf("%.40s: %d elements, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{`{}`, `1`, `[`, `[1`, `[1,`, `[,]`, `[1,]`, `[1}`, `[1]]`, `["x]`} {
		if got, err := Len([]byte(text)); err == nil {
			t.Errorf("%s: %d elements", text, got)
		}
	}
}

func TestASpanCannotGrowIntoItsText(t *testing.T) {
	text := []byte(`{"a":1,"b":2}`)
	spans, err := Members(text, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _ = append(spans[0].Of(text), 'x'); string(text) != `{"a":1,"b":2}` {
		t.Errorf("the text became %s", text)
	}
}

// FuzzJSON compares with encoding/json where both take the text.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[1,2,{"a":3}]}`, `{"a":"\\\"","b":null}`, ` [1, "x", [], {}] `, `{"a":{"b":"}"}}`,
		`null`, `{"\u0061":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var list []json.RawMessage
		n, err := Len(text)
		if json.Unmarshal(text, &list) == nil && (err != nil || n != len(list)) {
			t.Errorf("%d elements, %v; want %d", n, err, len(list))
		}
		spans, err := Members(text, "a", "b")
		var object struct{ A, B json.RawMessage }
		if json.Unmarshal(text, &object) != nil || err != nil {
			return
		}
		for i, want := range []json.RawMessage{object.A, object.B} {
			if got := spans[i].Of(text); !bytes.Equal(got, want) {
				t.Errorf("member %d is %q, want %q", i, got, want)
			}
		}
	})
}
