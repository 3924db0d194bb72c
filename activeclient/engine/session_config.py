"""What a session is made of.

Law of this file: a configuration never changes while its session lives; the window on the wire follows from it and from
what the server can do, never the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass, field


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
    min_large_message_size: int = 102400
    producer_window: int = 65536
    max_frame_size: int = 100 << 20
    gate: bool = False
    """Recreate it only when the server has done with the one before, where that cannot be reattached."""

    def wire_window(self, *, reattach: bool) -> int:
        """What is asked of the server: a confirmation of each command, whatever the user's window.

        From a server that lets no session be reattached 0: it counts and confirms alike, but ends the session with
        its socket. With 1 it would keep it, and the messages delivered to it, until the connection's TTL.
        """
        return min(self.window, 1 if reattach else 0)
