"""A large message on its way in: pieces of its body, in order, whatever happens to the connection.

Law of this file: the bytes handed out are a prefix of the true body, always. A piece that the server repeats after a
reattachment may hold the content of a later piece (the broker re-uses its buffer), so such a piece is never taken:
the message is delivered anew and continues behind the bytes that are already here.
"""

from __future__ import annotations

from collections import deque

from activeclient.errors import ActiveClientError, LargeMessageError, RemoteProtocolError


class InboundBody:
    """The body of one large message while it streams in; raw bytes as on the wire (perhaps compressed).

    Args:
        size: Length that the server announced.
        header_size: Size of the frame that opened it, in bytes, for credits.
    """

    __slots__ = (
        "_chunks",
        "begun",
        "complete",
        "discarded",
        "error",
        "fate",
        "header_size",
        "held",
        "kept",
        "received",
        "released",
        "size",
        "skip",
        "suspended",
    )

    def __init__(self, size: int, header_size: int) -> None:
        self.size: int = size
        self.header_size: int = header_size
        self.received: int = 0
        self.held: int = 0
        """Bytes of frames that wait here and count against the window."""
        self.released: bool = False
        """Does it stay here without taking up the window?"""
        self.skip: int = 0
        """Bytes of a renewed delivery that are here already."""
        self.complete: bool = False
        self.kept: object = None
        """Where the application keeps the whole of it, if it does; the engine does not look."""
        self.begun: bool = False
        """Was a piece taken?"""
        self.suspended: bool = False
        """A replay damaged it: nothing is taken until the message is delivered anew."""
        self.discarded: bool = False
        self.error: ActiveClientError | None = None
        self.fate: str = ""
        """What becomes of the message when its body has failed, for the text of errors."""
        self._chunks: deque[tuple[bytes, int]] = deque()

    @property
    def ended(self) -> bool:
        """Will no more pieces come?"""
        return self.complete or self.discarded or self.error is not None

    @property
    def ready(self) -> bool:
        """Would `take` give something, or has the body ended one way or the other?"""
        return bool(self._chunks) or self.ended

    @property
    def read(self) -> bool:
        """Was it taken to its end?"""
        return self.complete and not self._chunks and self.error is None and not self.discarded

    def add(self, chunk: bytes, frame_size: int, last: bool) -> int:
        """A piece came; returns credits to return at once (bytes that nobody will take)."""
        if self.suspended:
            return frame_size
        if self.skip:
            cut = min(self.skip, len(chunk))
            self.skip -= cut
            chunk = chunk[cut:]
        self.received += len(chunk)
        if self.received > self.size >= 0:
            error = RemoteProtocolError(f"a large message of {self.size} bytes goes on after them")
            self.fail(error)
            raise error
        if last:
            self.complete = True
            if self.received < self.size and self.error is None and not self.discarded:
                self.error = LargeMessageError(f"the body ended after {self.received} of {self.size} bytes")
        if not chunk or self.discarded:
            return frame_size
        if self.released:
            self._chunks.append((chunk, 0))
            return frame_size
        self._chunks.append((chunk, frame_size))
        self.held += frame_size
        return 0

    def fail(self, error: ActiveClientError) -> None:
        """Nothing that could still come belongs behind what is here."""
        self.error = error
        self.discard()

    def take(self) -> tuple[bytes, int] | None:
        """The next piece and the credits that its consumption returns, or None."""
        if not self._chunks:
            return None
        self.begun = True
        taken = self._chunks.popleft()
        self.held -= taken[1]
        return taken

    def suspend(self) -> None:
        """A repeated piece came: the rest of this delivery cannot be trusted."""
        self.suspended = True

    def interrupt(self) -> None:
        """The session is lost, and what was granted to it: what the application has not taken comes anew."""
        self.received -= sum(len(chunk) for chunk, _ in self._chunks)
        self._chunks.clear()
        self.held = 0
        self.suspended = True

    def resume(self) -> None:
        """The message is delivered anew: its pieces begin at byte 0."""
        self.suspended = False
        self.complete = False
        self.skip = self.received

    def release(self) -> int:
        """It may wait for as long as the application keeps the message; returns the credits of what is here."""
        self.released = True
        if not self.held:
            return 0
        credits, self.held = self.held, 0
        self._chunks = deque((chunk, 0) for chunk, _ in self._chunks)
        return credits

    def discard(self) -> int:
        """Nobody will read the rest; returns the credits of what lay here."""
        credits, self.held = self.held, 0
        self._chunks.clear()
        self.discarded = True
        return credits
