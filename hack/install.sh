#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Loads Kuda's images into the running development cluster and installs Kuda
# there, as a user would from install/kuda.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=build/bin/kuda-cluster
env=$("$cluster" env) # on a line of its own, so that its failure ends this
eval "$env"

"$cluster" image load build/images/*.tar
installed=$(kubectl -n kuda-system get deployments -o name 2>/dev/null || true)
kubectl apply --server-side --force-conflicts -f install/kuda.yaml
if [ -n "$installed" ]; then
  # A new build under the same tag takes effect with new pods only.
  kubectl -n kuda-system rollout restart deployment kuda-manager kuda-webhook
fi
for d in kuda-manager kuda-webhook; do kubectl -n kuda-system rollout status "deployment/$d" --timeout 120s; done
