# Commands for people, hooks and CI. They need only Python (3.11 to 3.13) and make.
# The Python for a new .venv; unset: the newest supported one on the path.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
KUBERNETES_VALIDATE := 1.37.0
READY := $(VENV)/.ready
PAGE := web/dist/.built
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
# Name=arguments of `docker build`, with + for blanks.
IMAGES := serving=--target+serving training=--target+training mlflow=--file+mlflow/Dockerfile
HOME_FOLDER := $(or $(MOOVIER_HOME),.moovier)

.DEFAULT_GOAL := help
.PHONY: help up down reset test test-slow test-stack test-containers test-web lint format web openapi screenshots env faults
.PHONY: bench-train bench-serve bench-lists bench-batch bench-quality bench-ablation bench-tuning bench-variety bench-new-movies bench-monitor bench-page bench-scale bench-spark
.PHONY: dist images lint-kubernetes
.PHONY: test-tools test-spark bento
.PHONY: test-quick test-fresh

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(READY) page ## Start MLflow, Airflow and the service; train a first model
	@$(BIN)/moovier up $(ARGS)

down: ## Stop the stack of `make up`
	@if [ -x $(BIN)/moovier ]; then $(BIN)/moovier down; else echo "nothing is installed, so nothing is running"; fi

reset: down ## Stop the stack and delete its files (FORCE=1: don't ask)
	@if [ -d "$(HOME_FOLDER)" ]; then \
		if [ "$(FORCE)" != 1 ]; then \
			printf 'Delete %s with all models, runs and logs? [y/N] ' "$(HOME_FOLDER)"; \
			read -r answer && [ "$$answer" = y ] || { echo "kept"; exit 1; }; \
		fi; \
		rm -rf -- "$(HOME_FOLDER)" && echo "deleted $(HOME_FOLDER)"; \
	else echo "nothing to delete"; fi

# One worker starts with whole stacks, one with the real data, one with the page (tests/conftest.py).
# Three for two cores: these tests wait for servers a quarter of their time.
test: $(READY) ## Run the tests (ARGS="tests/unit -k data" selects some)
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder --durations=20
endif

# The packages whose tests start no server.
QUICK := $(addprefix tests/unit/,cli data evaluation experiments models serving stack test_docs_links.py test_settings.py)

test-quick: $(READY) ## Run the tests that need no servers
	@$(BIN)/pytest -n 2 --dist loadscope -q $(QUICK) $(ARGS)

# As root: it installs a bare system beside this one and enters it.
test-fresh: ## Try `make up` on a bare Debian (SUITE=bookworm, WITH=node|wheel)
	@tests/fresh_machine.sh $(or $(SUITE),trixie) $(WITH)

test-slow: $(READY) ## Run the tests at full size, such as 200,000 requests
	@$(BIN)/pytest -m scale $(ARGS)

test-containers: $(READY) ## Run the stack in containers (on Debian 12, root needs no Docker)
	@PATH="$(abspath $(BIN)):$$PATH" tests/containers/engine.sh run pytest -x -v -m containers tests/containers $(ARGS)

test-stack: $(READY) ## Run long tests of whole stacks, also of docker-compose.yaml
	@$(BIN)/pytest -m stack $(ARGS)

test-tools: $(READY) ## Test the commands of BentoML and DVC (needs a package registry)
	@$(BIN)/pytest -m tools $(ARGS)

# Spark is large, so only this command installs it, into the same .venv.
test-spark: $(READY) ## Test the engine `spark` on a master and two workers (needs Java 17)
	@command -v java >/dev/null || { echo "java not found: install Java 17, such as openjdk-17-jre-headless" >&2; exit 1; }
	@$(BIN)/python -c "import pyspark, airflow.providers.apache.spark" 2>/dev/null \
		|| { echo "Installing Apache Spark into $(VENV)"; \
			$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-spark.lock \
			|| $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-spark.lock; }
	@$(BIN)/pytest -m spark tests/spark $(ARGS)

test-web: $(PAGE) ## Run the unit tests of the web page
	@cd web && npm --silent test

lint: $(READY) ## Check style, types and import directions
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy

# The package has the schemas of every version, 17,000 files: too many for everybody's .venv.
lint-kubernetes: $(READY) ## Check the Kubernetes manifests against their schemas
	@cd deploy/kubernetes && KUBERNETES=$$(ls *.yaml | grep -v -e kustomization -e airflow-values) \
		&& { ../../$(BIN)/uv tool run --quiet kubernetes-validate==$(KUBERNETES_VALIDATE) --strict $$KUBERNETES; } >/dev/null \
		&& echo "the manifests are valid"

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

env: ## Write .env with generated secrets for `docker compose`
	@command -v python3 >/dev/null || { echo "python3 not found" >&2; exit 1; }
	@python3 deploy/environment.py

faults: $(READY) ## Kill production processes in retrainings (see docs)
	@$(BIN)/python -m tests.stack_processes.faults --write benchmarks/out/faults.md $(ARGS)

bench-train: $(READY) ## Compare time and error of the training with Keras's fit
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.train $(ARGS)

bench-serve: $(READY) ## Compare /predict with a bare FastAPI endpoint
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.serve $(ARGS)

bench-lists: $(READY) ## Measure the time of one user's list
	@$(BIN)/python -m benchmarks.lists $(ARGS)

bench-batch: $(READY) ## Compare the lists of all users with a plain loop
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.batch $(ARGS)

bench-tuning: $(READY) ## Compare tuning with one worker and with two
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.tuning $(ARGS)

bench-quality: $(READY) ## Compare the models with other libraries (DATA=folder)
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.quality $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-ablation: $(READY) ## Measure the effect of each part of `dae`
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.ablation $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-variety: $(READY) ## Measure what diversity and novelty cost and change
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.variety $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-new-movies: $(READY) ## Measure recommendations of movies that nobody has rated (ARGS=--test)
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.new_movies $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-monitor: $(READY) ## Count monitoring's alarms with and without planted drift
	@$(BIN)/python -m benchmarks.monitor $(ARGS)

bench-scale: $(READY) ## Measure ingest and retraining at 0.1M to 25M ratings (ARGS=--airflow)
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.scale $(ARGS)

bench-spark: $(READY) ## Compare Spark with one process (ARGS="--size 1000000"; after make test-spark)
	@$(BIN)/python -m benchmarks.spark_scale $(ARGS)

bench-page: $(READY) $(PAGE) ## Measure the web page in a browser
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.page $(ARGS)

web: $(PAGE) ## Build the web page (needs Node.js 20 with npm)

openapi: $(READY) ## Write web/openapi.json, the source of the page's client
	@$(BIN)/python -m bentos.export_openapi > web/.openapi.json && mv web/.openapi.json web/openapi.json

bento: $(READY) page ## Build a Bento of the service with the champion
	@$(BIN)/python -m bentos.pack_champion && PATH="$(abspath $(BIN)):$$PATH" $(BIN)/bentoml build

screenshots: $(READY) $(PAGE) ## Take the screenshots of the README
	@TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.screenshots $(ARGS)

# The source archive has the built page, so its users need no npm. The wheel is built from the
# archive, which proves that the archive is complete.
dist: $(READY) $(PAGE) ## Build wheel, source archive and, with Docker, images
	@rm -rf dist && $(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist
	@cp requirements.lock dist/moovier-$(VERSION)-requirements.txt
	@cd dist && rm -f .gitignore && sha256sum -- * > SHA256SUMS && cat SHA256SUMS
	@if docker info >/dev/null 2>&1; then $(MAKE) --no-print-directory images; \
	else echo "no Docker engine: the images are not built"; fi

images: ## Build the images, tagged with the version (needs Docker)
	@for image in $(IMAGES); do \
		docker build $(DOCKER_BUILD_ARGS) --quiet --tag "moovier-$${image%%=*}:$(VERSION)" $$(echo "$${image#*=}" | tr '+' ' ') . >/dev/null \
			&& echo "built the image moovier-$${image%%=*}:$(VERSION)" || exit 1; \
	done

# The service runs without its page, so a failed build does not stop it.
page:
	@if ! command -v npm >/dev/null && [ -f $(dir $(PAGE))index.html ]; then \
		echo "npm not found: using the built web page in $(dir $(PAGE))"; \
	elif ! command -v npm >/dev/null; then \
		echo "npm not found: starting without the web page (install Node.js 20, then: make web)"; \
	elif ! $(MAKE) --no-print-directory --silent web; then \
		echo "the web page could not be built: starting without it (try again: make web)" >&2; \
	fi

$(PAGE): web/package-lock.json web/package.json web/.npmrc web/index.html web/openapi.json web/vite.config.ts web/tsconfig.json $(shell find web/src -type f ! -name schema.d.ts 2>/dev/null)
	@command -v npm >/dev/null || { echo "npm not found: install Node.js 20" >&2; exit 1; }
	@echo "Building the web page"
	@cd web && npm ci --loglevel error >/dev/null && npm run --silent build -- --logLevel warn >/dev/null
	@touch $@

# Runs only after a change of the lock file, pyproject.toml or the compiled module. An existing .venv keeps its Python.
$(READY): requirements.lock pyproject.toml moovier/models/_kernels.c
	@if test -x $(BIN)/python; then \
		sh deploy/find_python.sh $(BIN)/python >/dev/null || { \
			echo "Delete $(VENV), then repeat: make $(MAKECMDGOALS)" >&2; exit 1; }; \
	else \
		python=$$(sh deploy/find_python.sh $(PYTHON)) && "$$python" -m venv $(VENV); \
	fi
	@echo "Installing into $(VENV) with $$($(BIN)/python --version) (takes minutes the first time: TensorFlow and Airflow are large)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@# uv is fast but ignores pip's configuration, so pip is the fallback.
	@# With compiled bytecode TensorFlow, MLflow and Airflow first start three times as fast.
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock \
		|| { echo "uv cannot reach the packages; trying pip, which takes longer"; \
			$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e . \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
