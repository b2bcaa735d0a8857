# `make help` lists the targets. Everything runs in .venv, made from requirements.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml requirements.lock | $(BIN)/python
	$(PIP_INSTALL) --require-hashes -r requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: help run demo test test-system test-container interop check format bench soak docs lock clean install uninstall
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: demo ## Simulated charger with a demo central system, charging a car (Ctrl-C stops)

demo: $(RUN_STAMP) ## The same as run
	$(BIN)/evcharge-agent demo

test: $(DEV_STAMP) ## All tests that need pip packages only
	$(BIN)/python -m pytest -n 2

test-system: $(DEV_STAMP) ## Tests with real processes and Debian packages
	$(BIN)/python -m pytest -m system -n 2 -o faulthandler_timeout=600

test-container: $(DEV_STAMP) ## The services under a real systemd (root, debootstrap, systemd-container)
	$(BIN)/python -m pytest -m container

interop: $(DEV_STAMP) ## Against a central system of another make (needs node and npm)
	npm ci --prefix tests/interop --no-audit --no-fund --silent
	$(BIN)/python -m pytest -m interop tests/interop

check: $(DEV_STAMP) ## Format, lint, types, imports, generated docs, size budget
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=. $(BIN)/mypy -p tests.support -p bench
	$(BIN)/lint-imports
	$(BIN)/python -m evcharge_agent.settings.docs --check
	$(BIN)/python -m tests.arch.size_budget

format: $(DEV_STAMP) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEV_STAMP) ## Write the generated reference documents anew
	$(BIN)/python -m evcharge_agent.settings.docs

bench: $(DEV_STAMP) ## Measure; prints ratios and distributions
	$(BIN)/python -m bench

# SOAK='-k torture' runs some of them; CONTRIBUTING.md has the EVC_SOAK_ variables.
soak: $(DEV_STAMP) ## Long campaigns, hours in all; says how far it is and how long each took
	$(BIN)/python -m pytest -m soak -vv -p no:randomly -o faulthandler_timeout=0 --durations=0 --durations-min=1 --show-capture=no $(SOAK)

LOCK := uv pip compile --quiet --universal --generate-hashes --no-annotate --no-emit-index-url --no-header --python-version 3.11
lock: ## Resolve the dependencies anew (needs uv)
	$(LOCK) --extra build pyproject.toml --output-file requirements.lock
	$(LOCK) --extra build --extra dev pyproject.toml --output-file requirements-dev.lock

# DESTDIR, PREFIX, SYSTEM_PYTHON and PURGE are explained in systemd/setup.sh.
install: $(RUN_STAMP) ## Services for this machine, or into DESTDIR= (docs/installation.md)
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' BUILD_PYTHON='$(BIN)/python' systemd/setup.sh install

uninstall: ## Take them away again; PURGE=1 also configuration, state and users
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' PURGE='$(PURGE)' systemd/setup.sh uninstall

clean: ## Remove everything that was made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .state .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
