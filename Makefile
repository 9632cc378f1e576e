# `make demo` and `make test` set up everything that they need; see README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# How long make fuzz spends on each target, and which (none: all of tests/fuzz/targets.py).
SECONDS ?= 60
TARGETS ?=
# Handed on to pytest, edotun demo or edotun bench.
ARGS ?=

# Percent of stack/ that the tests must reach.
LINES ?= 95
BRANCHES ?= 90

.PHONY: guest help deps install compiled plain demo test test-compiled coverage check format soak fuzz bench clean

help:
	@echo "make demo     a 20 MB download between unmodified programs, protected, shown and proven"
	@echo "make test     all tests"
	@echo "make compiled compile what is on the way of packets (mypyc, gcc): faster, and never needed; make plain: back to the sources"
	@echo "make test-compiled  all tests with the compiled core"
	@echo "make coverage what of stack/ the tests reach: at least $(LINES) % of the lines, $(BRANCHES) % of the branches"
	@echo "make check    ruff and mypy"
	@echo "make bench    the stack beside the kernel's TCP and a bare loop, 20 minutes; ARGS=--quick: a moment"
	@echo "make soak     the long tests"
	@echo "make fuzz     fuzzing guided by coverage, SECONDS=$(SECONDS) for each target (docs/guides/fuzzing.md)"
	@echo "make install  .venv with everything; make deps: the system packages; make clean: remove what was made"

deps:
	@PYTHON="$(PYTHON)" sh tools/deps.sh

install: $(STAMP)

$(STAMP): pyproject.toml
	@PYTHON="$(PYTHON)" sh tools/deps.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

demo: deps install
	$(BIN)/edotun demo $(ARGS)

# Into build/, from where it is imported while the sources are those that were compiled (edotun_core.py).
compiled: install
	$(BIN)/python -m tools.compiled.build --jobs $(WORKERS)

plain:
	rm -rf build/compiled

# Each form is tested as it is, whether a compiled core is there or not.
test: deps install
	EDOTUN_CORE=plain $(BIN)/python -m pytest -n $(WORKERS) --no-fold-skipped $(ARGS)

test-compiled: deps compiled
	EDOTUN_CORE=compiled $(BIN)/python -m pytest -n $(WORKERS) --no-fold-skipped $(ARGS)

# Without the tests of whole systems, which run the stack in other processes, and so without root.
coverage: install
	EDOTUN_CORE=plain $(BIN)/python -m pytest -n $(WORKERS) --ignore tests/system --cov --cov-report json --cov-report= $(ARGS)
	$(BIN)/python -m tools.covered coverage.json $(LINES) $(BRANCHES)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: deps install
	$(BIN)/python -m pytest -n $(WORKERS) -m soak $(ARGS)

fuzz: install
	$(BIN)/python -m tests.fuzz.campaign $(SECONDS) $(TARGETS)

bench: deps install
	$(BIN)/edotun bench $(ARGS)

# The kernel with TCP-AO that tests talk to; tests build it themselves where it is not there yet.
guest: install
	$(BIN)/python -c "from tests.interop.peer import kernel; print(kernel())"

clean:
	rm -rf $(VENV) .coverage coverage.json build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
