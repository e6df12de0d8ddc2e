// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jsonspan finds the members of a JSON object and the length of a list in
// their text, without decoding them. A webhook reads all that any client sends it:
// what a review says at its top costs one pass over the text, at the speed of
// memory, and no memory.
//
// Values are found, not checked: text that is not JSON may be given a value, which
// fails when it is decoded.
package jsonspan
