# make         sets up .venv and runs the whole pipeline
# make setup   sets up .venv alone
# make test    sets up .venv and runs the tests
# make clean   removes what the pipeline has made; `dvc checkout` brings it back from DVC's cache
#
# VENV names the environment, so that a second clone can use the first one's: make VENV=../first/.venv

VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)

export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: all setup test clean

all: setup
	dvc repro

# The environment holds a copy of the requirements that it was made from: other ones are installed anew.
setup:
	@cmp -s requirements.txt "$(VENV)/requirements.txt" || { \
	  test -x "$(VENV)/bin/python" || "$(PYTHON)" -m venv "$(VENV)"; \
	  "$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt && \
	  cp requirements.txt "$(VENV)/requirements.txt"; \
	}

test: setup
	ruff check --quiet
	pytest

clean:
	rm -rf data/digits data/digits-source data/prepared models/*.safetensors metrics/timing .checkpoints
	find . -name .venv\* -prune -o \( -name '*.partial' -o -name '*.partial.*' \) -exec rm -rf {} +
