# The same few commands for a person, the hook and CI. Needs Python 3.11 and make, nothing else.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
READY := $(VENV)/.ready
PAGE := web/dist/.built
HOME_FOLDER := $(or $(MOOVIER_HOME),.moovier)

.DEFAULT_GOAL := help
.PHONY: help up down reset test lint format web openapi screenshots env faults
.PHONY: bench-train bench-serve bench-lists bench-batch bench-quality bench-ablation bench-tuning bench-monitor bench-page

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(READY) page ## Start MLflow, Airflow and the service; train a first model if there is none
	@$(BIN)/moovier up $(ARGS)

down: ## Stop everything that `make up` started
	@if [ -x $(BIN)/moovier ]; then $(BIN)/moovier down; else echo "nothing is installed, so nothing is running"; fi

reset: down ## Stop everything and delete databases, models, logs and caches (FORCE=1: don't ask)
	@if [ -d "$(HOME_FOLDER)" ]; then \
		if [ "$(FORCE)" != 1 ]; then \
			printf 'Delete %s with all models, runs and logs? [y/N] ' "$(HOME_FOLDER)"; \
			read -r answer && [ "$$answer" = y ] || { echo "kept"; exit 1; }; \
		fi; \
		rm -rf -- "$(HOME_FOLDER)" && echo "deleted $(HOME_FOLDER)"; \
	else echo "nothing to delete"; fi

# On two cores: whole stacks on one, everything else beside them (tests/conftest.py).
test: $(READY) ## Run the tests (ARGS="tests/unit -k data" for some of them)
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder --durations=20
endif

lint: $(READY) ## Check style, types and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy

format: $(READY) ## Put the code into the common style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

env: ## Write .env for `docker compose up`, with generated secrets where there are none
	@command -v python3 >/dev/null || { echo "python3 not found" >&2; exit 1; }
	@python3 deploy/environment.py

faults: $(READY) ## Kill each part of the production stack in a retraining (ARGS="--only redis")
	@$(BIN)/python -m tests.stack_processes.faults --write benchmarks/out/faults.md $(ARGS)

bench-train: $(READY) ## Compare our training with Keras's plain fit, time and error
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.train $(ARGS)

bench-serve: $(READY) ## Measure /predict beside a bare endpoint that returns the same bytes
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.serve $(ARGS)

bench-lists: $(READY) ## Measure one person's list, scoring the whole catalogue
	@$(BIN)/python -m benchmarks.lists $(ARGS)

bench-batch: $(READY) ## Measure the lists of all users beside a plain loop
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.batch $(ARGS)

bench-tuning: $(READY) ## Work one budget of trials off with one worker and with two
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.tuning $(ARGS)

bench-quality: $(READY) ## Tune and measure our models beside rivals (DATA=folder, ARGS="--trials 5")
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.quality $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-ablation: $(READY) ## Measure what each part of `dae` adds, on validation figures
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.ablation $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-monitor: $(READY) ## Count monitoring's false alarms, and its alarms by planted drifts
	@$(BIN)/python -m benchmarks.monitor $(ARGS)

bench-page: $(READY) $(PAGE) ## Measure the page in a browser: first lists, script, Lighthouse's figures
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.page $(ARGS)

web: $(PAGE) ## Build the web page (needs Node.js 20 with npm)

openapi: $(READY) ## Write web/openapi.json, which the page's client is made from
	@$(BIN)/python -m bentos.openapi > web/.openapi.json && mv web/.openapi.json web/openapi.json

screenshots: $(READY) $(PAGE) ## Take the pictures of the page that the README shows
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.screenshots $(ARGS)

# The service runs without its page, so nothing here stops it from starting.
page:
	@if ! command -v npm >/dev/null; then \
		echo "npm not found: starting without the web page (install Node.js 20, then: make web)"; \
	elif ! $(MAKE) --no-print-directory --silent web; then \
		echo "the web page could not be built: starting without it (again later: make web)" >&2; \
	fi

$(PAGE): web/package-lock.json web/package.json web/.npmrc web/index.html web/openapi.json web/vite.config.ts web/tsconfig.json $(shell find web/src -type f ! -name schema.d.ts 2>/dev/null)
	@command -v npm >/dev/null || { echo "npm not found: install Node.js 20" >&2; exit 1; }
	@echo "Building the web page"
	@cd web && npm ci --loglevel error >/dev/null && npm run --silent build -- --logLevel warn >/dev/null
	@touch $@

# Made again when the lock or the project's own metadata change; until then it costs nothing.
$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11: name one by make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into $(VENV) (some minutes the first time: TensorFlow and Airflow are big)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@# uv is fast but does not read pip's configuration: where only pip knows the way to the
	@# packages, pip does it.
	@# Compiled ahead: TensorFlow, MLflow and Airflow start three times as fast the first time.
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock \
		|| { echo "uv cannot reach the packages; trying pip, which takes longer"; \
			$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e . \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
