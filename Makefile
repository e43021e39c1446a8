# Everything a user or the CI needs, from a bare checkout with python3 (3.10 to 3.13) and make.
# Another interpreter: `make test PYTHON=python3.12`; another environment: `make test VENV=/some/where`.

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# One package ships as source only; the pip of old Pythons warns unless it is told how to build it.
export PIP_USE_PEP517 := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo cluster-demo simulate-async test lint format bench pins clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create the virtual environment, install the pinned packages and the library

$(STAMP): requirements.txt requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.10 to 3.13 or name one, as in: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), but Python 3.10 to 3.13 is needed: name another one, as in: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (on Debian and Ubuntu the package is python3-venv) and try again" >&2; exit 1; }
	@echo "Installing the packages of requirements-dev.txt into $(VENV) (the first time takes some minutes)"
	@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q -r requirements-dev.txt
	@$(PY) -m pip install -q --no-deps -e .
	@touch $@

demo: $(STAMP) ## Train with and without MentorNet on handwritten digits with 40% wrong labels
	@$(PY) scripts/demo.py

cluster-demo: $(STAMP) ## Train asynchronously on a cluster of processes: chief, two workers, a parameter server
	@$(PY) scripts/local_cluster.py

simulate-async: $(STAMP) ## Simulate 1 to 50 asynchronous workers; writes docs/images/asynchronous.csv and .png
	@$(PY) scripts/simulate_async.py

test: $(STAMP) ## Run the tests
	$(PY) -m pytest -q -n 2 --dist=loadfile --no-loadscope-reorder

lint: $(STAMP) ## Check style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(STAMP) ## Rewrite the sources in the project's style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(STAMP) ## Time the training steps and the input pipeline; prints a table and writes benchmarks/latest.json
	@$(PY) benchmarks/run.py

pins: ## Renew requirements*.txt from pyproject.toml (needs python3.10, 3.11, 3.12 and 3.13)
	@$(PYTHON) scripts/pin_requirements.py

clean: ## Remove the virtual environment and caches; runs are kept
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	find . -type d -name __pycache__ -prune -exec rm -rf {} +
