// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package measure runs a program and tells what it cost: the time on the
// clock, the processor time of it and of the processes it waited for, and the
// most memory that one of them had resident. It also samples processes that go
// on living, and tells how busy the machine is.
package measure
