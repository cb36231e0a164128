# `make help` lists the targets. Everything is installed into .venv and built in _build; a second run
# repeats no finished work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BOOK := _build/.built
HTML := _build/html
COLAB := _build/colab/installed.txt
IN_BROWSER := tests/test_book.py tests/test_jupyterlab.py tests/test_playground_page.py
ON_OTHERS := tests/test_colab.py tests/test_device.py
TWO_AT_A_TIME := $(BIN)/python -m pytest -n 2

# One thread: small matrices run slower on several, and times stay comparable.
export OMP_NUM_THREADS := 1
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A backend chosen outside would keep figures out of the notebooks' outputs.
unexport MPLBACKEND

.PHONY: help book test unit colab notebooks verify bench clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## list the targets
	@echo "make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

book: $(BOOK) ## build the book as a web site in _build/html
	@echo "The book: file://$(CURDIR)/$(HTML)/index.html"

test: $(BOOK) $(COLAB) ## run every test: style, library, notebooks, the same as on Colab, book in a browser
	$(BIN)/ruff check .
	$(BIN)/python -m pytest $(addprefix --ignore=,$(ON_OTHERS))
	KANBOOK_BUDGET_FACTOR=$${KANBOOK_BUDGET_FACTOR:-2} \
		$(TWO_AT_A_TIME) --dist loadfile -p tests.notebooks.notebook_budget --nbval --nbval-current-env \
		--nbval-cell-timeout=300 --nbval-sanitize-with=tests/notebooks/nbval_sanitize.cfg notebooks
	$(TWO_AT_A_TIME) --durations=0 --durations-min=1 $(ON_OTHERS)

unit: $(INSTALLED) ## run the quick tests: all but those in a browser and the notebooks' re-run
	$(BIN)/python -m pytest $(addprefix --ignore=,$(IN_BROWSER) $(ON_OTHERS))

colab: $(COLAB) ## run every notebook as on Colab: its versions, kanbook from the set-up cell
	$(TWO_AT_A_TIME) --durations=0 --durations-min=1 tests/test_colab.py

notebooks: $(INSTALLED) ## run all notebooks, or NB="notebooks/01_splines.ipynb ...", and store their outputs
	$(BIN)/python book/_tools/run_notebooks.py $(NB)

verify: $(INSTALLED) ## make one stored run of every experiment again, and compare (ARGS="--rows 5": more)
	$(BIN)/python -m kanbook.experiments verify --rows 1 --cheapest --seconds 60 $(ARGS)

bench: $(VENV)/.bench ## compare speed with other packages (half an hour; ARGS=--quick: a minute)
	$(BIN)/python tests/bench/benchmark.py $(ARGS)

clean: ## remove the built book and the environments
	rm -rf _build $(VENV)

# --- the environment ---------------------------------------------------------------------------

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: no '$(PYTHON)' here; install Python 3.10 or newer, or name one: make book PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "make: $$($(PYTHON) --version 2>&1) is too old, 3.10 or newer is needed; name another: make book PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(INSTALLED): requirements.txt constraints.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@

$(COLAB): tests/colab.txt tests/colab_environment.py $(INSTALLED)
	$(BIN)/python tests/colab_environment.py

# --- the book ----------------------------------------------------------------------------------

SOURCES := _config.yml _toc.yml $(sort $(shell find book notebooks kanbook -type f \
	-not -path '*/__pycache__/*' -not -path '*/.ipynb_checkpoints/*' 2>/dev/null))

# Changes when a source appears or goes, which no time stamp of a file shows.
_build/sources.txt: FORCE
	@mkdir -p _build
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@
FORCE:

# From scratch each time: an incremental build keeps deleted pages, and hides a warning of the last run.
$(BOOK): $(INSTALLED) $(SOURCES) _build/sources.txt
	rm -rf $(HTML) _build/.doctrees _build/jupyter_execute $(BOOK)
	$(BIN)/jupyter-book build . -W -n --keep-going
	@touch $@
