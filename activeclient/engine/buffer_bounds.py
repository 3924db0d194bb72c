"""How much a command buffer keeps, and what happens beyond: by bytes as in Artemis, or by messages as in Diffusion.

Law of this file: a buffer asks its bound and decides nothing by itself; the buffers of client sessions and those of the
embedded broker's sessions have the same two kinds.

By bytes a sender waits for confirmations, and nothing leaves the buffer without one. By messages a sender does not
wait: the oldest commands leave the buffer, and a reconnection that needs one of them is aborted. While there is no
connection nothing is sent, so nothing leaves either kind, and a sender waits in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from activeclient.wire.message import RECEIVE, SEND, SEND_LARGE
from activeclient.wire.packets import ReceiveContinuation, ReceiveLarge, SendContinuation

if TYPE_CHECKING:
    from activeclient.engine.command_buffer import CommandBuffer

UNBOUNDED: Final = 1 << 62
"""Bytes that no buffer reaches."""
MOST_REMAINS: Final = 1 << 16
"""Commands that may have left a buffer and not be confirmed. Of each some 100 bytes are kept, to say later what became
of it. A sender that is so far ahead of the confirmations waits: the peer confirms nothing any more."""
MESSAGES: Final = frozenset(
    (SEND, SEND_LARGE, SendContinuation.KIND, RECEIVE, ReceiveLarge.KIND, ReceiveContinuation.KIND)
)
"""Packets that are messages, or pieces of large ones."""


@dataclass(frozen=True, slots=True)
class ByBytes:
    """Senders wait from so many unconfirmed bytes on; what reaches the limit may exceed it, so that no size waits for
    ever."""

    limit: int
    """Bytes."""
    lets_go: ClassVar[bool] = False
    confirm_after: ClassVar[int] = UNBOUNDED
    """Received packets after which the peer's buffer must be freed; here its bytes decide."""

    def counts(self, frame: bytes) -> bool:
        """Return True if the bound counts this command; here all are weighed alike."""
        return False

    def is_exceeded(self, buffer: CommandBuffer[Any]) -> bool:
        """Return True if the oldest command has to leave."""
        return False

    def is_full(self, buffer: CommandBuffer[Any]) -> bool:
        """Return True if a sender has to wait."""
        return buffer.used >= self.limit

    def is_half_free(self, buffer: CommandBuffer[Any]) -> bool:
        """Return True if senders that wait may go on: not for one place, or they would be woken for each."""
        return buffer.used <= self.limit >> 1


@dataclass(frozen=True, slots=True)
class ByMessages:
    """The oldest commands leave from so many unconfirmed messages on, or from so many bytes of all commands.

    Other commands than messages (acknowledgements, requests, answers) count by their bytes alone.
    """

    messages: int
    """`recoveryBufferSize`, at least 1."""
    size: int
    """Bytes of the commands that are kept."""
    limit: ClassVar[int] = UNBOUNDED
    lets_go: ClassVar[bool] = True

    @property
    def confirm_after(self) -> int:
        """Received packets after which the peer's buffer, which is as large as ours, must be freed: half of it."""
        return max(1, self.messages >> 1)

    def counts(self, frame: bytes) -> bool:
        """Return True if this command is a message."""
        return frame[4] in MESSAGES

    def is_exceeded(self, buffer: CommandBuffer[Any]) -> bool:
        """Return True if the oldest command has to leave."""
        return buffer.messages > self.messages or buffer.kept_bytes > self.size

    def is_full(self, buffer: CommandBuffer[Any]) -> bool:
        """Return True if a sender has to wait: while nothing may leave, or the peer confirms nothing any more."""
        if buffer.held:
            return buffer.messages >= self.messages or buffer.kept_bytes >= self.size
        return buffer.gone >= MOST_REMAINS

    def is_half_free(self, buffer: CommandBuffer[Any]) -> bool:
        """Return True if senders that wait may go on."""
        if buffer.held:
            return buffer.messages <= self.messages >> 1 and buffer.kept_bytes <= self.size >> 1
        return buffer.gone <= MOST_REMAINS >> 1


Bound = ByBytes | ByMessages
