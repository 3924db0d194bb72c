"""What a session is made of.

Law of this file: a configuration never changes while its session lives; the window on the wire follows from it and from
what the server can do, never the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from activeclient.engine.buffer_bounds import Bound, ByBytes, ByMessages
from activeclient.wire.names import RECONNECTION_TIMEOUT, RECOVERY_BUFFER

IN_FLIGHT_LIMIT = 1 << 20
"""Bytes of sends that may wait for their answer when there is no command buffer (window -1): one default window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """What a session is made of; bytes and milliseconds as in Artemis."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = None
    xa: bool = False
    auto_commit_sends: bool = True
    auto_commit_acks: bool = True
    pre_acknowledge: bool = False
    window: int = -1
    """confirmationWindowSize."""
    recovery_messages: int | None = None
    """recoveryBufferSize: the buffer is bounded by so many messages, and by `window` bytes; None: by bytes alone."""
    reconnection_timeout: int | None = None
    """Milliseconds for which the server is asked to keep the session while its connection is lost; None: it is not
    asked, and the connection's TTL counts."""
    min_large_message_size: int = 102400
    producer_window: int = 65536
    max_frame_size: int = 100 << 20
    gate: bool = False
    """Recreate it only when the server has done with the one before, where that cannot be reattached."""

    @property
    def bound(self) -> Bound:
        """How much of what was sent is kept until it is confirmed."""
        size = self.window if self.window >= 1 else IN_FLIGHT_LIMIT
        return ByBytes(size) if self.recovery_messages is None else ByMessages(self.recovery_messages, size)

    @property
    def metadata(self) -> dict[str, str]:
        """What the server is told of the session, beyond its creation."""
        told = {RECOVERY_BUFFER: self.recovery_messages, RECONNECTION_TIMEOUT: self.reconnection_timeout}
        return {key: str(value) for key, value in told.items() if value is not None}

    def wire_window(self, *, reattach: bool) -> int:
        """What is asked of the server: a confirmation of each command, whatever the user's window.

        From a server that lets no session be reattached 0: it counts and confirms alike, but ends the session with
        its socket. With 1 it would keep it, and the messages delivered to it, until the connection's TTL.
        """
        return min(self.window, 1 if reattach else 0)
