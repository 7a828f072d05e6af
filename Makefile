# SPDX-License-Identifier: MIT
# Two commands set everything up on a fresh machine: `make demo` (no hardware needed) and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PORT ?=
ARGS ?=
PORT_ARGS := $(if $(PORT),--port $(PORT))
# What the tests use beside Python: two voices, a circuit simulator, a database, a browser.
DEBIAN := espeak-ng flite ngspice postgresql chromium

.PHONY: demo test quick lint bench soak firmware hardware flash calibrate watch review doctor debian clean

demo: .venv/installed
	$(BIN)/earlid demo $(ARGS)

test: .venv/installed-test debian lint
	$(BIN)/python -m pytest -n 2 -m "not soak" $(ARGS)

quick: .venv/installed-test
	$(BIN)/python -m pytest -q -x -m "not soak" tests/firmware tests/gate $(ARGS)

lint: .venv/installed-test build/typings/stamp
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/house/firmware_mypy.ini firmware/lid firmware/main.py firmware/boot.py

soak: .venv/installed-test debian
	$(BIN)/python -m pytest -n 2 -m soak $(ARGS)

bench: DEBIAN += valgrind
bench: .venv/installed-test debian
	$(BIN)/python -m tests.bench

firmware: .venv/installed
	$(BIN)/python -m earlid.flash.manifest

hardware: .venv/installed-test debian
	$(BIN)/python -m hardware

flash watch doctor calibrate: .venv/installed
	$(BIN)/earlid $@ $(PORT_ARGS) $(ARGS)

review: .venv/installed  # of the ledger, which asks no port
	$(BIN)/earlid review $(ARGS)

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -e '.[test,postgres,parquet,cluster]'
	touch $@ .venv/installed

build/typings/stamp: pyproject.toml | .venv/installed-test
	rm -rf build/typings
	$(BIN)/python -m pip install --quiet --target build/typings 'micropython-esp32-stubs>=1.24,<2'
	touch $@

debian:
	@sh tests/house/debian.sh $(DEBIAN)

clean:
	rm -rf .venv build
