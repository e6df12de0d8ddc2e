// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package look shares one question to the API server among the requests that need
// its answer. A burst of a hundred pods asks the same thing a hundred times; here
// it costs the API server two questions, and each request still gets an answer
// that is not older than itself. It knows nothing of what is asked.
package look
