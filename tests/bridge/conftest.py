# SPDX-License-Identifier: MIT
"""Fixtures: a Mosquitto, somebody who listens to it, ledgers that fill, bridges that end with the test."""

from __future__ import annotations

import pytest

from tests.bridge.brokers import MOSQUITTO, Home, Listener, Mosquitto, Running
from tests.ledger.conftest import location, postgres_location, postgres_server  # noqa: F401


@pytest.fixture
def mosquitto(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("no Mosquitto here (apt-get install mosquitto)")
    one = Mosquitto(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def listener(mosquitto):
    one = Listener(mosquitto)
    yield one
    one.stop()


@pytest.fixture
def home(sqlite_location):
    one = Home(sqlite_location)
    yield one
    one.ledger.close()


@pytest.fixture
def run(mosquitto, home):
    started = []

    def start(**options):
        started.append(Running(mosquitto, home.location, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()
