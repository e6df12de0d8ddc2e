#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# images.sh BIN_DIR OUT_DIR: packs Kuda's static binaries, and those of the
# examples and the end-to-end tests, as images without a base (archives that
# "kuda-cluster image load" takes). VERSION is their tag. Each image carries
# Kuda's licence and those of what its program links, in /licenses.
set -euo pipefail
bin=${1:?usage: images.sh BIN_DIR OUT_DIR} out=${2:?OUT_DIR is missing} version=${VERSION:?}
cd "$(dirname "$0")/.."
mkdir -p "$out"
bin=$(realpath "$bin")

pack() { # image binary user module package
  if [ ! "$out/$1.notices.txt" -nt "$2" ]; then
    "$bin/kuda-check" licences --notices "$out/$1.notices.tmp" "$4=$5"
    mv "$out/$1.notices.tmp" "$out/$1.notices.txt"
  fi
  "$bin/kuda-cluster" image build --ref "kuda-io/$1:$version" --binary "$2" --user "$3" \
    --file LICENSE=/licenses/LICENSE --file "$out/$1.notices.txt=/licenses/THIRD-PARTY-NOTICES.txt" -o "$out/$1.tar"
}
for name in kuda-manager kuda-webhook kuda-runtime kuda-dashboard; do
  pack "$name" "$bin/$name" 65532:65532 . "./cmd/$name"
done
# The DaemonSet runs one of its containers as root; this is the user of the other.
pack kuda-node "$bin/kuda-node" 65532:65532 . ./cmd/kuda-node
if [ -e "$bin/kuda-scheduler" ]; then pack kuda-scheduler "$bin/kuda-scheduler" 65532:65532 scheduler ./cmd/kuda-scheduler; fi

go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$bin/example-model-server" ./examples/model/server
go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$bin/e2e-app" ./test/e2e/app
(cd examples/plugin-sftp && go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$bin/kuda-plugin-sftp" .)
pack kuda-plugin-sftp "$bin/kuda-plugin-sftp" 65532:65532 examples/plugin-sftp .
pack example-model-server "$bin/example-model-server" 65532:65532 . ./examples/model/server
pack e2e-app "$bin/e2e-app" 65532:65532 . ./test/e2e/app
