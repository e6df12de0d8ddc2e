// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"bytes"
	"encoding/json"
)

// Mode says what becomes of a change whose author lacks a right.
type Mode string

// The modes.
const (
	// Enforce refuses the change.
	Enforce Mode = "Enforce"
	// Warn allows it, with a warning.
	Warn Mode = "Warn"
	// Off asks for no right.
	Off Mode = "Off"
)

// UnmarshalJSON reads the mode. In YAML, Off without quotes is false.
func (m *Mode) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("false")) {
		*m = Off
		return nil
	}
	return json.Unmarshal(raw, (*string)(m))
}
