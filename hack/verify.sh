#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Checks the tree without changing it: what is generated is up to date (it is
# generated again in a copy and compared), code is formatted, the linters and
# the import rules hold, go.mod is tidy.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
failed=0
step() { printf '== %s\n' "$*"; }
fail() { printf '   FAILED: %s\n' "$*" >&2; failed=1; }

modules=(hack/cluster examples/plugin-sftp internal/source/plugin/interop scheduler)

step "generated files"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
  if [ -e "$f" ]; then printf '%s\0' "$f"; fi
done | tar -c --null -T - | tar -x -C "$copy"
"$copy/hack/generate.sh"
for path in api deploy/base/crd internal/gen scheduler/apis install; do
  diff -ru "$path" "$copy/$path" || fail "$path is not what \"make generate\" makes: run it and commit the result"
done

step "formatting"
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || fail "run gofmt -w on: $unformatted"

step "go.mod"
(cd "$copy" && go mod tidy -diff) || fail "go.mod is not tidy: run go mod tidy"
for m in "${modules[@]}"; do
  (cd "$copy/$m" && go mod tidy -diff) || fail "$m/go.mod is not tidy: run go mod tidy there"
done
if grep -q 'k8s.io/kubernetes ' go.mod; then fail "the main module must stay free of k8s.io/kubernetes"; fi

step "linters and import rules"
for m in . "${modules[@]}"; do
  (cd "$m" && golangci-lint run --config "$root/.golangci.yaml" ./...) || fail "see the linter's findings above ($m)"
done

step "headers"
while IFS= read -r f; do
  head -n 6 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || fail "$f lacks the licence header"
done < <(git ls-files '*.go' '*.sh' Makefile | grep -v '^internal/gen/')

[ "$failed" = 0 ] && echo "verify: all checks passed"
exit "$failed"
