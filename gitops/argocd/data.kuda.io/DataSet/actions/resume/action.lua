-- Copyright The Kuda Authors.
-- SPDX-License-Identifier: Apache-2.0

obj.spec.paused = false
return obj
