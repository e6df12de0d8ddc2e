#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Generates everything that is generated, in place. The pinned tools are on PATH
# (make generate puts them there).
set -euo pipefail
cd "$(dirname "$0")/.."

controller-gen object:headerFile=hack/boilerplate/boilerplate.go.txt paths=./api/...
controller-gen crd:generateEmbeddedObjectMeta=false paths=./api/... output:crd:dir=deploy/base/crd
(cd scheduler && controller-gen object:headerFile=../hack/boilerplate/boilerplate.go.txt paths=./apis/...)
(cd proto && buf lint && buf generate)
kustomize build deploy/default > install/kuda.yaml
kustomize build deploy/scheduler > install/kuda-scheduler.yaml
kustomize build deploy/node > install/kuda-node.yaml
# kuda-config is one text: a patch of it has all of it.
(cat deploy/base/config/configmap.yaml && echo "    nodeDriver: data.kuda.io") > deploy/node/enabled/kuda-config.yaml
kustomize build deploy/dashboard > install/kuda-dashboard.yaml
