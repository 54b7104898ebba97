# Everything a person needs to type. `make help` lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run test lint format bench load machine lock clean setup-dev setup-debian web-test pytest

VENV := .venv
PY := $(VENV)/bin/python
SETUP := deploy/setup
STAMPS := $(VENV)/stamps
DATA ?= .data
PACKAGES := acd ivr sip media storage channels api exchange
CODE := $(PACKAGES) tests bench
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/vite.config.ts web/tsconfig.json

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMPS)/runtime web/dist/.built ## make .venv and the pages; a second time it does nothing

run: setup ## start everything on the directory .data (DATA=DIR for another)
	@exec $(VENV)/bin/switchroom serve --data $(DATA)

test: lint setup setup-debian web-test pytest ## all checks and all tests

pytest: setup setup-dev setup-debian ## the Python tests alone (TESTS=path for some)
	$(PY) -m $(if $(TESTS),pytest $(TESTS),tests)

web-test: $(STAMPS)/web
	$(SETUP)/web.sh test

lint: setup-dev $(STAMPS)/web ## formatting, types, import arrows, pages
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(SETUP)/web.sh lint

format: setup-dev ## format the Python code
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

bench: setup setup-dev setup-debian ## the figures of docs/performance.md (about 40 minutes)
	$(PY) -m bench

load: setup setup-dev setup-debian ## the long loads alone: whole calls, calls a second (about 25 minutes)
	$(PY) -m bench calls
	$(PY) -m bench rate

machine: setup setup-dev ## a million steps of the routing engine's random walk (about an hour; STEPS=, SEED= for others)
	$(PY) -m tests.acd.walks $(or $(STEPS),1000000) $(or $(SEED),0)

setup-dev: $(STAMPS)/dev

setup-debian: $(STAMPS)/debian

$(STAMPS)/venv: $(SETUP)/venv.sh $(SETUP)/uv.lock
	$(SETUP)/venv.sh
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: $(STAMPS)/venv requirements.lock $(SETUP)/build.lock pyproject.toml
	$(SETUP)/packages.sh runtime
	@touch $@

$(STAMPS)/dev: $(STAMPS)/runtime requirements-dev.lock
	$(SETUP)/packages.sh dev
	@touch $@

$(STAMPS)/debian: $(SETUP)/debian-test.txt | $(STAMPS)/venv
	$(SETUP)/debian.sh debian-test.txt
	@touch $@

$(STAMPS)/web: $(STAMPS)/venv web/package-lock.json
	$(SETUP)/web.sh install
	@touch $@

web/dist/.built: $(STAMPS)/web $(WEB_SOURCES)
	@echo "==> Building the pages"
	$(SETUP)/web.sh build
	@touch $@

lock: setup-dev ## renew the Python lock files within the bounds of pyproject.toml
	$(SETUP)/lock.sh

clean: ## remove what setup made (the data directory stays)
	rm -rf $(VENV) web/dist web/node_modules
	find . -name __pycache__ -not -path './web/*' -prune -exec rm -rf {} +
