# make demo: install and run the whole graph on generated photos.   make test: ruff, mypy, pytest.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DO_NOT_TRACK := 1
PIP := $(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint install clean help
help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/	/'

demo: $(VENV)/.installed ## install, check params.yaml, run the graph (dvc repro) and print the result
	@adrefine check
	dvc repro
	@adrefine summary

test: $(VENV)/.dev lint ## ruff, mypy and pytest
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	ruff check .
	ruff format --check .
	mypy

install: $(VENV)/.installed ## create .venv and install adrefine into it

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("adrefine needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP) -e '.[dev]'
	@touch $@

clean: ## delete what the stages made (not .venv, not your photos)
	rm -rf .adrefine .dvc/cache .dvc/tmp data/ingested data/noisy data/synthetic data/prepared data/refined models reports
