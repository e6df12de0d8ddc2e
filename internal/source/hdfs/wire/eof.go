// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"io"
)

// UnexpectedEOF returns the error of a read that more was to come of: a connection that
// ends in a message is not at its end.
func UnexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
