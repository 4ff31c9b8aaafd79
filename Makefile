# All commands of this project. Each target needs only Python 3.11+: it creates the environments in
# .venv and .cache at first use, and again when their lock changes.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
UV := .cache/uv/bin/uv
BIN := .venv/bin
PACKAGES := layers/continuations/agent_continuations layers/agents/agents functions tests

# Tests that need nothing but processors.
PARALLEL := tests/simulation/test_simulator.py tests/simulation/test_ablations.py tests/mutants

# The runtime that a deployment is built for; `make deploy RUNTIME=python3.12`.
RUNTIME ?= python3.13
export PYTHON_VERSION = $(RUNTIME:python%=%)

.PHONY: help run test soak mutants bench check format lint types template security tests deploy build tools lock browser clean

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: tools .venv/.made ## run the whole system on this machine, until Ctrl-C
	@$(BIN)/python -m tests.local

test: tools browser .venv/.made ## run every test that needs no AWS account
	$(BIN)/pytest $(PARALLEL:%=--ignore=%)
	$(BIN)/pytest -n auto $(PARALLEL)

soak: .venv/.made ## simulate 50,000 runs with faults; print the seed of each that breaks a promise
	$(BIN)/python -m tests.simulation --seeds 50000

mutants: .venv/.made .cache/mutants/.made ## try random mutants of core, engine and stores for 20 minutes; print the survivors
	@$(BIN)/python -m tests.mutants

bench: tools .venv/.made ## measure the cost of runs; store it in tests/bench/results.json
	$(BIN)/python -m tests.bench
	@echo "to rewrite tests/bench/README.md: $(BIN)/python -m tests.bench --markdown"

check: format lint types template security test ## all that CI checks

format: .venv/.made
	$(BIN)/ruff format --check .

lint: .venv/.made
	$(BIN)/ruff check .
	PYTHONPATH=layers/continuations:layers/agents $(BIN)/lint-imports

types: .venv/.made
	$(BIN)/mypy layers/continuations/agent_continuations layers/agents/agents functions tests

template: tools .venv/.made
	$(BIN)/cfn-lint template.yaml
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 .cache/sam/bin/sam validate --lint

security: .venv/.made
	$(BIN)/bandit -q -c pyproject.toml -r layers functions

build: tools
	SAM_CLI_TELEMETRY=0 UV="$(CURDIR)/$(UV)" .cache/sam/bin/sam build --cached \
	  --parameter-overrides Runtime=$(RUNTIME)

deploy: build ## sam build and sam deploy --guided
	SAM_CLI_TELEMETRY=0 .cache/sam/bin/sam deploy --guided --capabilities CAPABILITY_IAM \
	  --parameter-overrides Runtime=$(RUNTIME)

# MiniStack's packages and SAM's must not mix with ours, or with the functions'.
tools: .cache/ministack/.made .cache/sam/.made

lock: $(UV) ## update all locked versions
	echo uv | $(UV) pip compile -q -U --universal --generate-hashes --no-annotate --no-header \
	  - -o tests/local/uv.txt
	$(UV) pip compile -q -U --universal --generate-hashes --python-version 3.11 --no-header \
	  pyproject.toml -o layers/continuations/requirements.txt
	$(UV) pip compile -q -U --universal --generate-hashes --python-version 3.11 --no-header \
	  pyproject.toml --group dev -o tests/requirements.txt
	for each in ministack sam; do $(UV) pip compile -q -U --universal --generate-hashes \
	  --python-version 3.11 --no-header --group $$each -o tests/local/$$each.txt; done
	$(UV) pip compile -q -U --universal --generate-hashes --python-version 3.11 --no-header \
	  --group mutants -o tests/mutants/requirements.txt

# The browser test needs Chromium; without it, and without root to install it, it is skipped.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q \
	  && apt-get install -y -q --no-install-recommends chromium; } \
	  || echo "no Chromium here: the browser test will be skipped"

clean: ## remove build results and the state of local runs
	rm -rf .run .aws-sam .venv .cache

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/pip install -q --disable-pip-version-check --require-hashes -r tests/local/uv.txt

.venv/.made: tests/requirements.txt $(UV)
	$(UV) venv -q --clear --python "$(PYTHON)" .venv
	$(UV) pip sync -q --require-hashes --python $(BIN)/python tests/requirements.txt
	# The command agent-continuations, from this folder.
	$(UV) pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

.cache/mutants/.made: tests/mutants/requirements.txt $(UV)
	$(make_environment)

.cache/%/.made: tests/local/%.txt $(UV)
	$(make_environment)

define make_environment
	$(UV) venv -q --clear --python "$(PYTHON)" $(@D)
	$(UV) pip sync -q --require-hashes --python $(@D)/bin/python $<
	@touch $@
endef
