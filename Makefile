# Everything happens in .venv, which is made on the first call and brought up to date when setup.py changes.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint types check results rehearsal clean

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

# The recipes on the packages of a bare GPU machine, for a few steps on the CPU. PYTHON312 may name an interpreter, and REHEARSAL_VENV
# an environment that is ready.
PYTHON312 ?= $(firstword $(shell for p in $$(command -v python3.12) $(wildcard $(HOME)/.pyenv/versions/3.12*/bin/python); do \
	$$p -c "import sys; sys.exit(sys.version_info[:2] != (3, 12))" 2>/dev/null && echo $$p; done))
ifeq ($(origin REHEARSAL_VENV),undefined)
REHEARSAL_VENV := .venv-rehearsal
REHEARSAL_STAMP := $(REHEARSAL_VENV)/.installed
endif

ifneq ($(PYTHON312)$(REHEARSAL_STAMP),$(REHEARSAL_STAMP))
rehearsal: $(REHEARSAL_STAMP)
	PYTHONPATH=$(CURDIR) OMP_NUM_THREADS=1 $(REHEARSAL_VENV)/bin/python -m recipes.rehearsal
else
rehearsal:
	@echo "no rehearsal: there is no Python 3.12 on the PATH or below ~/.pyenv; name one with PYTHON312="
endif

.venv-rehearsal/.installed: recipes/requirements.txt
	test -x .venv-rehearsal/bin/python || $(PYTHON312) -m venv .venv-rehearsal
	.venv-rehearsal/bin/python -m pip install -q -r recipes/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) .venv-rehearsal build *.egg-info demo
