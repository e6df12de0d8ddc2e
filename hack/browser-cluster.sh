#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Tests the dashboard in Chromium on the development cluster, which make has started, both
# by "kubectl kuda dashboard" and by kuda-dashboard in the cluster. Arguments go to go test.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=$PWD/build/bin/kuda-cluster
env=$("$cluster" env) # on a line of its own, so that its failure ends this
eval "$env"
nginx=build/images/nginx.tar
"$cluster" image nginx -o "$nginx" --ref nginx:1.14.2
hack/install.sh --node --dashboard
"$cluster" minio start
kubectl apply -f examples/storage/minio.yaml
export KUDA_PROGRAMS=$PWD/build/bin
results=$PWD/build/test
mkdir -p "$results"
tools=$(make -s print-tools)
cd test/browser
exec "$tools/gotestsum" --format testname --jsonfile "$results/browser-cluster.json" \
  --rerun-fails=1 --rerun-fails-max-failures=5 --packages=. -- \
  -count=1 -tags cluster -run OnTheCluster -timeout 20m "$@"
