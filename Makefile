# The only commands people learn; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Names the tree that is installed: a changed pin makes a stale environment install again.
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# uv installs the tree in a sixth of pip's time; where it cannot (a mirror that only pip knows), pip does.
UV := 0.13.9
PORT ?= 8000
# Chapters are UTF-8, whatever the locale.
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help environment book pdf epub site test test-quick bench serve live lint format requirements clean

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 book")'
	@# Where python3-venv is missing, Debian leaves an environment without pip.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || { echo "python3 -m venv failed: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the pinned tree into $(VENV) …"
	@$(PIP) uv==$(UV) && $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt \
		|| { echo "uv could not; trying pip, which takes a minute …"; $(PIP) -r requirements.txt; }
	@$(PIP) --no-deps --editable .
	@touch $@

environment: $(READY)  ## Make .venv and install the pinned tree

# The library that runs cells in pages. It is one prebuilt package, so npm installs that alone; where
# npm is missing the pages have no button for it, and every other promise holds.
LIVE := _build/npm/node_modules/thebe-core/package.json
$(LIVE): book/live/package.json book/live/package-lock.json
	@mkdir -p _build/npm && cp $^ _build/npm
	@if ! command -v npm >/dev/null; then echo "npm is missing: the pages are built without the button that runs their cells"; \
	elif npm ci --prefix _build/npm --ignore-scripts --no-audit --no-fund --loglevel error >/dev/null; then touch $@; \
	else echo "npm could not fetch thebe-core: the pages are built without the button that runs their cells" >&2; fi

book: $(READY) $(LIVE)  ## Build the site into _build/html, running every chapter that changed
	@$(BIN)/python book/build.py

pdf: $(READY)  ## Make the book as _build/from-kernel-to-cluster.pdf (needs xelatex; says how to get it)
	@$(BIN)/python book/build.py --builder pdf

epub: $(READY)  ## Make the book for electronic readers, _build/from-kernel-to-cluster.epub
	@$(BIN)/python book/build.py --builder epub

site: pdf epub book  ## Make all that is to be published: _build/html with the PDF and the epub in it

test: $(READY) $(LIVE)  ## Run everything: unit tests, doctests, chapter checks, every chapter's cells
	@$(BIN)/python tests/run.py

test-quick: $(READY)  ## Run the tests that take seconds
	@$(BIN)/python -m pytest -q -m "not slow and not book and not browser and not cluster"

# TensorFlow and PyTorch are needed for nothing else, so they have an environment of their own.
BENCH := _build/bench-venv
$(BENCH)/.ready: requirements.txt benchmarks/requirements.txt pyproject.toml
	@$(PYTHON) -m venv --clear $(BENCH)
	@echo "Installing TensorFlow and PyTorch into $(BENCH) …"
	@grep -v '^h5py==' requirements.txt > $(BENCH)/constraints.txt
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r benchmarks/requirements.txt -c $(BENCH)/constraints.txt --editable .
	@touch $@

bench: $(BENCH)/.ready  ## Time training against TensorFlow and PyTorch, on a machine that does nothing else
	@$(BENCH)/bin/python benchmarks/speed.py

serve: book  ## Show the site on http://127.0.0.1:8000 (PORT=… for another port)
	@echo "The book is at http://127.0.0.1:$(PORT) (Ctrl-C ends)"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

live: book  ## Show the site on this computer, with cells that can be changed and run in the page
	@$(BIN)/python book/serve_live.py --port $(PORT)

lint: $(READY)  ## Check the code's style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY)  ## Rewrite the code in the agreed format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

requirements: $(READY)  ## Resolve requirements.in into requirements.txt, for every platform
	@$(PIP) uv==$(UV)
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make requirements" --quiet requirements.in -o requirements.txt

clean:  ## Remove what the commands made, the environment included
	rm -rf _build $(VENV) *.egg-info .pytest_cache .ruff_cache .hypothesis
