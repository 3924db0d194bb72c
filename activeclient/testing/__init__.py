"""Brokers and outages for the tests of programs that use this client.

Law of this package: nothing in it is imported by the client; what it starts ends with a `close` or a `with`; a name is
imported when it is first used, for pytest imports this package in runs that have nothing to do with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from activeclient.broker.embedded import EmbeddedBroker
    from activeclient.testing.app import AppUnderTest
    from activeclient.testing.broker import BrokerUnderTest
    from activeclient.testing.cuts import Cut, Direction, How, random_cuts
    from activeclient.testing.cutter import Cutter
    from activeclient.testing.leaks import Leaks
    from activeclient.testing.waiting import wait_until

__all__ = [
    "AppUnderTest",
    "BrokerUnderTest",
    "Cut",
    "Cutter",
    "Direction",
    "EmbeddedBroker",
    "How",
    "Leaks",
    "random_cuts",
    "wait_until",
]

_HOMES = {
    "AppUnderTest": "testing.app",
    "BrokerUnderTest": "testing.broker",
    "Cut": "testing.cuts",
    "Cutter": "testing.cutter",
    "Direction": "testing.cuts",
    "EmbeddedBroker": "broker.embedded",
    "How": "testing.cuts",
    "Leaks": "testing.leaks",
    "random_cuts": "testing.cuts",
    "wait_until": "testing.waiting",
}
"""Public name to the module that defines it."""


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'activeclient.testing' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"activeclient.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
