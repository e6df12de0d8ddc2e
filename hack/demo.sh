#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# The main job, start to end, on a real cluster on this machine: everything is
# built here, nothing is fetched as a binary. Each step is printed with its time.
set -euo pipefail
cd "$(dirname "$0")/.."
export KUDA_CACHE=${KUDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kuda}
[ "$(id -u)" = 0 ] || { echo "make demo starts a cluster and needs root: run it as root, or with sudo" >&2; exit 1; }
mkdir -p build/demo
log=$PWD/build/demo/log
: > "$log"

began=$(date +%s.%N) last=$began
took() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f s", b - a}'; }
say() { printf '\n\033[1m▶ %s\033[0m\n' "$*"; last=$(date +%s.%N); }
ok() { printf '  ✓ %s (%s)\n' "$*" "$(took "$last")"; }
trap 'status=$?; [ $status = 0 ] || printf "\nmake demo failed (exit status %s); what the steps printed is in %s\n" "$status" "$log" >&2' EXIT
# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
  local until=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >>"$log" 2>&1; do
    if [ "$SECONDS" -ge "$until" ]; then
      echo "gave up waiting: $what" >&2
      kubectl get dataset,data,pods -o wide >&2 || true
      return 1
    fi
    sleep 0.2
  done
}

say "Building Kubernetes, MinIO and the example's nginx image (once; kept in $KUDA_CACHE)"
make -s cluster-build
cluster=$PWD/build/bin/kuda-cluster
mkdir -p build/images
"$cluster" image nginx -o build/images/nginx.tar --ref nginx:1.14.2
ok "built, or found in the cache"

say "Building Kuda and its images"
make -s images SCHEDULER= # which the demo does not run
ok "$(ls build/images | tr '\n' ' ')"

say "Starting a three-node cluster"
"$cluster" up
env=$("$cluster" env) # on a line of its own, so that its failure ends this
eval "$env"
ok "$(kubectl get nodes --no-headers | grep -cw Ready) nodes are Ready"

say "Starting MinIO and storing the first version of nginx's configuration"
"$cluster" minio start
"$cluster" minio put --bucket kuda --key conf/test.conf examples/nginx/test.conf
kubectl apply -f examples/storage/minio.yaml
ok "s3://kuda/conf/test.conf"

say "Installing Kuda (kubectl apply -f install/kuda.yaml -f install/kuda-node.yaml)"
hack/install.sh --node >>"$log" 2>&1
kubectl -n kuda-system get deployments
kubectl -n kuda-node get daemonsets
ok "installed"

say "Applying the example: one DataSet, one Deployment that knows nothing of Kuda"
kubectl delete --ignore-not-found -f examples/nginx/deployment.yaml -f examples/nginx/dataset.yaml >>"$log" 2>&1
kubectl create secret generic minio-credentials --dry-run=client -o yaml \
  --from-literal=accessKey=kudaadmin --from-literal=secretKey=kudaadmin-secret | kubectl apply -f -
kubectl apply -f examples/nginx/dataset.yaml -f examples/nginx/deployment.yaml
delivered() { [ "$(kubectl get dataset dataset-nginx -o jsonpath='{.status.ready}/{.status.updatedReplicas}')" = 1/1/1 ]; }
wait_for 120 "the DataSet to be delivered" delivered
kubectl get dataset,data,pods
pod() { kubectl get pod -l app=nginx -o jsonpath="{.items[0]$1}"; }
answers() { [ "$(curl -s --max-time 2 "http://$(pod .status.podIP):8081/")" = "$1" ]; }
wait_for 10 "nginx to answer on port 8081" answers "version 1"
uid=$(pod .metadata.uid)
ok "nginx answers on the port that the delivered file opens: $(curl -s "http://$(pod .status.podIP):8081/")"

say "Storing a second version of the file, and saying so in the DataSet"
"$cluster" minio put --bucket kuda --key conf/test.conf examples/nginx/test-v2.conf
last=$(date +%s.%N)
kubectl patch dataset dataset-nginx --type json \
  -p '[{"op": "replace", "path": "/spec/template/dataItems/0/version", "value": "v0.0.2"}]'
wait_for 60 "nginx to answer from version 2" answers "version 2"
ok "nginx answers: $(curl -s "http://$(pod .status.podIP):8081/")"
wait_for 20 "the status to say so" delivered
[ "$(pod .metadata.uid)" = "$uid" ] || { echo "the pod was replaced" >&2; exit 1; }
[ "$(pod '.status.containerStatuses[0].restartCount')" = 0 ] || { echo "nginx was restarted" >&2; exit 1; }
kubectl get dataset,data,pods
echo "  the same pod, not restarted: $(pod .metadata.name), restarts: $(pod '.status.containerStatuses[0].restartCount')"

say "Two pods of a namespace that enforces Pod Security restricted, on one node"
kubectl delete namespace demo-restricted --ignore-not-found >>"$log" 2>&1
kubectl create namespace demo-restricted
kubectl label namespace demo-restricted pod-security.kubernetes.io/enforce=restricted >>"$log"
kubectl -n demo-restricted create secret generic minio-credentials \
  --from-literal=accessKey=kudaadmin --from-literal=secretKey=kudaadmin-secret >>"$log"
kubectl -n demo-restricted apply -f examples/nginx/restricted.yaml
both() { [ "$(kubectl -n demo-restricted get dataset shared -o jsonpath='{.status.ready}')" = 2/2 ]; }
wait_for 120 "the DataSet to be delivered to both" both
kubectl -n demo-restricted wait --for=condition=Ready --timeout=60s pod -l app=shared >>"$log"
inodes=$(for p in $(kubectl -n demo-restricted get pods -l app=shared -o name); do
  kubectl -n demo-restricted exec "$p" -c app -- ls -iL /kuda/data/nginx/conf.d/test.conf
done)
[ "$(sort -u <<<"$inodes" | wc -l)" = 1 ] || { echo "the pods do not share the file: $inodes" >&2; exit 1; }
ok "both read one file of the node, downloaded once (inode number and path): $(head -1 <<<"$inodes")"

cat <<EOT

Done in $(took "$began").

Look around:
  eval "\$(build/bin/kuda-cluster env)"        # kubectl and KUBECONFIG for this shell
  kubectl get dataset,data -o wide
  kubectl describe dataset dataset-nginx
  kubectl exec deploy/nginx-deployment -c nginx -- ls -lR /kuda/data
  kubectl logs deploy/nginx-deployment -c kuda-runtime
  kubectl explain dataset.spec.template.dataItems
See it on a page, and change the version once more while you look:
  build/bin/kubectl-kuda dashboard            # opens the browser, or prints an address for it
Clean up:
  kubectl delete namespace demo-restricted    # the second part alone
  make cluster-down                           # stops the cluster, leaves nothing behind
EOT
