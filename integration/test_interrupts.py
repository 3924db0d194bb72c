"""An interrupt at any place of any call costs the link at most: on each broker.

`ACTIVECLIENT_RAIN` multiplies the rounds, `ACTIVECLIENT_RAIN_SEED` is where the seeds begin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from activeclient import AcknowledgeMode
from integration.artemis import Broker
from integration.rain import MODES, Rain
from integration.scenarios import CLOSES_IN_AN_OUTAGE, SCENARIOS

TIMES = int(os.environ.get("ACTIVECLIENT_RAIN", "1"))
SEED = int(os.environ.get("ACTIVECLIENT_RAIN_SEED", "1"))


@pytest.fixture
def rain(artemis: Broker) -> Iterator[Rain]:
    made = Rain(f"{artemis.url()}?user=admin&password=admin", SEED)
    yield made
    made.close()


@pytest.mark.parametrize(
    "mode", [mode for mode in MODES if mode is not AcknowledgeMode.SESSION_TRANSACTED], ids=lambda mode: mode.name
)
def test_nothing_confirmed_is_lost_under_a_rain_of_interrupts(rain: Rain, mode: AcknowledgeMode) -> None:
    ledger = rain.over_messages(mode, f"rain.{mode.name}.{SEED}", 30 * TIMES)
    ledger.check()
    assert ledger.interrupts > 5


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in CLOSES_IN_AN_OUTAGE])
def test_every_call_keeps_its_promise_when_it_is_interrupted(rain: Rain, name: str) -> None:
    rain.over_calls(name, TIMES)
