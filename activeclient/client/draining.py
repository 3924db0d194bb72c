"""Draining a connection: it takes no new messages, and what was taken is finished before it is closed.

Law of this file: nothing is settled or thrown away here; a session counts as finished when no listener of it runs, and
nothing that it received waits for an acknowledgement, a commit or a rollback. The limit covers all of it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from activeclient.errors import ClosedError

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession
    from activeclient.client.session_factory import ClientSessionFactory


def drain_sessions(
    factory: ClientSessionFactory, facades: Iterable[ClientSession], deadline: float
) -> list[ClientSession]:
    """Let sessions receive nothing more, wait until each has finished, and return those that have not.

    Args:
        deadline: Until when, by the monotonic clock.
    """
    sessions = list(facades)
    for facade in sessions:
        facade.stop_receiving()
    for facade in sessions:
        facade.wait_for_callbacks(max(0.0, deadline - time.monotonic()))
    pump = factory.pump
    with pump.lock, pump.motion, contextlib.suppress(ClosedError):
        if not pump.closed:
            pump.wait(lambda: not any(facade.is_working for facade in sessions), max(0.0, deadline - time.monotonic()))
    return [facade for facade in sessions if facade.is_working or not facade.callbacks_idle]
