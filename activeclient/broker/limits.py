"""What a client may cost before it is stopped.

Law of this file: every number that keeps one client from harming the others stands here, with what happens at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from activeclient.errors import ConfigError
from activeclient.masking import always_shown

STRANGER_FRAME: Final = 64 * 1024
"""Largest frame of a connection without a session: creating one needs no more. Beyond it the connection is closed."""


@always_shown
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds.

    Raises:
        ConfigError: A value that is not positive; names it.
    """

    max_connections: int = 1000
    """One more is closed at once."""
    max_sessions: int = 1000
    """Of one connection; one more is refused (code 112)."""
    max_consumers: int = 10_000
    """Of one session; one more is refused (code 104)."""
    max_metadata: int = 100
    """Pairs of one session; one more is refused (code 104)."""
    max_frame_size: int = 100 * 1024 * 1024
    """A longer frame closes the connection."""
    handshake_timeout: float = 10.0
    """From the connection to its first whole frame; after it the connection is closed."""
    outgoing_high: int = 1024 * 1024
    """Bytes that a client has not taken, from which on it gets no messages and is not read any more; its TTL runs."""
    unconfirmed_high: int = 64 * 1024 * 1024
    """Bytes sent that a session has not confirmed, from which on it gets no messages."""
    unconfirmed_limit: int = 256 * 1024 * 1024
    """Where the connection is closed and the session ends: it never confirms."""
    pending_commands: int = 100_000
    """Commands of a session that wait for storage, from which on its connection is not read until half of them are
    stored."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ConfigError(name, getattr(self, name), "must be positive")
