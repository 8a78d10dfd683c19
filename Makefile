# From a bare Python 3.11 and make: every target sets itself up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN ?= results/runs/baseline
# "ci": what CI runs; "frameworks": all.
TAG ?= frameworks

# One thread per process: two torch threads on two busy cores can be 50 times slower.
export OMP_NUM_THREADS ?= 1

.PHONY: setup train test test-all test-frameworks compatibility check docs bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV), once: a few minutes, most of them without a word"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train,dev,docs,browser]"
	touch $(STAMP)

train: $(STAMP)
	$(BIN)/spiral train --out $(RUN) $(if $(wildcard $(RUN)/config.json),--resume,--config train/baseline-v1-es.toml)
	$(BIN)/spiral evaluate --compare uniform,status_quo,scripted --compare $(RUN) --episodes 100

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" -n 2

test-all: $(STAMP)
	$(BIN)/python -m pytest -n 2

test-frameworks: $(STAMP)
	$(BIN)/nox -t $(TAG)

compatibility: $(STAMP)
	$(BIN)/nox -t $(TAG) -- record
	$(BIN)/python -m tests.frameworks.table

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m pytest -n 2 tests/pages
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo "open build/docs/index.html"

bench: $(STAMP)
	$(BIN)/spiral bench --out results/bench.json

clean:
	rm -rf $(VENV) .nox build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
