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
SLOW := tests/notebooks/test_device.py tests/book/test_publishing.py
PYTEST := $(BIN)/python -m pytest
TWO_AT_A_TIME := $(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder --durations=30 --durations-min=2
RERUN := $(BIN)/python tests/notebooks/portable.py
# A PATH for `make bare`, and the programs there.
BARE := $(CURDIR)/_build/bare
SHELL_HAS := awk bash cat cmp cp env find grep ln make mkdir mv rm sed sh touch

# One thread: small matrices run slower on several, and times stay comparable.
export OMP_NUM_THREADS := 1
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A backend chosen outside would keep figures out of the notebooks' outputs.
unexport MPLBACKEND

.PHONY: help book pdf test test-all style unit browser rerun slow bare colab portable notebooks verify bench clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## list the targets
	@echo "make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

book: $(BOOK) ## build the book as a web site in _build/html
	@echo "The book: file://$(CURDIR)/$(HTML)/index.html"

pdf: $(BOOK) ## print the whole book as _build/book.pdf
	$(BIN)/python book/_tools/print_book.py

# Runs targets one after the other, whatever fails; says at the end which failed, and what was left
# out here because a program is missing.
define EACH
@failed=; for target in $(1); do $(MAKE) --no-print-directory $$target || failed="$$failed $$target"; done; \
	[ -z "$$failed" ] || echo "make: failed:$$failed"; \
	lacking=$$($(BIN)/python book/_tools/programs.py) || echo "make: left out: what $$lacking"; \
	[ -z "$$failed" ]
endef

test: $(INSTALLED) ## run the tests: style, library, book in a browser, notebooks
	$(call EACH,style unit browser rerun)

# The notebooks run once: as on Colab, where the same outputs are compared and the same times watched.
test-all: $(INSTALLED) ## run all tests: the notebooks as on Colab and on a pretended GPU, publishing
	$(call EACH,style unit browser slow colab bare)

style: $(INSTALLED) ## check the style
	$(BIN)/ruff check .

unit: $(INSTALLED) ## run the quick tests: all but those in a browser and the notebooks' re-run
	$(TWO_AT_A_TIME) $(addprefix --ignore=,tests/browser $(ON_COLAB) $(SLOW))

browser: $(BOOK) ## run the tests in a browser, which Playwright fetches if there is none
	@$(BIN)/python book/_tools/programs.py chromium || $(BIN)/python -m playwright install chromium 2>/dev/null || true
	$(TWO_AT_A_TIME) tests/browser

rerun: $(INSTALLED) ## run every notebook, compare its outputs with the stored ones, watch its time
	$(RERUN) native

slow: $(INSTALLED) ## run the slow tests: chapters on a pretended GPU, publishing
	$(TWO_AT_A_TIME) $(SLOW)

bare: $(INSTALLED) ## run the quick tests and the chapter of engines on a PATH without programs that they need
	@rm -rf $(BARE) && mkdir -p $(BARE)
	@for name in $(SHELL_HAS); do ln -s "$$(command -v $$name)" $(BARE) || exit 1; done
	CI= KANBOOK_BROWSER= PATH=$(BARE) $(MAKE) --no-print-directory unit
	CI= PATH=$(BARE) $(RERUN) native notebooks/*_engines.ipynb

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
