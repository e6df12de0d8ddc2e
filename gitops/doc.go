// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops holds what GitOps tools are told about Kuda's kinds: for Argo CD the health
// of a DataSet and the actions on it, as Lua scripts in the layout of its resource
// customizations (argocd/GROUP/KIND). Its tests run the scripts in gopher-lua, the engine
// of Argo CD. It is a module of its own, so that Kuda does not depend on that.
package gitops
