"""The layout of messages before version 129, to the present one and back.

Law of this file: nothing else knows of the old layout: engine and broker hold messages in the present one, and convert
frames where they come in and go out. In the old layout the position of the body's end counts four bytes more, and a
second position, of the end of the message, stands between body and headers. Source: SessionSendMessage,
SessionReceiveMessage of Artemis 1.
"""

from __future__ import annotations

import struct
from typing import Final

from activeclient.errors import RemoteProtocolError
from activeclient.wire.frames import FRAME, HEADER_SIZE

_END: Final = struct.Struct(">i")
_BODY_AT: Final = HEADER_SIZE + _END.size
_SEND_TAIL: Final = 1
"""Bytes behind the message in SESS_SEND: whether an answer is wanted."""
_RECEIVE_TAIL: Final = 12
"""Bytes behind the message in SESS_RECEIVE_MSG: consumer id and delivery count."""
_MORE: Final = 4
"""By how much the old position of the body's end, and the old frame, are larger."""


def modern_send(frame: bytes) -> bytes:
    """A SESS_SEND of an old client in the present layout.

    Raises:
        RemoteProtocolError: The body ends outside of the frame.
    """
    return _modern(frame, _SEND_TAIL)


def old_send(frame: bytes) -> bytes:
    """A SESS_SEND in the layout of an old server."""
    return _old(frame, _SEND_TAIL)


def modern_receive(frame: bytes) -> bytes:
    """A SESS_RECEIVE_MSG of an old server in the present layout.

    Raises:
        RemoteProtocolError: The body ends outside of the frame.
    """
    return _modern(frame, _RECEIVE_TAIL)


def modern_receive_of_equal_size(frame: bytes) -> bytes:
    """As `modern_receive`, with four unused bytes in front of the trailer: credits count the bytes that came.

    Raises:
        RemoteProtocolError: The body ends outside of the frame.
    """
    end = _body_end(frame, _RECEIVE_TAIL)
    tail = len(frame) - _RECEIVE_TAIL
    return b"".join(
        (_head(frame, 0, end - _MORE), frame[_BODY_AT:end], frame[end + _MORE : tail], bytes(_MORE), frame[tail:])
    )


def old_receive(frame: bytes) -> bytes:
    """A SESS_RECEIVE_MSG in the layout of an old client."""
    return _old(frame, _RECEIVE_TAIL)


def _modern(frame: bytes, tail: int) -> bytes:
    end = _body_end(frame, tail)
    return _head(frame, -_MORE, end - _MORE) + frame[_BODY_AT:end] + frame[end + _MORE :]


def _old(frame: bytes, tail: int) -> bytes:
    end = _END.unpack_from(frame, HEADER_SIZE)[0] + _MORE
    whole = len(frame) + _MORE - tail
    return _head(frame, _MORE, end) + frame[_BODY_AT:end] + _END.pack(whole) + frame[end:]


def _head(frame: bytes, longer: int, end: int) -> bytes:
    length, kind, channel = FRAME.unpack_from(frame)
    return FRAME.pack(length + longer, kind, channel) + _END.pack(end)


def _body_end(frame: bytes, tail: int) -> int:
    """Where the body of an old frame ends."""
    if len(frame) < _BODY_AT:
        raise RemoteProtocolError("the message does not fit its frame", kind=_kind(frame))
    end: int = _END.unpack_from(frame, HEADER_SIZE)[0]
    if not _BODY_AT <= end <= len(frame) - _MORE - tail:
        raise RemoteProtocolError(
            f"the body ends at {end} of {len(frame)} bytes", offset=HEADER_SIZE, kind=_kind(frame)
        )
    return end


def _kind(frame: bytes) -> int | None:
    return frame[4] if len(frame) > 4 else None
