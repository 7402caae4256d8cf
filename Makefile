# Two commands: `make demo` and `make test`. Each sets up all it needs in $(VENV).
PYTHON ?= python3
VENV ?= .venv
# More packages for the tests, such as torch, which some tests compare with.
TEST_PEERS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint clean

demo: $(VENV)/plot.stamp
	$(BIN)/python examples/compare_optimizers_mnist.py

test: $(VENV)/dev.stamp lint
ifneq ($(strip $(TEST_PEERS)),)
	$(PIP) install $(TEST_PEERS)
endif
	$(BIN)/python -m fastnn warmup
	$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/%.stamp: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[$*]'
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
