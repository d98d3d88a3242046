# The two commands of the README are `make audit` and `make test`; both work from nothing but
# python3 (3.11 or newer), make and a package index. Everything is installed into .venv.

PYTHON ?= python3
ARGS ?=
TORCH := 2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
LOCK := constraints/ci.txt
INSTALL := $(PIP) install --quiet -c $(LOCK) -e .
STAMPS := $(VENV)/stamps
# Two files at a time, each file whole, so that what its tests share is made once. One thread each: a library's own
# threads would only push the other's aside. One process instead, to debug: make test ARGS="-n 0"
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
INPUTS := pyproject.toml $(LOCK)

.DEFAULT_GOAL := help
.PHONY: help audit test test-all lint types contracts docs bench builtin lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

audit: $(STAMPS)/runtime ## audit a chatbot: make audit ARGS="--chatbot python:bot.py:reply"
	$(BIN)/saywhat audit $(ARGS)

test: lint types contracts ## what CI runs: format, lint, types, contracts, quick tests
	$(PYTEST) -m "not slow and not gpu and not hub" $(ARGS)

test-all: lint types contracts ## the same with slow tests and coverage
	$(PYTEST) -m "not gpu and not hub" --cov --cov-report=term-missing:skip-covered $(ARGS)

lint: $(STAMPS)/test ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMPS)/test ## mypy, strict
	$(BIN)/mypy

contracts: $(STAMPS)/test ## who may import whom
	$(BIN)/lint-imports

docs: $(STAMPS)/docs ## build the documentation; any warning is an error
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(STAMPS)/bench ## run one benchmark: make bench NAME=road
	@test -n "$(NAME)" || { echo "which one? make bench NAME=road"; exit 2; }
	$(BIN)/python benchmarks/$(NAME).py $(ARGS)

builtin: $(STAMPS)/test ## rebuild the chatbot and generator that ship with the package
	$(BIN)/python benchmarks/build_builtin.py $(ARGS)

lock: ## pin what a fresh environment resolves to
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/python -m pip install --quiet 'torch==$(TORCH)' -e . --group dev
	{ echo '# Made by `make lock`: what runs, tests, lints and documents this project, pinned.'; \
	  build/lock/bin/python -m pip freeze --exclude-editable | grep -v '^#' | sed -E 's/^(torch==[^+]*).*/\1/'; \
	} > build/ci.txt
	mv build/ci.txt $(LOCK)
	rm -rf build/lock

clean: ## remove caches and built files; runs/ and .venv stay
	rm -rf build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .import_linter_cache
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml and the constraints once they are installed.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "saywhat needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/pip: | $(BIN)/python
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: $(INPUTS) | $(STAMPS)/pip
	$(INSTALL)
	@touch $@

$(STAMPS)/test: $(INPUTS) | $(STAMPS)/pip
	$(INSTALL) --group test --group lint
	@touch $@ $(STAMPS)/runtime

$(STAMPS)/bench: $(STAMPS)/test
	$(PIP) install --quiet -c $(LOCK) -e '.[judge]'
	@touch $@

$(STAMPS)/docs: $(INPUTS) | $(STAMPS)/pip
	$(INSTALL) --group docs
	@touch $@ $(STAMPS)/runtime
