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

LARGE_BODY_MEMORY: Final = 64 * 1024 * 1024
"""Bytes of all large bodies together that are in memory, the unfinished ones included; beyond it a body goes to the
spill file from its first byte."""
LEAST_FREE_DISK: Final = 256 * 1024 * 1024
LEAST_FREE_SHARE: Final = 0.1
"""Free bytes, or share, of the disk of temporary files (the smaller of both), below which large bodies are refused:
other programs use it too."""
OPEN_FILES: Final = 8
"""Stored large bodies that are open at a time: one that waits holds no descriptor."""
SPARE_DESCRIPTORS: Final = 16
"""File descriptors below the limit of the process that no connection gets: the store and the spill file need them."""

OVERDRAFT_SHARE: Final = 0.25
OVERDRAFT_BYTES: Final = 16 * 1024 * 1024
OVERDRAFT_MESSAGES: Final = 10_000
"""By how much an address that blocks (or the whole broker) may exceed its bound: the larger of that share and that
number. Producers that keep to their credits stay below it, since what they were granted fits; a message beyond it fails
as with FAIL (code 210), so a client that ignores its credits cannot fill the memory."""
MAX_NAME: Final = 4096
"""Characters of the name of an address, a queue, a session, a client or a user: one that is longer is refused."""
MAX_SELECTOR: Final = 65_536
"""Characters of a selector; one that is longer is refused (code 103)."""
MAX_QUEUES: Final = 100_000
"""Queues of the broker, and addresses: one more is refused (code 210). An empty one takes about 5 kB."""
MAX_BRANCHES: Final = 100_000
"""XA branches that are open, prepared, or decided by an administrator: one more is refused (XAER_RMERR)."""
MAX_HELD_IDS: Final = 1_000_000
"""Duplicate ids in all open transactions: the transaction of one more cannot commit (code 210). The ids of messages
that go nowhere are in no other account."""
MAX_IDS: Final = 2_000_000
"""Duplicate ids that all addresses remember together; beyond it the addresses that used theirs for longest ago forget
them."""
MAX_TIMERS: Final = 10_000
"""Queues that wait for their `delay_before_dispatch`; one more does not wait."""
MAX_LISTED: Final = 50_000
"""Messages in one answer of the management; more need a filter."""
LONG_KEY: Final = 256
"""Characters, or bytes, of a group or a duplicate id from which on its hash is remembered in its place."""
KEPT_PROPERTIES: Final = 65_536
"""Bytes of encoded properties from which on they are decoded each time: decoded they take ten times the memory."""


@always_shown
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds.

    Raises:
        ConfigError: A value that is not positive; names it.
    """

    max_connections: int = 1000
    """One more is closed at once, unless a stranger can be: the oldest connection without a session or login goes."""
    max_sessions: int = 1000
    """Of one connection; one more is refused (code 112)."""
    max_all_sessions: int = 10_000
    """Of all connections; one more is refused (code 112)."""
    max_consumers: int = 10_000
    """Of one session; one more is refused (code 104)."""
    max_connection_consumers: int = 20_000
    """Of all sessions of one connection; one more is refused (code 104)."""
    max_browsers: int = 500
    """Of all sessions of one connection, each with a list of what waited when it began; one more is refused
    (code 104)."""
    max_metadata: int = 100
    """Pairs of one session; one more is refused (code 104)."""
    max_metadata_size: int = 65_536
    """Characters of all pairs of one session; more are refused (code 104)."""
    max_frame_size: int = 100 * 1024 * 1024
    """A longer frame closes the connection."""
    handshake_timeout: float = 10.0
    """From the connection to its first session, or to a login that is accepted; after it the connection is closed,
    whatever it sends. A client that has neither is a stranger, and strangers must not keep places."""
    max_failed_logins: int = 10
    """Sessions refused for their credentials on one connection, at which it is closed: guessing passwords costs
    connections."""
    longest_detached: float = 3600.0
    """How long the sessions of a client that has left are kept for it, whatever its time to live says."""
    half_sent: int = 256 * 1024 * 1024
    """Bytes of frames, of all connections together, that have begun and not ended; beyond it the connection with most
    of them is closed."""
    half_sent_by_strangers: int = 4 * 1024 * 1024
    """The same of connections without a session or login."""
    all_outgoing: int = 256 * 1024 * 1024
    """Bytes that all clients together have not taken, looked at every two seconds; beyond it those with most of them
    are closed."""
    all_unconfirmed: int = 512 * 1024 * 1024
    """Bytes sent that all sessions together have not confirmed, looked at every two seconds; beyond it those with most
    of them end."""
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
