# `make help` lists the targets. Needed: Python 3.11 or newer, make, a shell. Each target makes the virtual environment
# it needs from a lock file (pinned versions with hashes) and keeps it for the next time.
.POSIX:

PYTHON = python3
ARGS =
OUT = runs/cartpole
UV_VERSION = 0.13.8

MAKE_ENVIRONMENT = PYTHON='$(PYTHON)' MAKE_TARGET=$@ sh tools/environment.sh
# What an activated virtual environment or a PYTHONPATH would bring along is left out. Bytecode is kept: many tests start
# processes, and each would compile the sources anew.
CLEAN = unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE;
BIN = .venv-test/bin

help:
	@echo 'make cartpole   train a policy for CartPole-v1 and show the result   (environment: .venv)'
	@echo 'make test       pass the tests; ARGS="-k gae" picks some             (environment: .venv-test)'
	@echo 'make test-all   the slow tests too'
	@echo 'make lint       ruff: style, imports, format'
	@echo 'make types      basedpyright over logpi/'
	@echo 'make site       the documentation as a site, in site/'
	@echo 'make lock       remake requirements/*.lock; ARGS=--upgrade takes newer versions'
	@echo 'make clean      remove what these made, runs/ left alone'
	@echo 'PYTHON=python3.12 with any of them chooses the interpreter (3.11 or newer)'

cartpole:
	@$(MAKE_ENVIRONMENT) .venv requirements/base.lock
	@$(CLEAN) .venv/bin/logpi train CartPole-v1 --out $(OUT) --overwrite $(ARGS)

# Most of the time goes into compiling thousands of small programs. XLA leaves out LLVM's share of the optimisations,
# writes fused loops in its older and plainer way, and each program in one piece, in two thirds of the time; this
# changes no more than last bits. test-all compiles as users do.
QUICKLY = JAX_DISABLE_MOST_OPTIMIZATIONS=1 \
  XLA_FLAGS='--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'

test:
	@$(MAKE_ENVIRONMENT) .venv-test requirements/test.lock
	@$(CLEAN) $(QUICKLY) $(BIN)/python -m pytest $(ARGS)

test-all:
	@$(MAKE_ENVIRONMENT) .venv-test requirements/test.lock
	@$(CLEAN) $(BIN)/python -m pytest -m 'slow or not slow' $(ARGS)

lint:
	@$(MAKE_ENVIRONMENT) .venv-test requirements/test.lock
	@$(CLEAN) $(BIN)/ruff check .
	@$(CLEAN) $(BIN)/ruff format --check .

types:
	@$(MAKE_ENVIRONMENT) .venv-test requirements/test.lock
	@$(CLEAN) $(BIN)/basedpyright --pythonpath $(BIN)/python

site:
	@$(MAKE_ENVIRONMENT) .venv-test requirements/test.lock
	@$(CLEAN) $(BIN)/python -m mkdocs build --site-dir site

# The tests' lock first; base.lock then takes the same versions. --no-build: everything must have a wheel.
COMPILE = .venv-lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-build \
	--fork-strategy fewest --group build --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
	--quiet

lock:
	@$(CLEAN) $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv==$(UV_VERSION)
	@$(CLEAN) $(COMPILE) $(ARGS) --extra test --output-file requirements/test.lock >/dev/null
	@$(CLEAN) $(COMPILE) $(ARGS) --extra plot --extra video --constraint requirements/test.lock \
		--output-file requirements/base.lock >/dev/null

clean:
	rm -rf .venv .venv-test .venv-lock .pytest_cache .ruff_cache .hypothesis site
	find logpi tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || :

.PHONY: help cartpole test test-all lint types site lock clean
