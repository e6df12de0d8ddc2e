// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodecmd is the command "kuda-runtime node": it looks after the directory
// of a node in which the stores of all namespaces are. It closes it to other users of
// the node, and removes what namespaces that are gone left. The manager runs it in
// pods of its own, see package remains of the controllers.
//
// It follows no link and crosses out of no directory, removes only what it is told
// by name, and nothing that a living pod still uses.
package nodecmd
