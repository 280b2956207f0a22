# The developer's verbs. Each works alone in a fresh clone; the first makes .venv.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
SEED ?= 1
MINUTES ?= 5
DEMO_STAMP := $(VENV)/.ready-demo

.PHONY: help setup test check lint crash sim soak bench demo conformance clean

help:            ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(STAMP)  ## make .venv with everything a developer needs

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/setup.sh dev
	@touch $(STAMP)

$(DEMO_STAMP): $(STAMP)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/setup.sh demo
	@touch $(DEMO_STAMP)

test: $(STAMP)   ## everything that needs nothing but Python and loopback
	@$(BIN)/python -m pytest -n 2 --dist worksteal

check: lint test ## format, lint, types, contracts, quick tests

lint: $(STAMP)
	@$(BIN)/ruff format --check src tests benchmarks examples
	@$(BIN)/ruff check src tests benchmarks examples
	@$(BIN)/mypy
	@$(BIN)/lint-imports

crash: $(STAMP)  ## kill -9 of every part at every numbered step
	@$(BIN)/python -m pytest -m crash tests/crash

sim: $(STAMP)    ## one seed of the simulation, every step shown: make sim SEED=7
	@$(BIN)/roadstead sim --seed $(SEED) --trace

soak: $(STAMP)   ## random seeds of the simulation for a time: make soak MINUTES=30
	@$(BIN)/roadstead sim --minutes $(MINUTES)

bench: $(STAMP)  ## numbers, each with its method and boundary
	@$(BIN)/python -m benchmarks

demo: $(DEMO_STAMP) ## two teams, real training, one queue with reasons; ends by itself
	@$(BIN)/roadstead demo

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
