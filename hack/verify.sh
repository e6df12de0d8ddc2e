#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# verify.sh BIN_DIR: checks the tree without changing it. What is generated is up
# to date (it is generated again in a copy and compared), code is formatted, the
# linters and the import rules hold, names, comments and documents are as hack/check
# wants them, links lead somewhere and the Chinese pages follow the English ones,
# go.mod is tidy, the programs in BIN_DIR link only what they may, nothing with a known
# vulnerability or an unknown licence, and what is installed and injected asks for no
# more than the reviewed lists in hack/check allow.
set -euo pipefail
bin=$(realpath "${1:?usage: verify.sh BIN_DIR}")
cd "$(dirname "$0")/.."
root=$PWD
failed=0
step() { printf '== %s (%ds)\n' "$*" "$SECONDS"; }
fail() { printf '   FAILED: %s\n' "$*" >&2; failed=1; }

modules=(gitops hack/chart hack/check hack/cluster hack/logdisk hack/monitoring examples/plugin-sftp internal/source/plugin/interop scheduler test/browser test/kstatus)

step "generated files"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
  if [ -e "$f" ]; then printf '%s\0' "$f"; fi
done | tar -c --null -T - | tar -x -C "$copy"
"$copy/hack/generate.sh"
for path in api charts deploy internal/gen scheduler/apis install; do
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
  (cd "$m" && golangci-lint run --allow-parallel-runners --config "$root/.golangci.yaml" ./...) || fail "see the linter's findings above ($m)"
done

golangci-lint-kube-api-linter run --allow-parallel-runners --config .golangci-api.yaml ./api/... ||
  fail "api/ departs from the conventions of the Kubernetes API: see above"

step "names, comments, words and tables of packages"
"$bin/kuda-check" tree --exceptions hack/check/tree.yaml ||
  fail "mend what is above, or review it and write an exception into hack/check/tree.yaml"

step "links of the pages, and their translations"
"$bin/kuda-check" documents --exceptions hack/check/documents.yaml ||
  fail "mend what is above; a page that may lag for a while has an exception that expires in hack/check/documents.yaml"

step "what programs link"
"$bin/kuda-check" links || fail "remove the imports above"

step "known vulnerabilities"
(cd examples/plugin-sftp && go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$copy/kuda-plugin-sftp" .)
"$bin/kuda-check" vulnerabilities --exceptions hack/check/vulnerabilities.yaml --database hack/tools/vulndb \
  "$bin"/{kuda-manager,kuda-webhook,kuda-runtime,kuda-node,kuda-dashboard,kubectl-kuda,kuda-scheduler} "$copy/kuda-plugin-sftp" ||
  fail "raise the modules above, or review them and write an exception into hack/check/vulnerabilities.yaml"

step "manifests and injected pods"
scan=()
for f in install/*.yaml; do scan+=(--install "$f"); done
for f in internal/inject/testdata/*.yaml; do scan+=(--injected "$f"); done
"$bin/kuda-check" manifests --exceptions hack/check/manifests.yaml "${scan[@]}" ||
  fail "mend what is above, or review it and write an exception into hack/check/manifests.yaml"

step "licences"
"$bin/kuda-check" licences --exceptions hack/check/licences.yaml .=./cmd/... scheduler=./cmd/... examples/plugin-sftp=. ||
  fail "remove the modules above, or review them and write an exception into hack/check/licences.yaml"

step "tests that documents of trust name"
while IFS= read -r name; do
  git grep -qE "func $name\(" -- '*_test.go' || fail "docs/threat-model.md names $name, which does not exist"
done < <(grep -ohE '\bTest[A-Z][A-Za-z0-9]+' docs/threat-model.md SECURITY.md docs/operations.md docs/design/00[0-2]*.md | sort -u)

step "headers"
while IFS= read -r f; do
  head -n 6 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || fail "$f lacks the licence header"
done < <(git ls-files '*.go' '*.sh' Makefile | grep -v '^internal/gen/')

[ "$failed" = 0 ] && echo "verify: all checks passed in ${SECONDS}s"
exit "$failed"
