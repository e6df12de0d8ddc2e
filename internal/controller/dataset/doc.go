// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dataset is the controller that turns a DataSet into one Data per pod
// and keeps the DataSet's status.
//
// A pass reads everything once, lets revision and rollout decide, writes the
// differences, and ends with at most one status patch; events follow it. A pass
// over an unchanged cluster writes nothing. It runs on the leader only. It never
// touches a pod, and it never writes a Data's status: that is the gateway's.
package dataset
