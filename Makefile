# `make help` lists the targets. Everything is installed into .venv and built in _build; a second run
# repeats no finished work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The extra of pyproject.toml that is installed: everything, or only what the pages need (book).
EXTRA ?= test
INSTALLED := $(VENV)/.$(EXTRA)
BOOK := _build/.built
HTML := _build/html
COLAB := _build/colab/installed.txt
# Slow, and only `make test-all` runs them. The first runs two notebooks at a time by itself.
ON_COLAB := tests/notebooks/test_colab.py
MORE := tests/notebooks/test_device.py tests/book/test_engines.py tests/book/test_publishing.py
PYTEST := $(BIN)/python -m pytest
# In the order of their names, which begins with what takes longest: the browser.
TWO_AT_A_TIME := $(PYTEST) -n 2 --durations=60 --durations-min=2
BY_FILE := --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(ON_COLAB) $(MORE))
RERUN := $(BIN)/python tests/notebooks/portable.py

# One thread: small matrices run slower on several, and times stay comparable.
export OMP_NUM_THREADS := 1
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A backend chosen outside would keep figures out of the notebooks' outputs.
unexport MPLBACKEND

.PHONY: help book pdf test test-all unit colab portable notebooks verify bench clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## list the targets
	@echo "make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

book: $(BOOK) ## build the book as a web site in _build/html
	@echo "The book: file://$(CURDIR)/$(HTML)/index.html"

pdf: $(BOOK) ## print the whole book as _build/book.pdf
	$(BIN)/python book/_tools/print_book.py

define CHECK
$(BIN)/ruff check .
@$(BIN)/python book/_tools/browser.py || $(BIN)/python -m playwright install chromium 2>/dev/null || \
	echo "make: tests in a browser are skipped: install Chromium or Chrome, or name one in KANBOOK_BROWSER"
$(TWO_AT_A_TIME) $(BY_FILE)
endef

test: $(BOOK) ## run the tests: style, library, notebooks, book in a browser (15 minutes)
	$(CHECK)
	$(RERUN) native

# The notebooks run once: as on Colab, where the same outputs are compared and the same times watched.
test-all: $(BOOK) $(COLAB) ## run all tests: the notebooks as on Colab and on a pretended GPU, publishing
	$(CHECK)
	$(TWO_AT_A_TIME) $(MORE)
	$(PYTEST) $(ON_COLAB)

unit: $(INSTALLED) ## run the quick tests: all but those in a browser and the notebooks' re-run
	$(TWO_AT_A_TIME) $(BY_FILE) --ignore=tests/browser

colab: $(COLAB) ## run every notebook as on Colab (its versions, kanbook from the set-up cell) and an old processor
	$(PYTEST) $(ON_COLAB)

portable: $(INSTALLED) ## run every notebook as other processors would (ARGS=avx2: one setting)
	$(RERUN) $(ARGS)

notebooks: $(INSTALLED) ## run all notebooks, or NB="notebooks/01_splines.ipynb ...", and store their outputs
	$(BIN)/python book/_tools/run_notebooks.py $(NB)

verify: $(INSTALLED) ## make one stored run of every experiment again, and compare (ARGS="--rows 5": more)
	$(BIN)/python -m evidence verify --rows 1 --cheapest --seconds 60 $(ARGS)

bench: $(VENV)/.bench ## compare speed with other packages (an hour or more; ARGS=--quick: a minute or two)
	$(BIN)/python -m evidence.benchmark.speed $(ARGS)

clean: ## remove the built book and the environments
	rm -rf _build $(VENV)

# --- the environment ---------------------------------------------------------------------------

$(VENV)/bin/python:  # not of BIN: whoever sets it keeps .venv, which the recipe clears
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: no '$(PYTHON)' here; install Python 3.10 or newer, or name one: make book PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "make: $$($(PYTHON) --version 2>&1) is too old, 3.10 or newer is needed; name another: make book PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.%: constraints.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@

$(COLAB): tests/notebooks/colab.txt tests/notebooks/colab_environment.py $(INSTALLED)
	$(BIN)/python tests/notebooks/colab_environment.py

# --- the book ----------------------------------------------------------------------------------

SOURCES := _config.yml _toc.yml $(sort $(shell find book notebooks kanbook evidence -type f \
	-not -path '*/__pycache__/*' -not -path '*/.ipynb_checkpoints/*' 2>/dev/null))

# Changes when a source appears or goes, which no time stamp of a file shows.
_build/sources.txt: FORCE
	@mkdir -p _build
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@
FORCE:

# All pages are written, but those that did not change are not read again. What is neither a chapter nor
# a page may change any of them, and a build that failed leaves no $(BOOK): then from scratch.
$(BOOK): $(INSTALLED) $(SOURCES) _build/sources.txt
	rm -rf $(HTML) $(BOOK) \
		$(if $(filter-out notebooks/%.ipynb book/%.md,$?),_build/.doctrees _build/jupyter_execute)
	$(BIN)/jupyter-book build . -W -n --keep-going
	@touch $@
