#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Upgrades a release under running pods, on the development cluster, which make
# has started: from the last release to the working tree, back, and on again. The
# working tree's version stays installed. Arguments go to go test.
set -euo pipefail
cd "$(dirname "$0")/.."
# The commit of the last release, and its name.
released=1a5d72613aa6d19d87f93b61a257964cf32aa2b7 version=v0.1.0
cluster=$PWD/build/bin/kuda-cluster
env=$("$cluster" env) # on a line of its own, so that its failure ends this
eval "$env"
release=$(hack/release.sh "$released" "$version")
"$cluster" image load "$release"/*.tar build/images/{kuda-manager,kuda-webhook,kuda-runtime,e2e-app}.tar
"$cluster" minio start
export KUDA_UPGRADE_FROM=$release/kuda.yaml KUDA_UPGRADE_TO=$PWD/install/kuda.yaml
mkdir -p build/test
tools=$(make -s print-tools)
exec "$tools/gotestsum" --format testname --jsonfile build/test/upgrade.json -- \
  -count=1 -tags e2e -timeout 15m ./test/upgrade/... "$@"
