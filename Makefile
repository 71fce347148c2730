# Everything runs in virtual environments that are made here; only Python and make need be there.
# make PYTHON=python3.12 check: another Python, in an environment of its own.
PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
# A Python 3.11, if there is one: tflite-runtime has no wheels for anything newer.
PYTHON311 := $(shell for p in $(PYTHON) python3.11; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)
TFLITE_VENV := .venv-tflite
DEMO := demo

# A worker more than cores, because many tests wait for something; each has a TensorFlow of its own.
# A file's tests go to one worker.
WORKERS ?= $(shell expr $$(nproc) + 1)
PARALLEL := -n $(WORKERS) --maxprocesses 5 --dist loadscope --no-loadscope-reorder
CORE := not slow and not faults and not browser and not timing

.PHONY: help demo check test oldest arm lint format types contracts bench micro docs links clean

help:
	@echo "make demo   train, convert and stream a small model (about five minutes on two cores)"
	@echo "make check  lint, types, import contracts and the core tests (under two minutes on two cores)"
	@echo "make test   lint, types, import contracts and all tests (about twenty minutes on two cores)"
	@echo "make oldest the runtime's tests with the oldest packages that it allows, on Python 3.11"
	@echo "make arm    runtime tests and shipped models on emulated Arm CPUs, against this machine"
	@echo "make lint   lint, types and import contracts"
	@echo "make bench  latency and quality, through pytest-benchmark"
	@echo "make docs   the documentation as a site, in build/docs"
	@echo "make links  follow the documentation's links to other sites; needs network"
	@echo "make micro  install TensorFlow Lite Micro, if there is a version for this machine"
	@echo "make clean  remove environments and results"

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; ok = (3, 11) <= v < (3, 14); ok or sys.exit(f"edgecae needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(TFLITE_VENV)/.installed: pyproject.toml
	$(PYTHON311) -m venv $(TFLITE_VENV)
	$(TFLITE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[tflite-runtime]'
	@touch $@

demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(BIN)/edgecae train --recipe recipes/demo.toml --out $(DEMO)/run
	$(BIN)/edgecae convert $(DEMO)/run --int8 -o $(DEMO)/demo.tflite
	$(BIN)/python benchmarks/demo.py $(DEMO)

lint: $(VENV)/.installed
	@$(MAKE) --no-print-directory -j --output-sync=target format types contracts

format: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports

check: lint
	$(BIN)/python -m pytest $(PARALLEL) -m "$(CORE)" tests

# The environment of tflite-runtime is made where Python 3.11 is there, and its test skips where not.
# Tests that measure time come last, one at a time.
test: export EDGECAE_TFLITE_PYTHON := $(if $(PYTHON311),$(CURDIR)/$(TFLITE_VENV)/bin/python)
test: lint $(if $(PYTHON311),$(TFLITE_VENV)/.installed)
	$(BIN)/python -m pytest $(PARALLEL) -m "not timing" --durations=20 tests
	$(BIN)/python -m pytest -m timing tests

oldest:
	PYTHON=$(PYTHON311) .ci/oldest

# Its releases are development versions, and not for every machine.
micro: $(VENV)/.installed
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[micro]'

# About half an hour; for a scheduled job or before a release.
arm: $(VENV)/.installed
	PYTHON=$(BIN)/python tests/arm/run

bench: $(VENV)/.installed
	$(BIN)/python -m pytest benchmarks --benchmark-columns=min,median,iqr,rounds --benchmark-sort=name

# Warnings are errors: a link that leads nowhere, a page that no table of contents lists.
docs: $(VENV)/.installed
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs build/docs
	@echo "build/docs/index.html"

links: $(VENV)/.installed
	$(BIN)/python -m sphinx -b linkcheck --keep-going -q docs build/links

clean:
	rm -rf .venv .venv-* $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache .benchmarks .hypothesis
