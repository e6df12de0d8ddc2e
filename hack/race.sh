#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# race.sh [PACKAGE...]: runs the unit tests of the packages of the main module
# with the race detector; without packages, those of all modules. The detector
# needs a C compiler: gcc is installed when it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${GOTESTSUM:?is set by make race}" "${RESULTS:?is set by make race}"

if ! command -v gcc >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "gcc is missing: run 'apt-get install gcc libc6-dev' as root, or this command as root" >&2
    exit 1
  fi
  echo "installing gcc"
  install() { apt-get -qq -o DPkg::Lock::Timeout=600 install -y gcc libc6-dev >/dev/null; }
  install || { apt-get -qq update && install; }
fi

mkdir -p "$RESULTS"
export CGO_ENABLED=1
detect() { # module name package...
  (cd "$1" && "$GOTESTSUM" --format pkgname --format-hide-empty-pkg --jsonfile "$RESULTS/race-$2.json" -- -race -timeout 20m "${@:3}")
}
if [ $# != 0 ]; then
  detect . main "$@"
  exit
fi
detect . main ./...
for module in hack/check hack/cluster hack/logdisk examples/plugin-sftp internal/source/plugin/interop scheduler; do
  detect "$module" "${module//\//-}" ./...
done
