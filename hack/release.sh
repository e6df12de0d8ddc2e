#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# release.sh COMMIT VERSION: builds Kuda as it was at a commit, once, and prints
# the directory with its images and its manifest, kuda.yaml. The images have a tag
# of their own, so that they are beside those of the working tree.
set -euo pipefail
commit=${1:?usage: release.sh COMMIT VERSION} version=${2:?VERSION is missing}
cd "$(dirname "$0")/.."
cluster=$PWD/build/bin/kuda-cluster
export KUDA_CACHE=${KUDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kuda}
if ! commit=$(git rev-parse --verify --quiet "$commit^{commit}"); then
  echo "the commit of $version is not in this clone: get all commits with 'git fetch --unshallow'" >&2
  exit 1
fi
tag=released-${commit:0:12}
out=$KUDA_CACHE/releases/${commit:0:12}-$(go env GOVERSION)
if [ ! -e "$out" ]; then
  mkdir -p "$KUDA_CACHE/releases"
  tmp=$(mktemp -d "$KUDA_CACHE/releases/tmp.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  mkdir "$tmp/source" "$tmp/bin" "$tmp/release"
  git archive "$commit" | tar -x -C "$tmp/source"
  binaries=(kuda-manager kuda-webhook kuda-runtime)
  (cd "$tmp/source" && go build -trimpath -gcflags=all=-dwarf=false \
    -ldflags "-s -w -X github.com/kuda-io/kuda/internal/version.Version=$version" -o "$tmp/bin/" "${binaries[@]/#/./cmd/}")
  for name in "${binaries[@]}"; do
    "$cluster" image build --ref "kuda-io/$name:$tag" --binary "$tmp/bin/$name" --user 65532:65532 -o "$tmp/release/$name.tar" >&2
  done
  sed -E "s,(kuda-io/kuda-[a-z]+):[A-Za-z0-9._-]+,\1:$tag," "$tmp/source/install/kuda.yaml" > "$tmp/release/kuda.yaml"
  # Another run may have made it meanwhile; that one is as good.
  mv -T "$tmp/release" "$out" 2>/dev/null || [ -e "$out/kuda.yaml" ]
fi
echo "$out"
