// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package preheat is the controller of spec.preheat: it brings a DataSet's data
// onto nodes before pods are there, by one pod of Kuda's own on each node, in the
// DataSet's namespace, until the data is in the node's store.
//
// Decide is the plan, a function of what is observed; the rest carries it out.
// The pods and their Data are no replicas of the DataSet: they carry
// v1alpha1.LabelPreheat, and nothing but this package and the Data controller
// looks after them. It runs on the leader only. Of a DataSet's status it writes
// status.preheat and the condition Preheated, and never anything else.
package preheat
