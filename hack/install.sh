#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Loads Kuda's images into the running development cluster and installs Kuda
# there, as a user would from install/kuda.yaml; with --scheduler also
# kuda-scheduler, from install/kuda-scheduler.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."
components=(kuda-manager kuda-webhook) manifests=(-f install/kuda.yaml)
case "${1:-}" in
--scheduler) components+=(kuda-scheduler) manifests+=(-f install/kuda-scheduler.yaml) ;;
"") ;;
*) echo "usage: install.sh [--scheduler]" >&2; exit 2 ;;
esac
cluster=build/bin/kuda-cluster
env=$("$cluster" env) # on a line of its own, so that its failure ends this
eval "$env"

"$cluster" image load build/images/*.tar
installed=$(kubectl -n kuda-system get deployments -o name 2>/dev/null || true)
kubectl apply --server-side --force-conflicts "${manifests[@]}"
if [ -n "$installed" ]; then
  # A new build under the same tag takes effect with new pods only.
  kubectl -n kuda-system rollout restart deployment "${components[@]}"
fi
for d in "${components[@]}"; do kubectl -n kuda-system rollout status "deployment/$d" --timeout 120s; done
