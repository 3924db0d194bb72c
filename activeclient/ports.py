"""What the layers ask of each other, as protocols.

Law of this file: a driver knows the engine only by `Engine`; whatever stands here must be implementable by threads,
asyncio and an in-memory pipe alike. Times are seconds of any monotonic clock, handed in as `now`.
"""

from __future__ import annotations

from typing import Protocol

from activeclient.errors import ActiveClientError
from activeclient.events import Event


class Engine(Protocol):
    """One connection to a broker with its sessions, reconnecting included: bytes and time in, bytes and events out.

    No method blocks or does I/O. Methods never raise for what the peer did: that becomes an event and an orderly loss
    of the link. The driver serialises all calls with one lock (or one loop).

    After each call that can change something the driver does, in this order: take all events (`next_event`), then
    write `data_to_send`, then look at `next_timeout` before it sleeps.
    """

    pending_bytes: int
    """Bytes that `data_to_send` would return; read on the hot path."""

    def open(self, now: float) -> None:
        """Begin to connect; `Connect` follows as an event."""

    def connection_made(self, now: float) -> None:
        """The transport that `Connect` asked for stands."""

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes came from the transport."""

    def connection_lost(self, reason: ActiveClientError, now: float) -> None:
        """The transport ended, or the attempt to open it failed; the driver forgets what was not written."""

    def data_to_send(self) -> list[bytes]:
        """Take the frames that wait to be written, in order. The driver writes all of them or reports the loss."""

    def next_event(self) -> Event | None:
        """Take the next event, or None."""

    def handle_timeout(self, now: float) -> None:
        """A deadline may have passed."""

    def next_timeout(self) -> float | None:
        """The earliest deadline, or None."""

    def close(self, now: float) -> None:
        """Close for good, also while reconnecting; `Abort` and `Closed` follow as events."""
