# The commands of docs/contract. Each sets up what it needs the first time; nothing but Python 3.11+, Node 20+ and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
STAGE ?= dev
DATA ?=
EXAMPLES ?= 2000
REQUESTS ?= 10000
PAYLOADS ?= 1000000
MUTANTS ?=
SEEDS ?=

BIN := .venv/bin
PY := $(BIN)/python
VENV := .venv/.ready
NODE := node_modules/.ready
LAYER := build/.layer
SETUP := $(VENV) $(NODE) $(LAYER)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 18

$(VENV): requirements/uv.txt requirements/dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) here: install Python 3.11 or newer, or say where it is (make PYTHON=...)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V): PMA needs Python 3.11 or newer; say where one is (make PYTHON=...)."; exit 1; }
	@echo "Setting up: Python packages into .venv (once; about a minute) ..."
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(PY) --require-hashes -r requirements/dev.txt
	@touch $@

$(NODE): package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "No Node here: install Node.js 20 or newer (with npm)."; exit 1; }
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || { echo "Node $$(node -v) is too old: install Node.js 20 or newer."; exit 1; }
	@echo "Setting up: the CDK command line into node_modules (once) ..."
	@npm ci --silent
	@touch $@

# All that needs a registry comes with the set-up, so that a later `make synth` needs no network.
$(LAYER): $(VENV) requirements/lambda.txt
	@echo "Setting up: the Lambda layer for arm64 (once) ..."
	@$(PY) -m infra.build --stage prod
	@touch $@

.PHONY: setup
setup: $(SETUP) ## virtual environment and npm packages, from the hash-pinned lists

.PHONY: demo
demo: $(SETUP) ## a fleet through the whole chain on this machine; DATA=folder replays real files
	@$(PY) -m local.demo $(if $(DATA),--data "$(DATA)")

.PHONY: up down
up: $(SETUP) ## the embedded cloud with the stack, left running; addresses in .local/stack.json
	@$(PY) -m local up
down: $(SETUP) ## stop what `make up` left running
	@$(PY) -m local down

.PHONY: check
check: $(SETUP) ## ruff, mypy, architecture and template rules: no emulator
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/pytest -q --no-header -p no:cacheprovider tests/test_architecture.py tests/infra -m "not slow"

.PHONY: test
test: check ## everything that CI runs
	@$(BIN)/pytest -q --no-header -n 2 -m "not e2e and not slow and not localstack" --ignore tests/test_architecture.py --ignore tests/infra --cov --cov-report=
	@$(BIN)/coverage report --include='domain/*,functions/*' --fail-under=100 --skip-covered --show-missing
	@$(BIN)/pytest -q --no-header -m slow
	@$(BIN)/pytest -q --no-header -m e2e

.PHONY: proof fuzz
proof: $(SETUP) ## every property with EXAMPLES=2000 examples each
	@EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q --no-header -n 2 --timeout 3600 --hypothesis-profile proof -m "not e2e and not slow and not localstack" tests/domain tests/functions tests/adapters
fuzz: $(SETUP) ## PAYLOADS=1000000 through all of ingest, EXAMPLES=2000 of each decoder, REQUESTS=10000 to the API: never an error
	@echo "Fuzzing: $(PAYLOADS) payloads of every format (a million takes about ten minutes of one core) ..."
	@PAYLOADS=$(PAYLOADS) $(BIN)/pytest -q --no-header --timeout 7200 --hypothesis-profile proof tests/functions/test_fuzz.py
	@EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q --no-header -n 2 --timeout 3600 --hypothesis-profile proof tests/domain/test_reading.py tests/domain/test_units.py \
		tests/domain/test_judgement.py tests/domain/test_gatt.py tests/domain/test_omh.py tests/domain/test_mapping.py tests/functions/test_ingest.py
	@echo "Fuzzing: $(REQUESTS) requests to the API ..."
	@REQUESTS=$(REQUESTS) $(BIN)/pytest -q --no-header -n 2 --timeout 7200 tests/functions/test_fuzz_api.py

.PHONY: cases
cases: $(VENV) ## docs/cases.md anew: which cases have a test
	@$(PY) -m tests.cases

.PHONY: test-localstack
test-localstack: $(SETUP) ## the chain on a LocalStack that you started; AWS_ENDPOINT_URL says where (default: port 4566)
	@$(BIN)/pytest -q --no-header -m localstack tests/localstack

.PHONY: mutate
mutate: $(SETUP) ## the engine changed in every way, one at a time: which changes no test sees; MUTANTS=pattern for some
	@$(BIN)/mutmut run --max-children 2 $(if $(MUTANTS),"$(MUTANTS)")
	@$(BIN)/mutmut export-cicd-stats
	@$(PY) -c 'import json; s = json.load(open("mutants/mutmut-cicd-stats.json")); print(f"killed {s[\"killed\"]} of {s[\"total\"]}, survived {s[\"survived\"]}: see mutmut results")'

.PHONY: charts docs
charts: $(VENV) ## the charts of docs/alerts.md, from what the engine does
	@$(PY) -m ops.alert_charts
docs: $(VENV) ## docs/openapi.json and its page, from what the API's routes promise
	@$(PY) -m ops.openapi

.PHONY: bench
bench: $(SETUP) ## what a reading costs: calls, CPU, start-up, sizes; as one table and build/bench.json
	@$(PY) -m infra.build --stage local
	@$(PY) -m bench

.PHONY: cohort
cohort: $(SETUP) ## the alert load of the default programme on ten simulated cohorts nobody has seen; SEEDS=1,2 for known ones
	@$(PY) -m bench.cohort $(if $(SEEDS),--seeds "$(SEEDS)")

.PHONY: synth
synth: $(SETUP) ## the CDK assembly of STAGE=local|dev|prod with all checks
	@$(PY) -m infra.build --stage $(STAGE)
	@PATH="$(CURDIR)/$(BIN):$$PATH" npx --no-install cdk synth --quiet --context stage=$(STAGE) --output cdk.out/$(STAGE)
	@echo "cdk.out/$(STAGE)"

.PHONY: lock
lock: $(VENV) ## the hash-pinned lists anew from pyproject.toml
	@echo uv | $(BIN)/uv pip compile --quiet --generate-hashes --universal --no-header --no-annotate --python-version 3.11 - -o requirements/uv.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --no-header --python-version 3.11 --group lambda -o requirements/lambda.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --no-header --python-version 3.11 -c requirements/lambda.txt -c requirements/uv.txt \
		--group lambda --group infra --group sim --group dev -o requirements/dev.txt

.PHONY: clean
clean: ## everything that was built or downloaded
	@rm -rf .venv node_modules build cdk.out .local .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants
