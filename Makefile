# Needs only Python 3.11 or newer, and make. Everything is installed into .venv on first use (peers: into .peers).
#
#   make train ARGS="--env hopper --num-envs 64"
#   make test PYTEST_ARGS="tests/envs -m 'not slow'"

# The first interpreter that runs and is new enough; 3.11 first, since its versions are all pinned in constraints.txt.
PYTHON ?= $(or $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done),python3)

VENV        := .venv
BIN         := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
RUNTIME     := $(VENV)/.stamp-runtime
DEV         := $(VENV)/.stamp-dev
DOCS        := $(VENV)/.stamp-docs

ARGS        ?=
PYTEST_ARGS ?=
EXTRAS      ?=

empty :=
space := $(empty) $(empty)
comma := ,
# $(call listed,b a) is a,b.
listed = $(subst $(space),$(comma),$(sort $(1)))

# What is installed: what the tasks of the README need, "cuda" on a machine with a working NVIDIA driver, what EXTRAS adds
# (EXTRAS=warp,sweep), and what it added before.
OWN_EXTRAS := dmc brax $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda)
INSTALLED  := $(sort $(shell cat $(VENV)/.extras 2>/dev/null))
WANTED     := $(sort $(INSTALLED) $(OWN_EXTRAS) $(subst $(comma), ,$(EXTRAS)))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-dev peers gpu-check train demo docs test lint format clean distclean FORCE

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'Variables: ARGS (train, demo), PYTEST_ARGS (test), PYTHON (interpreter for .venv), EXTRAS (more to install, such as warp,sweep).'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'error: Python 3.11 or newer is needed; "$(PYTHON)" is' \
			"$$($(PYTHON) --version 2>/dev/null || echo not there)." \
			'Install one, or name one: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }
	@echo 'Creating $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo 'error: could not create $(VENV); on Debian and Ubuntu install the package python3-venv first.' >&2; exit 1; }

# Becomes new when an extra is wanted that is not installed.
$(VENV)/.extras: FORCE | $(BIN)/python
	@test -f $@ && test '$(WANTED)' = '$(INSTALLED)' || echo '$(WANTED)' >$@

$(RUNTIME): pyproject.toml constraints.txt $(VENV)/.extras
	@echo 'Installing the project with $(call listed,$(WANTED)) (a minute or two, once)'
	@$(PIP_INSTALL) -e '.[$(call listed,$(WANTED))]'
	@touch $@

# The dev extra contains the runtime, so one pip run serves both stamps.
$(DEV): pyproject.toml constraints.txt $(VENV)/.extras
	@echo 'Installing the project with $(call listed,$(WANTED) dev) (a minute or two, once)'
	@$(PIP_INSTALL) -e '.[$(call listed,$(WANTED) dev)]'
	@touch $(RUNTIME) $@

$(DOCS): pyproject.toml constraints.txt $(VENV)/.extras
	@echo 'Installing the project with $(call listed,$(WANTED) docs) (a minute or two, once)'
	@$(PIP_INSTALL) -e '.[$(call listed,$(WANTED) docs)]'
	@touch $(RUNTIME) $@

install: $(RUNTIME) ## Install what training needs into .venv

install-dev: $(DEV) ## Install what testing and linting need as well

peers: .peers/brax/.stamp .peers/sbx/.stamp ## Install the projects that benchmarks.run compares with, into .peers

.peers/%/.stamp: benchmarks/peers/requirements-%.txt
	@echo 'Installing $* into .peers/$* (a minute or two, once)'
	@$(PYTHON) -m venv --clear .peers/$*
	@.peers/$*/bin/python -m pip install --disable-pip-version-check --quiet -r $<
	@touch $@

gpu-check: .gpu-check/.stamp ## Fetch the compiler for NVIDIA's cards (600 MB), for benchmarks.gpu_program

.gpu-check/.stamp: constraints.txt | $(BIN)/python
	@echo 'Fetching the compiler into .gpu-check (a minute or two, once)'
	@rm -rf .gpu-check
	@$(PIP_INSTALL) --no-deps --target .gpu-check jax-cuda12-plugin jax-cuda12-pjrt nvidia-cuda-nvcc-cu12
	@touch $@

train: $(RUNTIME) ## Train (humanoid by default); options in ARGS="--env hopper --num-envs 64"
	$(BIN)/python -m train.run $(ARGS)

demo: $(RUNTIME) ## Run the demonstration; options in ARGS
	$(BIN)/python examples/demo.py $(ARGS)

docs: $(DOCS) ## Build the documentation into docs/_build/html; a broken link or an unknown name fails
	$(BIN)/python -m sphinx -W --keep-going -n -q docs docs/_build/html

test: $(DEV) ## Run the tests; options in PYTEST_ARGS="-m 'not slow'"
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(DEV) ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV) ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove caches and build products (keeps .venv and runs)
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis docs/_build docs/api/*/
	find . -path ./$(VENV) -prune -o -path ./.peers -prune -o -path ./.git -prune -o -type d -name __pycache__ -exec rm -rf {} +

distclean: clean ## Remove .venv, .peers and .gpu-check too
	rm -rf $(VENV) .peers .gpu-check
