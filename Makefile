# Every target sets up what it needs in a fresh .venv; `make setup` alone does only that.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
USE := $(VENV)/.installed-for-use
# A file's tests stay together, for what they share; the files in the order of tests/conftest.py.
SHARED := --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: setup train test test-oldest test-newest lint audit docs clean

setup: $(STAMP)

# What a user needs, and on top of it what a developer needs.
$(USE): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	touch $@

$(STAMP): $(USE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# The quick start: ERM, meta-IRM and ERM without the cue, side by side.
train: $(USE)
	$(BIN)/hf-metairm train --config punctuated_sst2

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests $(SHARED) --durations 20

# The suite with the lower bounds of pyproject.toml, and with the newest releases that it admits, each in a fresh
# environment of its own. The second notes what it passed with.
test-oldest:
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --constraint constraints-oldest.txt torch
	.venv-oldest/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable '.[dev]'
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest tests $(SHARED)

test-newest:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet torch
	.venv-newest/bin/python -m pip install --quiet --editable '.[dev]'
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest tests $(SHARED)
	.venv-newest/bin/python -m pip freeze --exclude-editable > constraints-newest.txt

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml hf_metairm

# Known vulnerabilities of the versions in constraints.txt; asks the Python package index, so it needs a network.
audit:
	$(PYTHON) -m venv --clear .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# site/index.html, without a network; a warning is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest .venv-audit build dist site outputs
