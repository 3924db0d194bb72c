"""Bytes from the server, cut into frames and handed to whom they concern.

Law of this file: frames are taken in order and whole; a length beyond the limit is refused before it is waited for.
What a run of frames of one session amounts to, a count and the last confirmation, is accounted for once, and before
anything else happens to the session or an error leaves this file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from activeclient.engine.answers import handle
from activeclient.engine.session import Session, State
from activeclient.errors import ReattachDiverged, RemoteProtocolError
from activeclient.wire.frames import FRAME, what_it_is
from activeclient.wire.message import RECEIVE
from activeclient.wire.old_layout import modern_receive_of_equal_size as present_receive
from activeclient.wire.packet import decode
from activeclient.wire.packets import ExceptionResponse, NullResponse, PacketsConfirmed
from activeclient.wire.versions import V2_0

if TYPE_CHECKING:
    from activeclient.engine.client import ClientEngine

INT_AT = struct.Struct(">i").unpack_from
LONG_AT = struct.Struct(">q").unpack_from
CONFIRMED, NULL_RESPONSE, EXCEPTION = PacketsConfirmed.KIND, NullResponse.KIND, ExceptionResponse.KIND
PARTS = 8
"""Pieces of one frame that are kept as they came."""


class Torn(NamedTuple):
    """Where a batch was interrupted: what its last run of frames had amounted to, and which frame was being taken."""

    session: Session | None
    base: int
    """What the session had received when the run began."""
    taken: int
    """Frames of the run that were taken; the present one among them if `handling`."""
    confirmed: int
    """The last command that the run confirms; -1: none."""
    frame: bytes
    """The present frame; empty when the run was over."""
    handling: bool
    """Is it counted, and not through?"""


class Inbox:
    """What came on the present link and is not taken yet: at most the beginning of one frame."""

    __slots__ = ("_client", "_have", "_need", "_parts", "_rest", "torn")

    def __init__(self, client: ClientEngine) -> None:
        self._client = client
        self._rest = b""
        """Less than the head of a frame."""
        self._parts: list[bytes | bytearray] = []
        """The beginning of a frame; the last place gathers, so that a trickle of bytes takes no more than its size."""
        self._need = 0
        """Bytes of the frame that is gathered; 0 when there is none."""
        self._have = 0
        self.torn: Torn | None = None
        """Where an exception that is no fault of the peer's has ended the last batch."""

    def clear(self) -> None:
        """The link is gone, and what was left on it."""
        self._rest = b""
        self._parts.clear()
        self._need = 0
        self.torn = None

    def take(self, data: bytes, now: float) -> None:
        """Bytes from the server (hot path).

        Raises:
            RemoteProtocolError: The peer broke a rule; what came before that was taken.
        """
        if self._need:
            self._gather(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._parts)
            self._parts.clear()
            self._need = 0
        self._take_frames(data, now)

    def _gather(self, data: bytes) -> None:
        parts = self._parts
        if len(parts) < PARTS:
            parts.append(data)
        elif isinstance(parts[-1], bytearray):
            parts[-1] += data
        else:
            parts.append(bytearray(data))

    def _take_frames(self, data: bytes, now: float) -> None:
        client = self._client
        rest = self._rest
        if rest:
            data = rest + data
            self._rest = b""
        unpack = FRAME.unpack_from
        limit = client.config.max_frame_size
        sessions = client.sessions
        pos, end = 0, len(data)
        session: Session | None = None
        windowed = False
        current_channel = -1
        confirmed = -1
        taken = taken_bytes = base = after = 0
        handling = False
        lives = client.lives
        modern = client.version >= V2_0
        try:
            while end - pos >= 13:
                size, kind, channel = unpack(data, pos)
                if not 9 <= size <= limit:
                    if session is not None:
                        self._account(session, confirmed, taken, taken_bytes, now)
                    raise RemoteProtocolError(
                        f"a frame of {size} bytes (allowed are 9 to {limit}); {what_it_is(data[pos : pos + 16])}",
                        offset=pos,
                        data=data[pos : pos + 32],
                    )
                after = pos + 4 + size
                if after > end:
                    if not client.knows(channel):  # not worth waiting for
                        if session is not None:
                            self._account(session, confirmed, taken, taken_bytes, now)
                        raise _unknown(channel, kind, data[pos : pos + 16])
                    self._need = after - pos
                    break
                if channel != current_channel:
                    if session is not None:
                        self._account(session, confirmed, taken, taken_bytes, now)
                        base = session.received
                        confirmed = -1
                        taken = taken_bytes = 0
                    session = sessions.get(channel)
                    current_channel = channel
                    windowed = session is not None and session.windowed
                    base = session.received if session is not None else 0
                if session is not None:
                    if kind == NULL_RESPONSE and size == 17 and windowed and data[pos + 13] < 128:
                        # To a send, whose correlation id is not negative: the confirmation has said it, or will.
                        taken += 1
                        taken_bytes += 21
                    elif kind == RECEIVE:
                        try:
                            if size < 29:
                                raise RemoteProtocolError("a delivery too short to be one", kind=kind)
                            consumer = session.consumers.get(LONG_AT(data, after - 12)[0])
                            if consumer is not None:
                                consumer.deliver(data[pos:after] if modern else present_receive(data[pos:after]))
                        except RemoteProtocolError:
                            # What came before it was taken: a replay of that would be delivered twice.
                            self._account(session, confirmed, taken, taken_bytes, now)
                            raise
                        taken += 1
                        taken_bytes += size + 4
                    elif kind == CONFIRMED:
                        if size < 13:
                            self._account(session, confirmed, taken, taken_bytes, now)
                            raise RemoteProtocolError("a confirmation without a command", offset=pos, kind=kind)
                        confirmed = INT_AT(data, pos + 13)[0]
                    else:
                        if kind != NULL_RESPONSE:
                            try:
                                packet = decode(data[pos:after], client.version)
                            except RemoteProtocolError:
                                self._account(session, confirmed, taken, taken_bytes, now)
                                raise
                        handling = True
                        taken += 1
                        taken_bytes += size + 4
                        self._account(session, confirmed, taken, taken_bytes, now)
                        base = session.received
                        confirmed = -1
                        taken = taken_bytes = 0
                        if sessions.get(channel) is not session:
                            pass  # its confirmation was impossible, it has left this channel: so has what follows
                        elif kind == NULL_RESPONSE:
                            session.null_answered(LONG_AT(data, pos + 13)[0] if size >= 17 else -1)
                        else:
                            handle(session, packet, size + 4)
                        handling = False
                        if client.lives != lives:
                            return  # the link is gone, and with it the rest
                        if sessions.get(channel) is not session:
                            session = None
                            current_channel = -1
                elif 0 <= channel <= 1:
                    client.handle_connection(decode(data[pos:after], client.version), channel, now)
                    if client.lives != lives:
                        return
                    current_channel = -1
                elif not client.knows(channel):
                    raise _unknown(channel, kind, data[pos : pos + 16])
                elif kind in (NULL_RESPONSE, EXCEPTION):
                    client.answered_behind(channel)
                pos = after
            if session is not None:
                self._account(session, confirmed, taken, taken_bytes, now)
        except RemoteProtocolError:
            raise
        except BaseException:
            # Not the peer's fault, so an interrupt, most likely: for `mending`, before the next link.
            frame = data[pos:after] if pos < after else b""
            self.torn = Torn(session, base, taken, confirmed, frame, handling)
            raise
        if pos < end:
            rest = data[pos:] if pos else data
            if self._need:
                self._gather(rest)
                self._have = len(rest)
            else:
                self._rest = rest

    def _account(self, session: Session, confirmed: int, taken: int, taken_bytes: int, now: float) -> None:
        """What a run of frames of one session amounts to: the last confirmation, and what was received."""
        if taken:
            session.count_received(taken_bytes, taken)
        if confirmed < 0 or not session.windowed or session.state in (State.CLOSED, State.RECREATING):
            return
        try:
            session.confirmed(confirmed)
        except ReattachDiverged as error:
            self._client.session_diverged(session, error, now)


def _unknown(channel: int, kind: int, data: bytes) -> RemoteProtocolError:
    what = what_it_is(data)
    return RemoteProtocolError(f"a frame for channel {channel}, which was never opened; {what}", kind=kind)
