#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs the end-to-end tests. By default on the development cluster, which make
# has started, with MinIO beside it. Arguments go to go test: -run, -count, ...
#
# KUDA_E2E_STORE says how node stores are made: csi (the default) by kuda-node,
# hostPath by mounting them from the node. Tests that are about one of both are built
# for that one only.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=$PWD/build/bin/kuda-cluster
env=$("$cluster" env) # on a line of its own, so that its failure ends this
eval "$env"
nginx=build/images/nginx.tar
"$cluster" image nginx -o "$nginx" --ref nginx:1.14.2
case "${KUDA_E2E_STORE:-csi}" in
csi) options=(--node) tags=e2e settings='nodeDriver: data.kuda.io' ;;
hostPath) options=() tags=e2e,hostpath settings= ;;
*) echo "e2e.sh: KUDA_E2E_STORE must be csi or hostPath, not $KUDA_E2E_STORE" >&2; exit 2 ;;
esac
hack/install.sh --scheduler "${options[@]}"
# Disks for development are small, and others fill them too: 2 GiB of them stay free,
# not a tenth.
settings+=$'\nnodeStoreReserve: 2Gi'
if [[ " ${options[*]} " == *" --node "* ]]; then
  kubectl -n kuda-node patch daemonset kuda-node --type json \
    -p '[{"op": "add", "path": "/spec/template/spec/containers/1/args/-", "value": "--reserve=2Gi"}]'
  kubectl -n kuda-node rollout status daemonset/kuda-node --timeout 120s
fi
# The installation offers the plugin of the examples, as its README says.
config=$(kubectl -n kuda-system get configmap kuda-config -o jsonpath='{.data.config\.yaml}' | grep -vE '^(nodeDriver|nodeStoreReserve):')
grep -v '^#' examples/plugin-sftp/kuda-config.yaml | cat <(echo "$config"; echo "$settings") - |
  kubectl -n kuda-system create configmap kuda-config --from-file=config.yaml=/dev/stdin --dry-run=client -o yaml |
  kubectl apply --server-side --force-conflicts -f -
kubectl -n kuda-system rollout restart deployment kuda-webhook
kubectl -n kuda-system rollout status deployment/kuda-webhook --timeout 120s
mkdir -p build/test
export KUDA_CLUSTER=$cluster KUDA_CACHE=${KUDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kuda}
tools=$(make -s print-tools)
exec "$tools/gotestsum" --format testname --jsonfile build/test/e2e.json \
  --rerun-fails=1 --rerun-fails-max-failures=5 --packages=./test/e2e/... -- \
  -count=1 -tags "$tags" -timeout 90m -parallel 8 "$@"
