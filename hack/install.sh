#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Loads Kuda's images into the running development cluster and installs Kuda
# there, as a user would from install/kuda.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=build/bin/kuda-cluster
eval "$("$cluster" env)"

"$cluster" image load build/images/*.tar
kubectl apply --server-side --force-conflicts -f install/kuda.yaml
# A new build under the same tag takes effect with new pods only.
kubectl -n kuda-system rollout restart deployment kuda-manager kuda-webhook
for d in kuda-manager kuda-webhook; do kubectl -n kuda-system rollout status "deployment/$d" --timeout 120s; done
