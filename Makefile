# make         sets up .venv and runs the whole pipeline
# make setup   sets up .venv alone
# make test    sets up .venv and runs the tests
# make check   sets up .venv and runs the linter and the quick tests
# make test-avx2  runs the tests that compute with networks as on a processor without AVX-512 and bfloat16
# make test-gpu   runs the tests that need a GPU, one after another
# make clean   removes what the pipeline has made; `dvc checkout` brings it back from DVC's cache
#
# VENV names the environment, so that a second clone can use the first one's: make VENV=../first/.venv

VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTEST := pytest --numprocesses logical --maxprocesses 8 --maxschedchunk 1

export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: all setup environment test check lint test-avx2 test-gpu clean

all: setup
	dvc repro

setup: environment .dvc/plots_page.html

.dvc/plots_page.html: requirements.txt $(wildcard tools/plots_page/*.*) | environment
	@python -m tools.plots_page

# The environment holds a copy of the requirements that it was made from: other ones are installed anew.
environment:
	@cmp -s requirements.txt "$(VENV)/requirements.txt" || { \
	  "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Plumbline needs Python 3.11: make PYTHON=...")' && \
	  echo "Setting up $(VENV); this takes a few minutes once" && \
	  { test -x "$(VENV)/bin/pip" || "$(PYTHON)" -m venv "$(VENV)"; } && \
	  "$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt && \
	  cp requirements.txt "$(VENV)/requirements.txt"; \
	}

test: setup lint
	$(PYTEST)

check: setup lint
	$(PYTEST) -m "not slow and not medium"

test-avx2: export ONEDNN_MAX_CPU_ISA := AVX2
test-avx2: export ATEN_CPU_CAPABILITY := avx2
test-avx2: setup
	$(PYTEST) -m "not slow or trained_numbers" tests/plumbline/training tests/stages/curvature \
	  tests/stages/evaluate tests/stages/export tests/stages/finetune tests/stages/gallery tests/tools/predict

test-gpu: setup
	@python -c 'import sys, torch; torch.cuda.is_available() or sys.exit("torch sees no GPU, and these tests need one")'
	pytest -m gpu tests/gpu

lint: environment
	ruff check --quiet
	ruff format --check --quiet

clean:
	rm -rf data/audit data/certificates data/derivations data/digits data/digits-source data/figures data/gallery
	rm -rf data/prepared data/pretrained_pixels.json models report plots/gallery.png metrics/timing dvc_plots
	rm -rf data/*.partial metrics/*.partial.* plots/*.partial.*
