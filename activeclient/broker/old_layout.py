"""The layout of messages before version 129, to the present one and back.

Law of this file: nothing else knows of the old layout. In it the position of the body's end counts four bytes more, and
a second position, of the end of the message, stands between body and headers. Source: SessionSendMessage,
SessionReceiveMessage of Artemis 1.
"""

from __future__ import annotations

import struct
from typing import Final

from activeclient.errors import RemoteProtocolError
from activeclient.wire.frames import FRAME, HEADER_SIZE
from activeclient.wire.message import RECEIVE, SEND

_END: Final = struct.Struct(">i")
_BODY_AT: Final = HEADER_SIZE + _END.size
_RECEIVE_TAIL: Final = 12
_MORE: Final = 4
"""By how much the old position of the body's end is larger."""


def modern_send(frame: bytes) -> bytes:
    """A SESS_SEND of an old client in the present layout.

    Raises:
        RemoteProtocolError: The body ends outside of the frame.
    """
    if len(frame) < _BODY_AT:
        raise RemoteProtocolError("the message does not fit its frame", kind=SEND)
    (end,) = _END.unpack_from(frame, HEADER_SIZE)
    if not _BODY_AT <= end <= len(frame) - _MORE:
        raise RemoteProtocolError(f"the body ends at {end} of {len(frame)} bytes", offset=HEADER_SIZE, kind=SEND)
    length, kind, channel = FRAME.unpack_from(frame)
    head = FRAME.pack(length - _MORE, kind, channel) + _END.pack(end - _MORE)
    return head + frame[_BODY_AT:end] + frame[end + _MORE :]


def old_receive(frame: bytes) -> bytes:
    """A SESS_RECEIVE_MSG in the layout of an old client."""
    end = _END.unpack_from(frame, HEADER_SIZE)[0] + _MORE
    length, _, channel = FRAME.unpack_from(frame)
    head = FRAME.pack(length + _MORE, RECEIVE, channel) + _END.pack(end)
    whole = len(frame) + _MORE - _RECEIVE_TAIL
    return head + frame[_BODY_AT:end] + _END.pack(whole) + frame[end:]
