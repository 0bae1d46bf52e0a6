# Every target makes the environment it needs. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SITE := _build/html/index.html
CHAPTERS := $(wildcard chapters/*.ipynb)

# TensorFlow's notes on its build and the processor belong on no page; its errors still come through.
# oneDNN's kernels, which announce themselves, round differently from one processor to the next: they are off.
export TF_CPP_MIN_LOG_LEVEL := 3
export TF_ENABLE_ONEDNN_OPTS := 0
export PYTHONDONTWRITEBYTECODE := 1
# A Matplotlib backend for machines without a screen would leave the figures out of the chapters.
unexport MPLBACKEND
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book lab test bench lint links lock clean

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

book: $(SITE)  ## Build the book into _build/html; only chapters that changed are run
	@echo "The book is in $(abspath $(SITE))"

lab: $(VENV)/.installed  ## Open the chapters in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/chapters

test: $(SITE)  ## Build the book, then test the helpers, the chapters and the pages
	@$(BIN)/pytest

bench: $(VENV)/.installed  ## Measure speed, memory and accuracy beside TensorFlow
	@$(BIN)/python benchmarks/run.py

lint: $(VENV)/.installed  ## Check the style of code and notebooks, and what the workflows say
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check --diff
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml

links: $(SITE)  ## Follow the links that leave the book, which takes the internet
	@$(BIN)/jupyter-book build . --path-output _build/links --builder linkcheck --quiet >_build/links.log 2>&1 || { \
	  cat _build/links.log >&2; exit 1; }

lock: $(VENV)/.installed  ## Renew requirements.txt from pyproject.toml
	@echo '-e .[book,test]' | $(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest \
	  --python-version 3.11 --custom-compile-command 'make lock' --output-file requirements.txt -

clean:  ## Remove the environment and everything that was built
	@rm -rf $(VENV) _build

# uv where it is installed, for its speed; venv and pip otherwise. The stamp comes last, so a broken install is tried again.
$(VENV)/.installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
	  echo "The book needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is not one. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing the environment into $(VENV)"
	@if command -v uv >/dev/null; then \
	  { test -x $(BIN)/python || uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV); } && \
	  uv pip install --quiet --python $(VENV) --requirement requirements.txt; \
	else \
	  { test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV); } && \
	  $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --requirement requirements.txt; \
	fi
	@touch $@

# The cache knows the cells' code alone: what the cells import is watched here.
_build/.imports: $(VENV)/.installed $(wildcard helpers/*.py helpers/*.js)
	@rm -rf _build/.jupyter_cache _build/draft
	@mkdir -p _build && touch $@

# Sphinx re-reads a page when its source changes; what all pages share is watched here.
_build/.settings: _build/.imports _config.yml _toc.yml references.bib $(wildcard _ext/* _static/* benchmarks/*.json)
	@rm -rf _build/draft
	@touch $@

# The book is built aside and takes the old one's place when it is whole. A draft that failed is thrown away, since Sphinx
# would not repeat the warnings of pages that it has read.
$(SITE): _build/.settings index.md $(wildcard chapters/*)
	@$(BIN)/python _ext/run_chapters.py _build/.jupyter_cache $(CHAPTERS)
	@$(BIN)/jupyter-book build . --path-output _build/draft --quiet -W -n --keep-going >_build/sphinx.log 2>&1 || { \
	  cat _build/sphinx.log >&2; rm -rf _build/draft; exit 1; }
	@rm -rf _build/html && cp -R _build/draft/_build/html _build/html && touch $@
