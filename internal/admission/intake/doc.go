// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package intake reads admission reviews from callers that are not trusted. What
// a review can cost is known before anything of it is decoded: its bytes are
// taken from a pool while they come, its elements are counted, and few reviews
// are decoded at a time. What is over a bound is refused, and what there is no
// room for is asked to come again. It decides nothing of a review's object.
package intake
