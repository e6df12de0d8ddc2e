#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# dist.sh OUT_DIR: builds what a release has, from this tree: the command line for three
# systems and two processors, images for both processors, the chart, the manifests, the
# schemas, and the sums of all of them. Nothing in it depends on the time, the user or the
# directory, so that who builds it again gets the same sums: "make release-check" does.
# VERSION is the release; KUDA_CLUSTER and KUDA_CHECK name those programs. SYSTEMS,
# PROCESSORS and IMAGES ask for less than all, for a quick look.
set -euo pipefail
out=${1:?usage: dist.sh OUT_DIR} version=${VERSION:?}
systems=${SYSTEMS:-linux darwin windows} processors=${PROCESSORS:-amd64 arm64}
images=${IMAGES-kuda-manager kuda-webhook kuda-runtime kuda-node kuda-dashboard ${SCHEDULER-kuda-scheduler}}
cluster=$(realpath "${KUDA_CLUSTER:?}") check=$(realpath "${KUDA_CHECK:?}")
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "$0")/.."
[ -z "$(ls -A "$out")" ] || { echo "$out is not empty: name another directory, or empty it" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false
say() { printf '   %s (%ds)\n' "$*" "$SECONDS"; }

# The same files give the same archive.
pack() { # archive directory names...
  local archive=$1 dir=$2
  shift 2
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar -C "$dir" -c "$@" | gzip -n -9 > "$archive"
}

kubernetes=$(awk '$1 == "k8s.io/kubernetes" {print $2}' scheduler/go.mod)
build() { # os arch module package output
  local flags="-s -w -X github.com/kuda-io/kuda/internal/version.Version=$version"
  [ "$3" != scheduler ] || flags+=" -X k8s.io/component-base/version.gitVersion=$kubernetes+kuda.$version"
  (cd "$3" && GOOS=$1 GOARCH=$2 go build -trimpath -gcflags=all=-dwarf=false -ldflags "$flags" -o "$5" "$4")
}

hack/web.sh
[ -e internal/dashboard/page/dist/index.html ] || { echo "the dashboard's page was not built: see above" >&2; exit 1; }
"$check" licences --notices "$work/THIRD-PARTY-NOTICES.txt" .=./cmd/kubectl-kuda
for os in $systems; do
  for arch in $processors; do
    dir=$work/kubectl-kuda-$os-$arch suffix=
    [ "$os" != windows ] || suffix=.exe
    mkdir "$dir"
    build "$os" "$arch" . ./cmd/kubectl-kuda "$dir/kubectl-kuda$suffix"
    cp LICENSE "$work/THIRD-PARTY-NOTICES.txt" "$dir/"
    pack "$out/kubectl-kuda_${version}_${os}_$arch.tar.gz" "$dir" .
    say "kubectl-kuda for $os/$arch"
  done
done

image() { # name module package
  local archives=()
  "$check" licences --notices "$work/$1.notices.txt" "$2=$3"
  for arch in $processors; do
    mkdir -p "$work/$arch"
    build linux "$arch" "$2" "$3" "$work/$arch/$1"
    "$cluster" image build --ref "kuda-io/$1:$version" --architecture "$arch" --binary "$work/$arch/$1" --user 65532:65532 \
      --file LICENSE=/licenses/LICENSE --file "$work/$1.notices.txt=/licenses/THIRD-PARTY-NOTICES.txt" -o "$work/$arch/$1.tar" > "$work/$1-$arch.digest"
    archives+=("$work/$arch/$1.tar")
  done
  "$cluster" image index --ref "kuda-io/$1:$version" -o "$work/$1.layout" "${archives[@]}"
  pack "$out/$1_${version}_linux.oci.tar.gz" "$work/$1.layout" .
  say "image $1 for $processors"
}
for name in $images; do
  module=.
  [ "$name" != kuda-scheduler ] || module=scheduler
  image "$name" "$module" "./cmd/$name"
done

pack "$out/kuda-${version#v}.tgz" charts kuda
pack "$out/install_$version.tar.gz" . install deploy gitops/argocd examples LICENSE
pack "$out/crds_$version.tar.gz" charts/kuda/files/crd .
(cd "$out" && sha256sum -- * > SHA256SUMS)
say "$(wc -l < "$out/SHA256SUMS") files in $out"
