#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Loads Kuda's images into the running development cluster and installs Kuda
# there, as a user would from install/kuda.yaml; with --scheduler also
# kuda-scheduler, from install/kuda-scheduler.yaml, with --dashboard kuda-dashboard,
# from install/kuda-dashboard.yaml, and with --node kuda-node, from
# install/kuda-node.yaml, which then makes the stores.
set -euo pipefail
cd "$(dirname "$0")/.."
components=(kuda-manager kuda-webhook) manifests=(-f install/kuda.yaml)
node=
for option in "$@"; do
  case "$option" in
  --scheduler) components+=(kuda-scheduler) manifests+=(-f install/kuda-scheduler.yaml) ;;
  --dashboard) components+=(kuda-dashboard) manifests+=(-f install/kuda-dashboard.yaml) ;;
  --node) node=yes manifests+=(-f install/kuda-node.yaml) ;;
  *) echo "usage: install.sh [--scheduler] [--dashboard] [--node]" >&2; exit 2 ;;
  esac
done
cluster=build/bin/kuda-cluster
env=$("$cluster" env) # on a line of its own, so that its failure ends this
eval "$env"

"$cluster" image load build/images/*.tar
installed=$(kubectl -n kuda-system get deployments -o name 2>/dev/null || true)
kubectl apply --server-side --force-conflicts "${manifests[@]}"
if [ -n "$installed" ]; then
  # A new build under the same tag takes effect with new pods only.
  kubectl -n kuda-system rollout restart deployment "${components[@]}"
  [ -z "$node" ] || kubectl -n kuda-node rollout restart daemonset kuda-node
fi
if [ -n "$node" ]; then
  kubectl -n kuda-node rollout status daemonset/kuda-node --timeout 120s
  kubectl apply --server-side --force-conflicts -f deploy/node/enabled/kuda-config.yaml
  # The kubelets bring the change within two minutes; new pods have it.
  kubectl -n kuda-system rollout restart deployment kuda-webhook
fi
for d in "${components[@]}"; do kubectl -n kuda-system rollout status "deployment/$d" --timeout 120s; done
