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
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

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
