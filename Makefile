# Every target makes what it needs: a virtual environment in .venv, installed with the pins of constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help train seeds test lint types check slow vllm hostile verify manifests bench constraints clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

# torch comes first, alone and pinned: where a build without CUDA is offered for that version, it is the one taken.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "TeleGym needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $$(grep '^torch==' constraints.txt)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train,dev]'
	touch $@

train: $(READY)  ## train the nano policy, and evaluate it before and after
	$(BIN)/telegym train

seeds: $(READY)  ## train the nano policy with three seeds, and compare
	for seed in 0 1 2; do $(BIN)/telegym train --name nano-seed-$$seed --set seed=$$seed || exit 1; done
	$(BIN)/telegym compare runs/nano-seed-0 runs/nano-seed-1 runs/nano-seed-2

test: $(READY)  ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(READY)  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## check types
	$(BIN)/mypy

check: test lint types  ## tests, lint and types

slow: $(READY)  ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow

vllm: $(READY)  ## run the tests with a real vLLM on the CPU, in an environment of its own (2.7 GB)
	tests/vllm/setup.sh
	$(BIN)/python -m pytest -m vllm --log-cli-level INFO tests/vllm

hostile: $(READY)  ## 100,000 hostile actions
	$(BIN)/python -m tests.hostile.run --count 100000

verify: $(READY)  ## 10,000 native tasks: solved by the oracle, lost by every cheater
	$(BIN)/telegym verify native --count 10000

manifests: $(READY)  ## write the manifests of the sets for evaluation anew
	for set in dev:200 test:400 ood-faults:200 ood-topology:200 ood-combinations:100; do \
	  $(BIN)/telegym tasks manifest base-station --split $${set%:*} --count $${set#*:} \
	    --output telegym/envs/base_station/manifests/$${set%:*}.json || exit 1; \
	done

bench: $(READY)  ## calls, steps, resets and forks per second
	$(BIN)/telegym bench

constraints:  ## write constraints.txt anew from the newest versions that pyproject.toml allows
	rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	build/constraints/bin/pip install --quiet $$(grep '^torch==' constraints.txt)
	build/constraints/bin/pip install --quiet --editable '.[train,dev]'
	{ grep '^#' constraints.txt; build/constraints/bin/pip freeze --exclude-editable | sed 's/+cpu$$//'; } > build/pins.txt
	mv build/pins.txt constraints.txt

clean:  ## remove the virtual environment and what was built
	rm -rf $(VENV) build dist
