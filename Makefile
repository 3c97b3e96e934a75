# One command for each job; `make help` lists them. Works with GNU make 3.81 and newer.

PYTHON ?= python3
PIP_ARGS ?=

CONFIG := configs/tatoeba-en-es.yaml
RUN := checkpoints/tatoeba-en-es
BIN := .venv/bin
READY := .venv/ready

.PHONY: help install demo test test-slow check clean
.DEFAULT_GOAL := help

help:
	@echo 'make install     make .venv with the package and all that it needs'
	@echo 'make demo        prepare data, train an English-Spanish translator, translate, evaluate'
	@echo 'make test        check, then every fast test'
	@echo 'make test-slow   the tests that take minutes'
	@echo 'make check       lint, format and types'
	@echo 'make clean       remove .venv, caches and builds; data/ and checkpoints/ stay'
	@echo
	@echo 'Each makes .venv first when it is missing or out of date. Then, in each terminal:'
	@echo '    . .venv/bin/activate'
	@echo 'PYTHON=python3.12    the interpreter to make it with (3.11 or newer)'
	@echo 'PIP_ARGS="..."       handed to pip when .venv is made: --extra-index-url and the address that'
	@echo '                     the installation page of PyTorch gives for your CPU or GPU'

install: $(READY)

demo: $(READY)
	$(BIN)/nmt prepare $(CONFIG)
	$(BIN)/nmt train $(CONFIG)
	printf '%s\n' 'I have a question.' 'The weather is very nice today.' \
	  "She didn't want to go to school, because she was ill." \
	  | $(BIN)/nmt translate $(RUN)
	$(BIN)/nmt evaluate $(RUN)

test: check
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow -n logical --maxprocesses 2 --dist worksteal -o faulthandler_timeout=0

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'data/ and checkpoints/ stay; remove them by hand if you want them gone.'

# The stamp is written last, so that an interrupted installation is made again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'make: expected Python 3.11 or newer, found' \
	    "$$($(PYTHON) --version 2>&1) as $(PYTHON); choose another: make PYTHON=python3.12" >&2; \
	  exit 2; }
	@echo 'Making .venv (a minute or so; PyTorch alone is a large download).'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) \
	  --constraint constraints.txt --editable '.[all,dev]'
	@touch $@
