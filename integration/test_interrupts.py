"""An interrupt at any place of any call costs the link at most: on each broker.

`ACTIVECLIENT_RAIN` multiplies the rounds, `ACTIVECLIENT_RAIN_SEED` is where the seeds begin.
"""

from __future__ import annotations

import os

import pytest

from activeclient import AcknowledgeMode
from integration.artemis import Broker
from integration.rain import MODES, Rain

TIMES = int(os.environ.get("ACTIVECLIENT_RAIN", "1"))
SEED = int(os.environ.get("ACTIVECLIENT_RAIN_SEED", "1"))


@pytest.mark.parametrize(
    "mode", [mode for mode in MODES if mode is not AcknowledgeMode.SESSION_TRANSACTED], ids=lambda mode: mode.name
)
def test_nothing_confirmed_is_lost_under_a_rain_of_interrupts(artemis: Broker, mode: AcknowledgeMode) -> None:
    if not artemis.reattaches:
        pytest.skip(
            "an interrupt amid a recreation may still lose a message: Recovery cannot be interrupted anywhere yet"
        )
    rain = Rain(f"{artemis.url()}?user=admin&password=admin", SEED)
    try:
        ledger = rain.over_messages(mode, f"rain.{mode.name}.{SEED}", 30 * TIMES)
        ledger.check()
        assert ledger.interrupts > 5
    finally:
        rain.close()
