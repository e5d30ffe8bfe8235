# North Star. `make` alone lists what can be made.

PYTHON ?= python3
VENV ?= .venv
# Where `make demo` leaves its results and `make wheel` its wheel.
OUT ?= demo-results
DIST ?= dist
# Test processes: one more than there are cores, since many tests wait for other processes most of the time.
WORKERS ?= $(shell expr `getconf _NPROCESSORS_ONLN` + 1)
# More arguments for pytest, the demonstration or the benchmarks.
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
# A module stays on one worker, so that the servers its tests share are started once; the longest begin first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadscope --no-loadscope-reorder
# An installation is repeated when its lock or the project's metadata changes, and only then.
READY_DEMO := $(VENV)/.ready-demo
READY_DEV := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test test-long check format bench wheel containers lock clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

env: $(READY_DEV) ## create .venv with everything locked (PYTHON=, VENV=)

demo: $(READY_DEMO) ## run the demonstration; results go to OUT=demo-results
	$(BIN)/northstar demo --out "$(OUT)" $(ARGS)

test: $(READY_DEV) ## run the tests, short profile (ARGS="tests/store -k lease")
	@scripts/provide-redis.sh
	@scripts/provide-postgres.sh
	@scripts/provide-chromium.sh
	NORTHSTAR_PROFILE=short $(PYTEST) $(ARGS)

test-long: $(READY_DEV) ## run the tests, long profile: state machines, clusters and kills at full length
	@scripts/provide-redis.sh
	@scripts/provide-postgres.sh
	@scripts/provide-chromium.sh
	NORTHSTAR_PROFILE=long $(PYTEST) --timeout 5400 $(ARGS)

check: $(READY_DEV) ## check format, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src tests $(if $(wildcard benchmarks/__main__.py),benchmarks)
	$(BIN)/lint-imports --no-cache

format: $(READY_DEV) ## format the code and repair what can be repaired safely
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY_DEV) ## run the benchmarks (ARGS="claim")
	$(BIN)/python -m benchmarks $(ARGS)

wheel: $(READY_DEV) ## build the wheel into DIST=dist
	$(BIN)/python -m build --wheel --no-isolation --outdir "$(DIST)"

containers: ## build the images northstar-serve and northstar-agent with buildah, podman or docker (ARGS="serve")
	scripts/build-containers.sh $(ARGS)

lock: ## resolve the dependencies again and write constraints/ (UPGRADE=1: newest versions)
	scripts/lock.sh "$(PYTHON)" build/resolver $(if $(UPGRADE),--upgrade)

clean: ## remove what was built, measured or cached; keep .venv
	rm -rf build dist demo-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests $(wildcard benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf "$(VENV)"

$(BIN)/python:
	scripts/create-venv.sh "$(VENV)" "$(PYTHON)"

$(READY_DEMO): constraints/demo.txt pyproject.toml | $(BIN)/python
	@echo "installing North Star and the locked packages of the demonstration into $(VENV)"
	@$(PIP) install --require-hashes -r constraints/demo.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(READY_DEV): $(READY_DEMO) constraints/dev.txt
	@echo "installing the locked tools of development into $(VENV)"
	@$(PIP) install --require-hashes -r constraints/dev.txt
	@touch $@
