#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# make-model.sh VERSION DIR [SHARDS [MIB]]: makes a model to try the example
# with: SHARDS (4) files of MIB (8) MiB of random bytes, and an index.json that
# names each with its SHA-256.
set -euo pipefail
version=${1:?usage: make-model.sh VERSION DIR [SHARDS [MIB]]} dir=${2:?DIR is missing}
shards=${3:-4} mib=${4:-8}
mkdir -p "$dir/shards"
{
  printf '{\n  "version": "%s",\n  "shards": [\n' "$version"
  for n in $(seq "$shards"); do
    name=shards/$(printf 'part-%03d.bin' "$n")
    head -c "$((mib << 20))" /dev/urandom > "$dir/$name"
    sum=$(sha256sum "$dir/$name" | cut -d' ' -f1)
    [ "$n" = "$shards" ] && comma= || comma=,
    printf '    {"path": "%s", "sha256": "%s"}%s\n' "$name" "$sum" "$comma"
  done
  printf '  ]\n}\n'
} > "$dir/index.json"
echo "$dir: version $version, $shards shards of $mib MiB"
