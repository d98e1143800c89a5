# Everything happens in .venv, which is made on the first call and brought up to date when setup.py changes.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint types check results clean

demo: $(STAMP)
	$(BIN)/robustfeat demo

# One thread each: workers that share cores with many threads wait for each other.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# mypy sees the package as it is installed, with tasks/ inside it.
types: $(STAMP)
	$(BIN)/python setup.py -q build_py --build-lib build/types
	$(BIN)/mypy build/types/robustfeat

check: test lint types

$(STAMP): setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip setuptools
	$(BIN)/python -m pip install -q -e ".[cpu,dev]"
	touch $(STAMP)

# The tables of published models, after robustfeat publish.
results: $(STAMP)
	$(BIN)/robustfeat results --write .

clean:
	rm -rf $(VENV) build *.egg-info demo
