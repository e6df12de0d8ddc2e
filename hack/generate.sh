#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Generates everything that is generated, in place. The pinned tools are on PATH
# (make generate puts them there).
set -euo pipefail
cd "$(dirname "$0")/.."

controller-gen object:headerFile=hack/boilerplate/boilerplate.go.txt paths=./api/...
controller-gen crd:generateEmbeddedObjectMeta=false paths=./api/... output:crd:dir=charts/kuda/files/crd
(cd scheduler && controller-gen object:headerFile=../hack/boilerplate/boilerplate.go.txt paths=./apis/...)
(cd proto && buf lint && buf generate)
# The chart is the one source of manifests; deploy/ has them for kubectl and kustomize.
cp charts/kuda/files/crd/*.yaml deploy/base/crd/
kuda-grafana charts/kuda/files/grafana
kuda-chart charts/kuda deploy
(cat deploy/default/head.txt && kustomize build deploy/default) > install/kuda.yaml
(cat deploy/remove/head.txt && kustomize build deploy/remove) > install/remove/kuda.yaml
kustomize build deploy/scheduler > install/kuda-scheduler.yaml
kustomize build deploy/node > install/kuda-node.yaml
# kuda-config is one text: a patch of it has all of it.
(cat deploy/base/config/configmap.yaml && echo "    nodeDriver: data.kuda.io") > deploy/node/enabled/kuda-config.yaml
kustomize build deploy/dashboard > install/kuda-dashboard.yaml
