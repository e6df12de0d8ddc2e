// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config is the installation's configuration: the ConfigMap kuda-config,
// mounted into kuda-webhook. It decodes strictly, fills in defaults, says what is wrong
// by the name of the field, and follows changes of the mounted file; a change
// that is wrong leaves the last good configuration in force. It decides nothing.
package config
