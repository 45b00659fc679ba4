# make demo: install and run the whole graph on generated photos.   make test: ruff, mypy, pytest.
# make serve: Prefect with a schedule and the inbox.   make serve CRON="30 3 * * 1-5": at another time.
# make demo DETECTOR=efficientad: a small run with another detector; params.yaml then holds its settings.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DO_NOT_TRACK := 1
PIP := $(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt

# Kernels of a processor without AMX and AVX-512, on any x86: photos' features are then float32, not bfloat16.
avx2 := ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell

# Two processes; a file stays in one, for its tests share projects and servers.
pytest := OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo serve test test-all test-portable test-ui screenshots lint install clean help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/	/'

demo: $(VENV)/.installed ## install, check params.yaml, run the graph (dvc repro) and print the result
	@adrefine check
	@adrefine run $(if $(DETECTOR),-S detector=$(DETECTOR))
	@adrefine summary
	$(if $(DETECTOR),@echo "params.yaml holds the settings of this run; back: git checkout params.yaml")

test: $(VENV)/.dev lint ## ruff, mypy and pytest
	$(pytest) -m "not browser"

test-all: $(VENV)/.dev lint ## test and test-ui in one run, which shares what both need
	$(pytest)

test-portable: $(VENV)/.dev ## the tests of numbers again, as a processor without AMX and AVX-512 computes
	$(avx2) OMP_NUM_THREADS=1 python -m pytest -n 2 --dist worksteal tests/backbones tests/detectors tests/features tests/strategies

test-ui: $(VENV)/.dev ## Pages (review, report, Prefect) in a real browser (needs Chromium: apt-get install chromium)
	OMP_NUM_THREADS=1 python -m pytest -m browser

screenshots: export SCREENSHOTS := 1
screenshots: test-ui ## the pictures of Prefect in docs/ anew

lint: $(VENV)/.dev
	ruff check .
	ruff format --check .
	mypy

serve: $(VENV)/.installed ## run the graph every night and whenever photos arrive in the inbox; ctrl-C stops it
	@exec python flows/deployments.py $(if $(CRON),--cron "$(CRON)")

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
