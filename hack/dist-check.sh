#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# dist-check.sh: builds a release twice, from copies of this tree in two directories, and
# compares what came of it. Each directory has its own path and time.
set -euo pipefail
: "${VERSION:?}"
KUDA_CLUSTER=$(realpath "${KUDA_CLUSTER:?}") KUDA_CHECK=$(realpath "${KUDA_CHECK:?}")
export KUDA_CLUSTER KUDA_CHECK
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for copy in one another/place; do
  mkdir -p "$work/$copy"
  git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$work/$copy"
  # kuda-check reads which files the repository has.
  git -C "$work/$copy" init -q
  git -C "$work/$copy" add -A
done
for copy in one another/place; do
  "$work/$copy/hack/dist.sh" "$work/out/$copy"
done
if ! diff -u "$work/out/one/SHA256SUMS" "$work/out/another/place/SHA256SUMS"; then
  echo "the two builds differ in what is above" >&2
  exit 1
fi
echo "both builds have the same $(wc -l < "$work/out/one/SHA256SUMS") files"
