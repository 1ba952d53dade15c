# Fairlead's commands. Every target installs what it needs; run as root on Debian 12 with Go and git.
# Downloads and builds of tools are kept in $XDG_CACHE_HOME/fairlead (default ~/.cache/fairlead), by content.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export GOFLAGS := -buildvcs=false
export GOTOOLCHAIN := local
VERSION := 0.1.0

CGO_FREE := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
PACKAGES := gcc libc6-dev e2fsprogs xfsprogs util-linux mount iproute2 nftables kmod procps python3-openstackclient python3-octaviaclient

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build the programs into bin/
	$(CGO_FREE) -o bin/ ./cmd/... ./deploy/images/pause ./tests/lab/cmd/lab

.PHONY: tools
tools: ## Build the pinned tools: Kubernetes, containerd, etcd, helm, ... (20 minutes the first time)
	@go run ./tests/tools/build all >/dev/null

# What the lab runs; built before anything starts, so that its progress is seen and nothing waits for it later.
LAB_TOOLS := kubernetes provisioner containerd runc cni etcd helm

.PHONY: images
images: build ## Make the container images (docker archives in the cache) and the lab's tools
	@go run ./tests/tools/build $(LAB_TOOLS) >/dev/null
	@kubernetes=$$(go run ./tests/tools/build kubernetes) && provisioner=$$(go run ./tests/tools/build provisioner) && \
	  go run ./deploy/images --bin bin --bin "$$kubernetes" --bin "$$provisioner"

.PHONY: lab-up
lab-up: images ## Start the embedded cloud and a two-node Kubernetes on this machine
	@bin/lab up

.PHONY: lab-down
lab-down: ## Stop the lab and remove everything it made
	@test -x bin/lab || $(CGO_FREE) -o bin/ ./tests/lab/cmd/lab
	@bin/lab down

.PHONY: demo
demo: images ## A database on a Fairlead disk behind a Fairlead load balancer, moved, grown, deleted (KEEP=1 leaves it running)
	@go run ./tests/demo $(if $(KEEP),--keep)

.PHONY: test
test: packages lint ## The one test command: format, vet, lint, unit tests with -race, conformance, real file systems
	go test -race -run '^$$' ./... >/dev/null # compile and link first: no compilation beside tests with deadlines
	"$$(go run ./tests/tools/build gotestsum)/gotestsum" --format=standard-quiet --format-hide-empty-pkg -- -race -count=1 -p 1 -timeout 10m ./...

.PHONY: lint
lint: ## Formatting, go vet, golangci-lint
	@unformatted=$$(gofmt -l cmd pkg deploy charts tests); test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	go vet ./...
	"$$(go run ./tests/tools/build golangci-lint)/golangci-lint" run --allow-parallel-runners ./...

.PHONY: e2e
e2e: images ## The lab's own life; the demo's steps, bad input and kill -9 tests as asserted Go tests on the lab
	@go test -c -o bin/lab.test ./tests/lab && go test -c -o bin/e2e.test ./tests/e2e
	cd tests/lab && ../../bin/lab.test -test.v -test.run '^TestLab$$' -test.timeout 5m -lab
	cd tests/e2e && ../../bin/e2e.test -test.v -test.timeout 20m -lab

# The tests on the real OpenStack run in lanes side by side: most of their time the cloud works or is waited for. In a lane one
# follows another; each makes a project of its own. What also runs on devcloud alone is part of make test.
OPENSTACK_LANES := contract drivers:CSIControllerOnOpenStack,drivers:PreflightOnOpenStack,conformance:OpenStack drivers:Amphora drivers:OVN,cli:TestOpenStack

.PHONY: test-openstack
test-openstack: packages build ## The API contract on both clouds; provider, command line and drivers on the real OpenStack, which it leaves as it found it, up or not
	@go run ./tests/tools/build kubernetes etcd >/dev/null # all is built first: no compilation beside tests with deadlines
	@$(CGO_FREE) -o bin/ ./tests/openstack/cmd/openstack
	@for t in contract conformance cli drivers; do go test -c -o bin/$$t.test ./tests/$$t; done
	@if ! bin/openstack status >/dev/null 2>&1; then trap 'bin/openstack down' EXIT; fi; bin/openstack up; tests/openstack/lanes.sh $(OPENSTACK_LANES)

.PHONY: e2e-openstack
e2e-openstack: images ## The life of an OpenStack with kill -9; the main job and the disks' end-to-end tests on the real OpenStack, which it leaves as it found it, up or not
	@$(CGO_FREE) -o bin/ ./tests/openstack/cmd/openstack
	@for t in openstack lab e2e; do go test -c -o bin/$$t.test ./tests/$$t; done
	cd tests/openstack && ../../bin/openstack.test -test.v -test.run '^TestLife$$' -test.timeout 15m -life
	@if bin/openstack status >/dev/null 2>&1; then stays=yes; fi; bin/openstack up; \
	  (cd tests/openstack && ../../bin/openstack.test -test.v -test.timeout 10m -openstack); \
	  (cd tests/lab && ../../bin/lab.test -test.v -test.run '^TestLab$$' -test.timeout 10m -lab -cloud openstack); \
	  (cd tests/e2e && ../../bin/e2e.test -test.v -test.timeout 20m -lab -cloud openstack); \
	  [ -n "$${stays:-}" ] || bin/openstack down

.PHONY: openstack-up
openstack-up: ## Install and start a real OpenStack from Debian's packages on this machine (a minute; two to three the first time)
	@$(CGO_FREE) -o bin/ ./tests/openstack/cmd/openstack
	@bin/openstack up

.PHONY: openstack-down
openstack-down: ## Stop OpenStack and remove everything but its packages
	@$(CGO_FREE) -o bin/ ./tests/openstack/cmd/openstack
	@bin/openstack down

.PHONY: packages
packages:
	@go run ./tests/tools/apt $(PACKAGES)

.PHONY: clean
clean: ## Remove bin/ (the caches stay)
	rm -rf bin
