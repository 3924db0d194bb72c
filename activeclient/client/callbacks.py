"""The completion handlers and message listeners of one session, one call at a time.

Law of this file: no user code runs under the lock, nor on the thread that reads; a callback that raises is logged and
counted, and harms none of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from activeclient.drivers.dispatch import Serial

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession

logger: logging.Logger = logging.getLogger("activeclient.callbacks")


class Callbacks(Serial):
    """Runs the completion handlers and message listeners of one session."""

    __slots__ = ("_session", "called")

    def __init__(self, session: ClientSession) -> None:
        super().__init__()
        self._session = session
        self.called: int = 0
        """Calls that have returned so far."""

    def run(self) -> None:
        facade = self._session
        engine = facade.engine
        pump = facade.pump
        work = engine.work
        while True:
            # Without the lock, which a sender in a hurry needs all the time: others only append.
            for _ in range(len(work)):
                self._guarded(work.popleft().run)
            with pump.lock:
                if pump.moving:
                    pump.repair()
                if work:
                    continue
                call = facade.next_for_listener()
                if call is None:
                    engine.work_announced = False
                    facade.forget_if_idle()
                    return
                if engine.client.pending_bytes:
                    pump.after_submit()
            self._guarded(call)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # SystemExit, CancelledError ... end a listener's call, not its session
            facade = self._session
            facade.last_callback_error = error
            facade.callback_errors += 1
            logger.exception("a callback of session %s raised", facade.engine.name)
        finally:
            self.called += 1
