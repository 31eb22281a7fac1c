# Each target is one call of a real tool; `make start` is all that a reader needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.PHONY: start book print app check test bench notebooks stamp lint clean help

start: $(READY)  ## install, fetch data, build the book, open book and explorer
	$(BIN)/python tools/start.py

book: $(READY)  ## build the book into _build/html
	$(BIN)/python tools/build.py

print: $(READY)  ## the whole book on one page, and as PDF where there is a Chromium, in _build/print
	$(BIN)/python tools/build.py --print

app: $(READY)  ## open the explorer
	$(BIN)/python -m app

check: $(READY)  ## style, types, floors and the fast tests: an answer in minutes
	$(BIN)/python tools/test.py --check

test: $(READY)  ## install a browser if there is none, then lint, types, all tests and notebooks
	$(BIN)/python tools/test.py

bench: $(READY)  ## train every model on every data set; goes on after an interrupt
	$(BIN)/python -m bench.leaderboard

notebooks: $(READY)  ## run all chapters and store their outputs
	$(BIN)/python tools/execute.py

stamp: $(READY)  ## write addresses and headers into the chapters
	$(BIN)/python tools/stamp.py

lint: $(READY)  ## check code style, types and the chapters' template
	$(BIN)/python tools/test.py --lint

clean:  ## remove the environment and the built book
	rm -rf $(VENV) _build

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "recsys-lite needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	touch $(READY)
