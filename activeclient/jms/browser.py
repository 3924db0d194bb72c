"""Looking at a queue without taking anything (jakarta.jms.QueueBrowser).

Law of this file: each iteration is a look of its own, with a consumer of its own that ends with it; nothing is
acknowledged, and nothing is shown twice: a session that was recreated looks from the beginning again.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from activeclient.client.closing import leave
from activeclient.destination import Queue
from activeclient.errors import ClosedError
from activeclient.jms.kinds import received_message
from activeclient.jms.message import Message
from activeclient.masking import never_raises

if TYPE_CHECKING:
    from activeclient.client.consumer import ClientConsumer
    from activeclient.jms.session import Session


class QueueBrowser:
    """Made by `Session.create_browser`; iterable, as often as one likes, started or not."""

    def __init__(self, session: Session, queue: Queue, selector: str | None, filter_string: str | None) -> None:
        self._session = session
        self._queue = queue
        self._selector = selector if selector and selector.strip() else None
        self._filter = filter_string
        self._open: set[ClientConsumer] = set()
        self._closed = False

    @property
    def queue(self) -> Queue:
        """What it looks at."""
        return self._queue

    @property
    def message_selector(self) -> str | None:
        """The selector that it was made with."""
        return self._selector

    @property
    def is_closed(self) -> bool:
        """Closed, itself or what it belongs to."""
        return self._closed or self._session.is_closed

    def __iter__(self) -> Iterator[Message]:
        if self._closed:
            raise ClosedError(self._session.closed_by_user or "the browser is closed")
        session = self._session
        session.check_open()
        core = session.core.create_consumer(
            self._queue.queue_name or self._queue.address, self._filter, browse_only=True
        )
        try:
            self._open.add(core)
            session.keep_browser(self)
            look = self._look(core)
            next(look)  # begun, it is closed when it is dropped
            return cast("Iterator[Message]", look)
        except BaseException:
            self._open.discard(core)
            core.abandon()
            raise

    def _look(self, core: ClientConsumer) -> Iterator[Message | None]:
        seen: set[tuple[int, int]] = set()  # two numbers for each message, for as long as the look lasts
        try:
            yield None
            while (message := core.receive(0)) is not None:
                known = (message.message_id, message.fingerprint)
                if known in seen:
                    continue
                seen.add(known)
                yield received_message(message, self._session, self._queue)
        except ClosedError:
            return
        finally:
            self._ended(core)
            core.close()

    def close(self) -> None:
        """End every look."""
        if self._session.is_forked:
            return
        self._closed = True
        for core in list(self._open):
            self._ended(core)
            core.close()

    def close_with_session(self) -> None:
        """End every look without waiting for the broker: closing its session does (called by the session)."""
        self._closed = True
        for core in list(self._open):
            self._ended(core)
            core.close_with_session(None)

    def _ended(self, core: ClientConsumer) -> None:
        self._open.discard(core)
        if not self._open:
            self._session.forget_browser(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<QueueBrowser {self._queue}>"
