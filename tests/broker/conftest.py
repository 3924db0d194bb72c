"""What tests of the broker in packets begin with."""

from __future__ import annotations

import pytest

from tests.broker.peer import Peer, World


@pytest.fixture
def peer() -> Peer:
    """A client with a session of window 1 and the queue `q`: one command counted, one packet received."""
    made = World().connect()
    made.session()
    made.queue()
    return made
