# Needs Python 3.11 or newer, make and PyPI, and npm's registry for the clients for Node that tests use. Every target
# makes the environment that it needs.

PYTHON ?= $(shell .ci/python)
DEMO := .venv-demo/bin/python
TEST := .venv-test/bin/python
FRAMEWORKS := .venv-frameworks/bin/python
LINT := .venv-lint/bin
BENCH := .venv-bench/bin/python
COMPILE := .venv-uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	--python-version 3.11 --custom-compile-command 'make lock'
PYTEST_ARGS ?=
BENCH_ARGS ?=

# Tests start some two hundred processes. Where Python may keep no bytecode, each compiles anew what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test frameworks slow check lint format record matrix conformance bench bench-router soak lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv-demo/.made  ## Run an agent under a policy, in seconds, without a key
	@$(DEMO) examples/demo.py

test: .venv-test/.made  ## Run all tests but the slow ones
	@slow=$$(grep -rl --include='test_*.py' 'mark\.slow' tests | sort | tr '\n' ' '); \
		echo "Left out: tests marked slow$${slow:+ (in $$slow)}, and most of Hypothesis's examples: 'make slow' runs both"
	$(TEST) -m pytest -n auto -m 'not slow' $(PYTEST_ARGS)

frameworks: .venv-frameworks/.made  ## Run the adapters' and the router's tests beside CrewAI, LlamaIndex and the SDKs' older line
	@echo "Left out: tests of LangChain and Node, which 'make test' runs: CrewAI does not allow what LangChain needs (openai 3)"
	$(FRAMEWORKS) -m pytest -n auto -m 'not slow' tests/adapters tests/router $(PYTEST_ARGS)

slow: .venv-test/.made  ## Run the tests that take long, and Hypothesis's with all their examples
	THOROUGH=1 $(TEST) -m pytest -m 'slow or hypothesis' --timeout=900 $(PYTEST_ARGS)

check: .venv-test/.made  ## Run the tests with coverage, then everything that reads the code
	$(TEST) -m coverage erase
	$(TEST) -m coverage run -m pytest -m 'not slow' $(PYTEST_ARGS)
	$(TEST) -m coverage combine --quiet
	$(TEST) -m coverage report
	@$(MAKE) --no-print-directory lint

lint: .venv-lint/.made  ## Check format, rules and types
	$(LINT)/ruff format --check .
	$(LINT)/ruff check .
	$(LINT)/mypy
	$(LINT)/pyright --pythonpath $(LINT)/python tests/typing

format: .venv-lint/.made  ## Put the code into shape
	$(LINT)/ruff format .
	$(LINT)/ruff check --fix .

record: .venv-test/.made  ## Record the cassettes anew
	IRON_RECORD=1 $(TEST) -m pytest $$(grep -rlw --include='test_*.py' cassette tests) $(PYTEST_ARGS)

matrix: .venv-test/.made  ## Write docs/coverage.md anew, from what the tests prove
	WRITE_DOCS=1 $(TEST) -m pytest tests/adapters/test_matrix_document.py

conformance: .venv-test/.made .venv-frameworks/.made  ## Write docs/conformance.md from the adapters' tests
	rm -f .conformance.json
	$(TEST) -m pytest -n auto --conformance .conformance.json tests/adapters $(PYTEST_ARGS)
	$(FRAMEWORKS) -m pytest -n auto --conformance .conformance.json tests/adapters $(PYTEST_ARGS)
	$(TEST) tests/conformance.py .conformance.json
	rm -f .conformance.json

bench: .venv-bench/.made  ## Measure, and write benchmarks/results/
	$(BENCH) benchmarks/run.py || echo "Not every row reaches what it must: see benchmarks/results/in_process.md"

bench-router: .venv-bench/.made  ## Measure the router beside LiteLLM, Portkey and nginx (BENCH_ARGS="--quick --flat --only NAME")
	-@$(MAKE) --no-print-directory .venv-bench-litellm/.made
	-@$(MAKE) --no-print-directory .bench-node/.made
	$(BENCH) benchmarks/router/run.py $(BENCH_ARGS) || { test $$? = 1 && echo "Not every row reaches what it must: see the report above"; }

soak: .venv-bench/.made  ## Mixed calls through the router for 30 minutes, a fifth hanging up (BENCH_ARGS=--quick)
	$(BENCH) benchmarks/router/soak.py $(BENCH_ARGS)

lock: .venv-uv/bin/uv  ## Resolve requirements/*.txt anew from pyproject.toml
	echo 'uv' | $(COMPILE) --upgrade -o requirements/uv.txt -
	$(COMPILE) --upgrade -o requirements/test.txt --extra all --extra demo --group test pyproject.toml
	$(subst --universal,,$(COMPILE)) --upgrade -o requirements/frameworks.txt --extra crewai --extra llama-index --extra testing --extra compression --extra cli --extra router --group frameworks pyproject.toml
	$(COMPILE) -o requirements/demo.txt -c requirements/test.txt --extra demo pyproject.toml
	$(COMPILE) --upgrade -o requirements/lint.txt -c requirements/test.txt --extra all --extra demo --group test --group lint pyproject.toml
	echo 'litellm[proxy]>=1.82.9' | $(COMPILE) --upgrade -o benchmarks/router/litellm/requirements.txt -
	$(COMPILE) --upgrade -o requirements/bench.txt -c requirements/test.txt --extra all --extra demo --group bench pyproject.toml

clean:  ## Remove environments, caches and what runs have left
	rm -rf .venv-demo .venv-test .venv-frameworks .venv-lint .venv-bench .venv-bench-litellm .bench-node .venv-uv
	rm -rf tests/router/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* build dist
	find iron_policy iron_adapters tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv-%/.made: requirements/%.txt pyproject.toml .ci/environment | python
	@.ci/environment .venv-$* $< $(PYTHON)
	@touch $@

# What the router is measured beside: LiteLLM has an environment with nothing of ours in it.
.venv-bench-litellm/.made: benchmarks/router/litellm/requirements.txt .venv-uv/bin/uv
	UV_PYTHON_DOWNLOADS=never .venv-uv/bin/uv venv --quiet --clear --no-project --python $(BENCH) .venv-bench-litellm
	.venv-uv/bin/uv pip install --quiet --link-mode copy --compile-bytecode --python .venv-bench-litellm --require-hashes -r $<
	@touch $@

.bench-node/.made: benchmarks/router/portkey/package-lock.json
	@mkdir -p .bench-node
	cp benchmarks/router/portkey/package.json benchmarks/router/portkey/package-lock.json .bench-node/
	npm ci --prefix .bench-node --ignore-scripts --no-audit --no-fund
	@touch $@

.venv-uv/bin/uv: | python
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv

.PHONY: python
python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
