# SPDX-License-Identifier: MIT
# Two commands set everything up on a fresh machine: `make demo` (no hardware needed) and `make test`.
PYTHON ?= python3
# The default Python's packages stand in .venv, those of another (`make test PYTHON=python3.13`) in .venv-3.13.
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
BIN := $(VENV)/bin
# What every verb needs that `make` runs; and what the tests need besides.
VERBS := calibrate,demo,evaluate
EXTRAS := $(VERBS),train,test,postgres,parquet,cluster,mqtt,tsa,mic
# Three for two cores: tests that hold a board or a browser to real time wait more than they compute.
XDIST := -n 3 --dist worksteal
# Three processes read the tests, and many `earlid` start: what Python compiled is kept, whatever a container's environment says.
unexport PYTHONDONTWRITEBYTECODE
PORT ?=
ARGS ?=
PORT_ARGS := $(if $(PORT),--port $(PORT))
SIDE_BY_SIDE = @$(MAKE) --no-print-directory -j2 -O
# What the tests use beside Python: two voices, a decoder of sound, what opens a microphone, a circuit simulator, a database, a browser, a broker, a judge of units, a webhook, npm.
DEBIAN := espeak-ng flite ffmpeg libportaudio2 ngspice postgresql chromium kicad kicad-footprints kicad-symbols openscad mosquitto systemd curl $(if $(shell command -v npm),,nodejs npm)

.PHONY: demo test test-lowest pytest collected page quick lint bench bench-detection words soak fuzz firmware hardware web release flash pair calibrate watch review doctor debian clean

demo: $(VENV)/installed
	$(BIN)/earlid demo $(ARGS)

test: $(VENV)/installed-test debian
	$(SIDE_BY_SIDE) page build/ibom/stamp collected
	@$(MAKE) --no-print-directory -j2 lint pytest

pytest:
	$(BIN)/python -m pytest $(XDIST) -m "not soak" $(ARGS)

# Every worker reads the tests at once: compiled beforehand, by one. What is wrong with them the workers say.
collected: $(VENV)/installed-test
	@$(BIN)/python -m pytest --collect-only -qq > /dev/null 2>&1 || true

# The oldest versions that pyproject.toml allows, each package at its lowest bound.
test-lowest: .venv-lowest/installed debian
	$(SIDE_BY_SIDE) page build/ibom/stamp
	.venv-lowest/bin/python -m pytest $(XDIST) -m "not soak" $(ARGS)

# The flashing page, where there is npm to build it with; its tests are skipped elsewhere.
page: $(if $(shell command -v npm),build/web/stamp)

quick: $(VENV)/installed-test
	$(BIN)/python -m pytest -q -x -m "not soak" tests/firmware tests/gate $(ARGS)

lint: $(VENV)/installed-test build/typings/stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/house/firmware_mypy.ini firmware/lid firmware/main.py firmware/boot.py

soak: $(VENV)/installed-test debian
	$(BIN)/python -m pytest -n 2 -m soak $(ARGS)

# Every reader of foreign bytes, for a time that they share; what is found is kept in build/fuzz, and repeated by the command shown.
SECONDS ?= 600
fuzz: $(VENV)/installed-fuzz build/web-tables.mjs debian
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

# A real Home Assistant, in an environment of its own; josepy 2 lacks what its acme imports.
test-ha: $(VENV)/installed-test debian
	test -x build/homeassistant/bin/hass || { $(PYTHON) -m venv build/homeassistant && build/homeassistant/bin/pip install --quiet \
	  homeassistant==2024.3.3 paho-mqtt==1.6.1 janus==1.0.0 'josepy<2' acme==2.8.0; }
	$(BIN)/python -m pytest -p no:rerunfailures tests/bridge/home_assistant.py $(ARGS)

bench: DEBIAN += valgrind
bench: $(VENV)/installed-test debian
	$(BIN)/python -m tests.bench

# Every engine for "alexa" on the same audio: hours at first, then only what is new. ARGS=--quick: minutes.
bench-detection: $(VENV)/installed-bench
	@sh tests/house/debian.sh $$($(BIN)/python -m tests.bench.detection.data)
	$(BIN)/python -m tests.bench.detection $(ARGS)

# The words of the field, trained on this computer and judged: perhaps an hour each. ARGS="'open sesame'": only that.
words: $(VENV)/installed-test debian
	$(BIN)/python -m tests.bench.words $(ARGS)

firmware: $(VENV)/installed
	$(BIN)/python -m earlid.gate.tables
	$(BIN)/python -m earlid.gate.kernel_generator
	$(BIN)/python -m earlid.flash.manifest
	$(BIN)/python -m earlid.board.protocol_page
	$(BIN)/python -m earlid.flash.memory_plan

# The flashing page and the one that checks reports, a static folder: `python3 -m http.server -d build/web`. With MicroPython's release (IMAGE=FILE) also the images that it offers.
web: build/web/stamp
	$(if $(IMAGE),$(BIN)/python host/wheel/release.py --image '$(IMAGE)' --images build/web/images)

build/web/stamp: $(wildcard web/* web/src/*) build/web-tables.mjs build/verify.html build/npm/stamp
	node web/build.mjs build/web build/npm
	touch $@

# What the pages take from the host; written anew only where it has changed.
build/web-tables.mjs: $(VENV)/installed FORCE
	@mkdir -p build
	@$(BIN)/python -m earlid.flash.web_tables > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

build/verify.html: $(VENV)/installed FORCE
	@mkdir -p build
	@$(BIN)/earlid verify --html $@.new 2>/dev/null
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

build/npm/stamp: web/package.json web/package-lock.json web/.npmrc | debian
	rm -rf build/npm
	mkdir -p build/npm
	cp web/package.json web/package-lock.json web/.npmrc build/npm
	cd build/npm && npm ci --no-progress --loglevel=error
	touch $@

FORCE:

# What is published, in build/release/: host/wheel/RELEASING.md
release: $(VENV)/installed-test build/web/stamp
	$(BIN)/python host/wheel/release.py $(if $(IMAGE),--image '$(IMAGE)') $(if $(KEY),--key '$(KEY)') $(ARGS)

hardware: DEBIAN += xvfb fonts-liberation
hardware: $(VENV)/installed-test debian build/ibom/stamp
	$(BIN)/python -m hardware

flash pair watch doctor calibrate: $(VENV)/installed
	$(BIN)/earlid $@ $(PORT_ARGS) $(ARGS)

review: $(VENV)/installed  # of the ledger, which asks no port
	$(BIN)/earlid review $(ARGS)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[$(VERBS)]'
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'
	touch $@ $(VENV)/installed

$(VENV)/installed-bench: pyproject.toml | $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS),bench]'
	touch $@

$(VENV)/installed-fuzz: pyproject.toml | $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS),fuzz]'
	touch $@

.venv-lowest/installed: pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet 'uv>=0.5,<1'
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[$(EXTRAS)]'
	touch $@

build/typings/stamp: pyproject.toml | $(VENV)/installed-test
	rm -rf build/typings
	$(BIN)/python -m pip install --quiet --target build/typings 'micropython-esp32-stubs>=1.24,<2'
	touch $@

# KiCad's own Python runs it, so it lies beside the environment, not in it.
build/ibom/stamp: pyproject.toml | $(VENV)/installed-test
	rm -rf build/ibom
	$(BIN)/python -m pip install --quiet --no-deps --target build/ibom 'InteractiveHtmlBom==2.12.0'
	touch $@

debian:
	@sh tests/house/debian.sh $(DEBIAN)

clean:
	rm -rf .venv .venv-* build
