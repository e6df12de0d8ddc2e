// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package news tells the replicas of the webhook which namespaces are about to
// get a changed DataSet. Each replica reviews some of the changes, before they
// are stored; told of the others', it knows in which namespaces its cache may be
// behind, and asks the API server nothing for the pods of all others.
//
// An Exchange says itself when it may have missed something: a replica that
// cannot reach another, or is not found by its name, asks the API server for each
// pod, as a replica does that was just started. Nothing but names of namespaces
// is told, and only by and to processes that hold a certificate of Kuda's own
// authority.
package news
