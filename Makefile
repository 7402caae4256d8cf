# `make demo`, `make check`, `make test`, `make dashboard`; `make wheel` builds a wheel with machine
# code for all processors of this kind, and tries it in an empty environment, `make test-wheel` runs
# all tests against it; `make gallery` draws the pictures of the examples anew. Each sets up all it
# needs in $(VENV).
PYTHON ?= python3
VENV ?= .venv
# More packages for the tests, such as torch, which some tests compare with.
TEST_PEERS ?=
# Options of tests/packaging/try_suite.py, such as "--bits 256", before the wheel.
TEST_WHEEL ?=
# How many of the last commits `make dashboard` measures where they have no results (some 6
# minutes each), where it serves (a free port if 0), and more options of asv_benchmarks/dashboard.
COMMITS ?= 1
PORT ?= 0
DASHBOARD ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# An example for each experiment; what they need beside fastnn.
GALLERY := $(filter-out examples/_%,$(wildcard examples/*.py))
EXTRAS := plot,search,second-order,onnx,sklearn
# What `make attack` makes: all of it, "--minutes 10", "--continue", "--continue kills" ...
ATTACK ?= --full
# What `make perf-check` compares the working tree with, and more options for it, such as --quick.
BASE ?= main
PERF_CHECK ?=

# What `make wheel` tries the wheel with beside this Python's: TRY="--python python3.10 ...".
TRY ?=

.PHONY: demo gallery dashboard perf-check check test attack lint wheel test-wheel clean

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/compare_optimizers_mnist.py

gallery: $(VENV)/$(EXTRAS).stamp
	set -e; for script in $(filter-out %adopt_step_by_step.py,$(GALLERY)); do \
	    $(BIN)/python $$script --out examples/pictures; \
	done

perf-check: $(VENV)/dev.stamp
	cd asv_benchmarks && $(abspath $(BIN))/python -m perf_check --base $(BASE) $(PERF_CHECK)

# What takes a minute or two once kernels are compiled; `make test` runs the tests marked slow too.
check: $(VENV)/dev.stamp lint
	$(BIN)/python -m pytest -m "not slow"

test: $(VENV)/dev.stamp lint
ifneq ($(strip $(TEST_PEERS)),)
	$(PIP) install $(TEST_PEERS)
endif
	$(BIN)/python -m fastnn warmup
	$(BIN)/python -m pytest

# What tries to break what fastnn promises, for one to two hours, and writes docs/reliability.md.
attack: $(VENV)/dev.stamp
	$(BIN)/python -m fastnn warmup
	$(BIN)/python -m tests.attack --jsonl $(VENV)/attack.jsonl --report docs/reliability.md $(ATTACK)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

wheel: $(VENV)/dev.stamp
	$(BIN)/python -m fastnn.build --into build/libraries
	rm -rf build/wheel
	FASTNN_LIBRARIES=$(abspath build/libraries) $(BIN)/python -m build --wheel --outdir build/wheel
	$(BIN)/python tests/packaging/try_wheel.py build/wheel/*.whl $(TRY)

# All tests against what `make wheel` has made, at each width of vectors that this processor has.
test-wheel: | $(BIN)/python
	$(BIN)/python tests/packaging/try_suite.py $(TEST_WHEEL) build/wheel/*.whl

dashboard: $(VENV)/asv.stamp
	cd asv_benchmarks && $(abspath $(BIN))/python -m dashboard measure build serve \
		--commits $(COMMITS) --port $(PORT) $(DASHBOARD)

$(VENV)/%.stamp: pyproject.toml hatch_build.py | $(BIN)/python
	@echo "installing what is needed into $(VENV): half a minute or more"
	$(PIP) install --editable '.[$*]'
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .editable fastnn/kernels build demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
