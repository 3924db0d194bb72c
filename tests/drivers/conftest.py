"""Every test here fails if it leaves a thread or a descriptor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from activeclient.drivers.threads import Pump
from tests.drivers.fakes import PATIENCE, LineEngine, Peers, descriptors, ours, until

Made = tuple[Pump, LineEngine, Peers]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    until(lambda: not ours())
    until(lambda: descriptors() <= before)


@pytest.fixture
def make() -> Iterator[Callable[..., Made]]:
    """Makes started pumps whose transport stands, and closes them."""
    made: list[Made] = []

    def factory(*, linger: float = 0.001, connected: bool = True, retry: float = 0.0) -> Made:
        engine, peers = LineEngine(retry), Peers()
        pump = Pump(engine, peers.open, lambda event: None, linger=linger, name="test")
        made.append((pump, engine, peers))
        pump.start()
        if connected:
            with pump.lock:
                assert pump.wait(lambda: pump.connected, PATIENCE)
        return pump, engine, peers

    yield factory
    for pump, _, peers in made:
        pump.close()
        peers.close()
