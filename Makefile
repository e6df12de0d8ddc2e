# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The toolchain that go.mod names, also where the environment names another:
# its standard library is part of what Kuda's binaries are.
export GOTOOLCHAIN := $(shell awk '$$1 == "toolchain" {print $$2}' go.mod)

# What is expensive and does not depend on this clone is kept here, by version.
export KUDA_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/kuda

VERSION  ?= v0.1.0
BUILD    := $(CURDIR)/build
BIN      := $(BUILD)/bin
IMAGES   := $(BUILD)/images
CLUSTER  := $(BIN)/kuda-cluster
CHECK    := $(BIN)/kuda-check
CHART    := $(BIN)/kuda-chart
GRAFANA  := $(BIN)/kuda-grafana
HELM     := $(KUDA_CACHE)/tools/helm-$(shell sha256sum < hack/tools/helm/go.sum | cut -c1-12)/helm
TOOLS    := $(KUDA_CACHE)/tools/$(shell cat hack/tools/go.sum hack/tools/lint/go.sum | sha256sum | cut -c1-12)
SCANNERS := $(KUDA_CACHE)/tools/scan-$(shell sha256sum < hack/tools/scan/go.sum | cut -c1-12)
GO_FLAGS := -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w -X github.com/kuda-io/kuda/internal/version.Version=$(VERSION)"
RESULTS  := $(BUILD)/test
# A test that fails is run once more, by itself, when few fail; hack/summary.sh names each that then passed.
RERUN     = --rerun-fails=1 --rerun-fails-max-failures=5
GOTEST    = mkdir -p $(RESULTS) && $(TOOLS)/gotestsum --format pkgname --format-hide-empty-pkg --jsonfile $(RESULTS)/$(1).json $(RERUN) --packages="$(2)" --
BINARIES := kuda-manager kuda-webhook kuda-runtime kuda-node kuda-dashboard kubectl-kuda
# kuda-scheduler says which kube-scheduler it is; empty, it is not built.
SCHEDULER := kuda-scheduler
KUBERNETES := $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2}' scheduler/go.mod)

# Modules beside the main one; their tests are unit tests but for those that
# PLUGIN has for integration.
PLUGIN  := examples/plugin-sftp
MODULES := gitops hack/chart hack/check hack/cluster hack/logdisk hack/monitoring $(PLUGIN) internal/source/plugin/interop scheduler test/kstatus

# The packages with tests that need a real API server or storage server; test/kstatus is a
# module of its own.
INTEGRATION = $(shell grep -rl --include='*_test.go' '^//go:build integration' internal deploy test cmd | xargs -n1 dirname | grep -vx test/kstatus | sort -u | sed 's,^,./,')

# What "make soak" runs, with the machine for itself: its attackers are to get as far as
# they can.
ALONE := ./test/soak

# What the race detector looks at in each run of the tests; "make race" takes all.
RACE_CORE := ./internal/delivery/transfer/... ./internal/delivery/store/... ./internal/gateway/...

export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false

##@ Start here

.PHONY: demo
demo: ## Run the main job on a real cluster on this machine: build, start, deliver, change a version
	hack/demo.sh

.PHONY: test
test: ## Pass all tests: unit, checks of the tree, integration, browser, end to end (root)
	rm -rf $(RESULTS)
	$(MAKE) unit race verify integration browser e2e RACE="$(RACE_CORE)"
	hack/summary.sh $(RESULTS)

.PHONY: clean
clean: cluster-down ## Stop the development cluster and remove what was built in this clone
	rm -rf $(BUILD)

##@ Build

.PHONY: web
web: ## Build the dashboard's page, which the binaries embed (Node.js, which it installs where it is missing)
	hack/web.sh

.PHONY: build
build: web ## Build Kuda's binaries into build/bin
	@mkdir -p $(BIN)
	go build $(GO_FLAGS) -o $(BIN)/ $(addprefix ./cmd/,$(BINARIES))
	$(if $(SCHEDULER),cd scheduler && go build $(subst -s -w,-s -w -X k8s.io/component-base/version.gitVersion=$(KUBERNETES)+kuda.$(VERSION),$(GO_FLAGS)) -o $(BIN)/ ./cmd/$(SCHEDULER))

.PHONY: images
images: build $(CLUSTER) $(CHECK) ## Build Kuda's container images into build/images
	VERSION=$(VERSION) hack/images.sh $(BIN) $(IMAGES)

.PHONY: release
release: $(CLUSTER) $(CHECK) ## Build what a release has into build/release: programs, images for two processors, chart, manifests, sums
	rm -rf $(BUILD)/release
	VERSION=$(VERSION) SCHEDULER=$(SCHEDULER) KUDA_CLUSTER=$(CLUSTER) KUDA_CHECK=$(CHECK) hack/dist.sh $(BUILD)/release

.PHONY: release-check
release-check: $(CLUSTER) $(CHECK) ## Build a release twice, in two directories, and compare the sums
	VERSION=$(VERSION) SCHEDULER=$(SCHEDULER) KUDA_CLUSTER=$(CLUSTER) KUDA_CHECK=$(CHECK) hack/dist-check.sh

.PHONY: generate
generate: tools $(CHECK) $(CHART) $(GRAFANA) ## Generate deep copies, CRDs, protocol code, the manifests in deploy/ and install/, and docs/packages.md
	PATH=$(TOOLS):$(BIN):$$PATH hack/generate.sh
	$(CHECK) packages

##@ Test

.PHONY: unit
unit: $(TOOLS)/gotestsum ## Run the tests that need neither root nor a server
	$(call GOTEST,unit,./...)
	$(foreach m,$(MODULES),cd $(m) && $(call GOTEST,unit-$(subst /,-,$(m)),./...) && cd $(CURDIR) &&) true

.PHONY: race
race: $(TOOLS)/gotestsum ## Run the unit tests with the race detector; RACE="./internal/gateway/..." chooses (gcc, which it installs as root)
	GOTESTSUM=$(TOOLS)/gotestsum RESULTS=$(RESULTS) hack/race.sh $(RACE)

.PHONY: integration
integration: build storage-build $(TOOLS)/gotestsum ## Run the tests against a real API server and real storage servers
	export KUBEBUILDER_ASSETS=$$($(CLUSTER) bin-dir) KUDA_TEST_MINIO=$$($(CLUSTER) bin-dir)/minio KUDA_TEST_CLUSTER=$(CLUSTER) KUDA_TEST_SCHEDULER=$(BIN)/kuda-scheduler; \
	$(call GOTEST,integration,$(filter-out $(ALONE),$(INTEGRATION))) -count=1 -p 2 -tags integration -timeout 20m; \
	(cd $(PLUGIN) && $(call GOTEST,integration-plugin,./...) -count=1 -p 1 -tags integration -timeout 20m); \
	(cd hack/chart && $(call GOTEST,integration-chart,./...) -count=1 -tags integration -timeout 20m); \
	(cd hack/monitoring && $(call GOTEST,integration-monitoring,./...) -count=1 -tags integration -timeout 5m); \
	(cd test/kstatus && export KUDA_TEST_CLI=$(BIN)/kubectl-kuda && $(call GOTEST,integration-kstatus,./...) -count=1 -parallel 64 -tags integration -timeout 20m); \
	cd scheduler && $(call GOTEST,integration-scheduler,./test/...) -count=1 -p 1 -tags integration -timeout 20m

.PHONY: helm
helm: $(CLUSTER) $(HELM) ## Install, take over, upgrade, roll back and uninstall the chart by Helm on a real API server, without nodes
	cd hack/chart && KUDA_TEST_HELM=$(HELM) KUBEBUILDER_ASSETS=$$($(CLUSTER) bin-dir) go test -count=1 -tags integration,helm -timeout 20m -run Helm ./internal/render

.PHONY: e2e
e2e: images storage-build cluster $(TOOLS)/gotestsum ## Run the end-to-end tests on a real three-node cluster (root)
	hack/upgrade.sh -skip 'EarlierInstallation|Helm|AnotherNamespace'
	hack/e2e.sh

.PHONY: e2e-hostpath
e2e-hostpath: images storage-build cluster $(TOOLS)/gotestsum ## Run the end-to-end tests with node stores that pods mount from the node, without kuda-node (root)
	KUDA_E2E_STORE=hostPath hack/e2e.sh

.PHONY: upgrade
upgrade: images cluster $(TOOLS)/gotestsum ## Upgrade the last release under running pods, go back, and install again (root)
	hack/upgrade.sh -skip 'Helm|AnotherNamespace'

.PHONY: e2e-helm
e2e-helm: images cluster $(HELM) $(TOOLS)/gotestsum ## Install, take over, upgrade, roll back and uninstall the chart by Helm under running pods (root)
	KUDA_TEST_HELM=$(HELM) hack/upgrade.sh -run 'Helm|AnotherNamespace'

.PHONY: browser
browser: web $(TOOLS)/gotestsum ## Test the dashboard in Chromium; KUDA_SCREENSHOTS names a directory for pictures (chromium, fonts-noto-cjk, which it installs as root)
	hack/browser.sh
	export PATH=$$PATH:$$(echo $(KUDA_CACHE)/tools/node-*/path); cd test/browser && npm ci --ignore-scripts --no-audit --no-fund && $(call GOTEST,browser,./...) -count=1 -timeout 10m

.PHONY: browser-cluster
browser-cluster: images cluster $(TOOLS)/gotestsum ## Test the dashboard in Chromium on the real three-node cluster (root)
	hack/browser.sh
	export PATH=$$PATH:$$(echo $(KUDA_CACHE)/tools/node-*/path); cd test/browser && npm ci --ignore-scripts --no-audit --no-fund
	hack/browser-cluster.sh

.PHONY: crash
crash: ## Kill a delivering process 200 times, with a file of 1 GiB and 5000 small ones
	KUDA_CRASH_KILLS=200 KUDA_CRASH_BYTES=1073741824 KUDA_CRASH_FILES=5000 \
	  go test -count=1 -tags integration -timeout 90m -v -run Kills ./test/crash

.PHONY: powercut
powercut: ## Cut the power of a disk 100 times under a delivering process, and go on from what is left; CUTS chooses (root, e2fsprogs, xfsprogs)
	cd hack/logdisk && go build -trimpath -o $(BIN)/logdisk .
	KUDA_TEST_LOGDISK=$(BIN)/logdisk KUDA_POWER_CUTS=$(or $(CUTS),100) \
	  go test -count=1 -tags integration,powercut -timeout 60m -v -run PowerCuts ./test/crash

.PHONY: soak
soak: $(CLUSTER) ## Flood manager, webhook and runtime for five minutes beside valid load; SOAK=1m is a short one (root)
	KUBEBUILDER_ASSETS=$$($(CLUSTER) bin-dir) KUDA_SOAK=$(or $(SOAK),5m) \
	  go test -count=1 -tags integration -timeout 30m -v ./test/soak

.PHONY: fuzz
fuzz: ## Fuzz the parsers of listings, names, archives and messages, FUZZTIME (10m) each
	hack/fuzz.sh $(or $(FUZZTIME),10m)

.PHONY: verify
verify: tools build $(CHECK) $(CHART) $(GRAFANA) $(SCANNERS)/.done ## Check generated files, formatting, lint, import rules, words, vulnerabilities, manifests and licences
	PATH=$(TOOLS):$(SCANNERS):$(BIN):$$PATH hack/verify.sh $(BIN)

.PHONY: lint
lint: tools ## Run the linters
	for m in . $(MODULES); do (cd $$m && $(TOOLS)/golangci-lint run --config $(CURDIR)/.golangci.yaml ./...) || exit 1; done
	$(TOOLS)/golangci-lint-kube-api-linter run --config .golangci-api.yaml ./api/...

##@ Benchmark

.PHONY: bench
bench: build storage-build ## Measure Kuda beside other clients on this machine; BENCH="-row memory -runs 3" chooses (root)
	go build -trimpath -o $(BIN)/kuda-bench ./test/bench
	KUDA_TEST_MINIO=$$($(CLUSTER) bin-dir)/minio KUDA_TEST_CLUSTER=$(CLUSTER) $(BIN)/kuda-bench $(BENCH)

.PHONY: bench-scale
bench-scale: build $(CLUSTER) ## Measure the control plane with many pods on this machine; SCALE="-pods 200 -datasets 4 -json /tmp/scale.json" chooses
	KUBEBUILDER_ASSETS=$$($(CLUSTER) bin-dir) \
	  go test -count=1 -tags scale -timeout 3h -v -run TestControlPlane ./test/scale -bin $(BIN) $(SCALE)

KWOK := $(KUDA_CACHE)/tools/kwok-$(shell sha256sum < hack/tools/kwok/go.sum | cut -c1-12)/kwok

$(KWOK):
	@mkdir -p $(@D)
	cd hack/tools/kwok && go build -trimpath -o $@ sigs.k8s.io/kwok/cmd/kwok

.PHONY: bench-scheduler
bench-scheduler: build cluster-build $(KWOK) ## Measure pods/s of kuda-scheduler with its plugin and without, on simulated nodes; BENCH="-nodes 200 -pods 1000 -runs 1" is a small one
	cd scheduler && go build $(GO_FLAGS) -o $(BIN)/kuda-bench-scheduler ./bench
	KUBEBUILDER_ASSETS=$$($(CLUSTER) bin-dir) $(BIN)/kuda-bench-scheduler -kwok $(KWOK) $(BENCH)

##@ Development cluster

$(CLUSTER): $(shell find hack/cluster -name '*.go' -o -name 'go.*' 2>/dev/null)
	@mkdir -p $(BIN)
	cd hack/cluster && go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o $@ ./cmd/kuda-cluster

.PHONY: cluster-build
cluster-build: $(CLUSTER) ## Build Kubernetes and the storage servers into the cache (once)
	$(CLUSTER) build

.PHONY: storage-build
storage-build: $(CLUSTER) ## Build these, and install the other storage servers that tests use (root)
	$(CLUSTER) build --storage

.PHONY: cluster
cluster: cluster-build ## Start a real three-node Kubernetes cluster on this machine (root)
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: $(CLUSTER) ## Stop it and leave nothing behind
	$(CLUSTER) down

.PHONY: install
install: images ## Load the images into the development cluster and install Kuda there
	hack/install.sh

##@ Tools

.PHONY: tools
tools: $(TOOLS)/.done ## Build the pinned tools into the cache (once)

$(TOOLS)/gotestsum:
	@mkdir -p $(TOOLS)
	cd hack/tools && go build -trimpath -o $(TOOLS)/ gotest.tools/gotestsum

$(TOOLS)/.done:
	@echo "building the tools (once, a few minutes)"
	@mkdir -p $(TOOLS)
	cd hack/tools && go build -trimpath -o $(TOOLS)/ tool
	cd hack/tools/lint && go build -trimpath -o $(TOOLS)/ tool
	@touch $@

$(SCANNERS)/.done:
	@mkdir -p $(@D)
	cd hack/tools/scan && go build -trimpath -o $(@D)/ tool
	@touch $@

$(CHECK): $(shell find hack/check -name '*.go' -o -name 'go.*')
	@mkdir -p $(BIN)
	cd hack/check && go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o $@ ./cmd/kuda-check

$(CHART): $(shell find hack/chart -name '*.go' -o -name 'go.*')
	@mkdir -p $(BIN)
	cd hack/chart && go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o $@ ./cmd/kuda-chart

$(GRAFANA): $(shell find hack/monitoring -name '*.go' -o -name 'go.*')
	@mkdir -p $(BIN)
	cd hack/monitoring && go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o $@ ./cmd/kuda-grafana

$(HELM):
	@echo "building Helm (once, some minutes)"
	@mkdir -p $(@D)
	cd hack/tools/helm && go build -trimpath -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$$(go list -m -f '{{.Version}}' helm.sh/helm/v4)" -o $@ helm.sh/helm/v4/cmd/helm

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*##"; printf "Usage: make \033[36m<target>\033[0m\n"} \
	  /^[a-zA-Z0-9_-]+:.*?##/ {printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)}' $(MAKEFILE_LIST)

.PHONY: print-tools
print-tools:
	@echo $(TOOLS)
