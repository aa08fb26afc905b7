# make demo: the main job on this machine.  make test: all tests.  make help: the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
CACHE := $(or $(SPLAT_CACHE),$(HOME)/.cache/splat-operator)
UV := $(CACHE)/uv-$(UV_VERSION)/bin/uv
BIN := .venv/bin

.PHONY: help
help: ## This list
	@grep -hE '^[a-z0-9.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9.-]+):.*## /\1\t/' | expand -t 20

$(UV):
	python3 -m venv $(CACHE)/uv-$(UV_VERSION)
	$(CACHE)/uv-$(UV_VERSION)/bin/pip install --quiet uv==$(UV_VERSION)

# The virtual environment with exactly what locks/dev.txt pins.
.venv/.synced: locks/dev.txt pyproject.toml | $(UV)
	@echo "==> Python environment (locks/dev.txt)"
	test -x $(BIN)/python || $(UV) venv --quiet --python python3 .venv
	$(UV) pip sync --quiet --require-hashes locks/dev.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: venv
venv: .venv/.synced ## The Python environment of development

.PHONY: lock
lock: | $(UV) ## Pin the dependencies anew
	PATH=$(dir $(UV)):$$PATH locks/lock.sh

.PHONY: check
check: venv ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: venv ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: generate
generate: venv ## Write anew what is generated: CRD, API reference, reasons, plain manifests, chart's README
	$(BIN)/python -m splat_operator.api.generate
	$(BIN)/python -m splat_operator.decide.document
	helm=$$($(BIN)/python -c 'from tests.cluster.building import built; print(built() / "bin/helm")'); \
	  $(BIN)/python -m deploy.plain_manifests $$helm
	$(BIN)/python -m deploy.values_reference

# Three at a time: most of what runs on a cluster waits. Those that need the operator, of which
# one acts on a cluster at a time, stay together (tests/conftest.py).
.PHONY: test
test: check tools ## All tests, those on a real cluster too
	$(BIN)/pytest tests/unit tests/cluster tests/e2e --numprocesses 3 --dist loadscope

.PHONY: tools
tools: venv ## Build what the cluster is made of and the images, where the cache has none
	$(BIN)/python -m tests.cluster tools
	$(BIN)/python -m tests.cluster.images build

.PHONY: unit
unit: venv ## Tests without cluster or GPU
	$(BIN)/pytest tests/unit

.PHONY: cluster-tests
cluster-tests: tools ## Tests on the project's own cluster, which it starts and removes
	$(BIN)/pytest tests/cluster tests/e2e

.PHONY: test-kernels
test-kernels: venv ## gsplat's real kernels compiled on a cluster with no GPU: a quarter of an hour
	$(BIN)/python -m tests.cluster tools
	$(BIN)/pytest -s tests/kernels

.PHONY: test-kueue
test-kueue: tools ## Trainings in a queue of Kueue itself, which is built here: two minutes, five the first time
	$(BIN)/pytest -s tests/kueue --cluster-name kueue

.PHONY: test-kernels-2.6
test-kernels-2.6: venv ## The same against PyTorch 2.6 and CUDA 12.4, without a cluster: five minutes
	PATH=$(dir $(UV)):$$PATH tests/kernels/pytorch_2_6.sh $(CACHE)/pytorch-2.6

.PHONY: test-gpu
test-gpu: ## Tests on a machine with an NVIDIA GPU, in whatever Python has torch
	python3 -m pytest tests/gpu

.PHONY: cluster-up cluster-down
cluster-up: venv ## A real one-node Kubernetes on this machine
	$(BIN)/python -m tests.cluster up
cluster-down: venv ## Remove it
	$(BIN)/python -m tests.cluster down

# CAPTURE=folder trains a capture of yours; ITERATIONS and MAX_SIDE suit it to the machine.
# CLUSTER=current takes the cluster of the current kubeconfig context, also to demo-down.
.PHONY: demo demo-down
demo: venv ## Cluster up, operator installed, a SplatTraining followed to its PLY
	$(BIN)/python -m deploy.demo up
demo-down: venv ## Remove the demo's cluster
	$(BIN)/python -m deploy.demo down

# The demo on a machine with an NVIDIA GPU that reaches no registry: pack here, run there.
.PHONY: gpu-pack gpu-demo gpu-scenes
gpu-pack: venv ## Pack into .gpu/ what the GPU machine cannot fetch
	PATH=$(dir $(UV)):$$PATH $(BIN)/python -m deploy.demo.gpu pack
gpu-demo: ## The demo on that machine: CAPTURE=folder, GPUS=2, ITERATIONS=7000
	deploy/demo/gpu/run.sh
gpu-scenes: ## There too: a training suspended, killed and starved of memory, told with figures
	deploy/demo/gpu/run.sh scenes
