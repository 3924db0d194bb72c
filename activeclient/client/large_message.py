"""Bodies too large for one frame, both ways, in bounded memory.

Law of this file: a large message is sent piece by piece with never more than the command buffer's window unconfirmed,
and the call returns when the broker has it; when the session is recreated in the middle, it is sent again from the
start if its source can be rewound. A body is read as it arrives; inflating stops at `maxLargeMessageSize`.
"""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from activeclient.client.calls import Calls
from activeclient.drivers.threads import Pump
from activeclient.engine.large_message import InboundBody
from activeclient.engine.requests import SendToken
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ForkedError,
    IllegalStateError,
    LargeMessageError,
    MessageFormatError,
    NotSent,
    OutcomeUnknown,
    TransactionRolledBackError,
)
from activeclient.server_code import ServerCode
from activeclient.wire.message import CoreMessage, duplicate_id_of, encode_send_large_header
from activeclient.wire.names import LARGE_COMPRESSED, LARGE_SIZE
from activeclient.wire.packets import SendContinuation
from activeclient.wire.properties import decode_properties

if TYPE_CHECKING:
    from activeclient.client.producer import ClientProducer
    from activeclient.client.session import SendHandler

INFLATED_PIECE = 1 << 20
"""Bytes that are inflated at a time."""
DEFLATED_SLICE = 64 * 1024
"""Bytes that are given to the inflater at a time: it copies what it has not taken."""
MAX_RESTARTS = 100
"""Recreations in the middle of one message after which the send fails: something else is wrong then."""


class _Recreated(ActiveClientError):
    """The session became another one: begin again."""


def check_binary(source: BinaryIO) -> None:
    """Refuse a file that gives something else than bytes.

    Raises:
        MessageFormatError: It does, or it cannot be read.
    """
    try:
        piece: object = source.read(0)
    except (TypeError, ValueError, AttributeError, OSError) as error:
        raise MessageFormatError(f"a binary file that cannot be read: {error}") from error
    if not isinstance(piece, bytes | bytearray | memoryview):
        kind = (
            "a file of text; open it in mode 'rb'"
            if isinstance(piece, str)
            else f"one that reads {type(piece).__name__}"
        )
        raise MessageFormatError(f"must be a binary file, not {kind}")


def send_large(
    producer: ClientProducer, message: CoreMessage, address: str, handler: SendHandler | None, timeout: float | None
) -> None:
    """Send a message in pieces and wait until the broker has it; a handler is called then too."""
    session = producer.session
    pump = session.pump
    engine = session.engine
    source: BinaryIO = message.body_input if message.body_input is not None else io.BytesIO(message.body)
    check_binary(source)
    start = source.tell() if source.seekable() else None
    blob = producer.encoded_properties(message)
    compress = session.settings.compress_large_message
    turn = object()
    try:
        with pump.lock, pump.motion:
            error = session.calls.wait_for(lambda: session.large_sender is None, timeout)
            if error is not None:
                raise error
            session.large_sender = turn
        for _ in range(MAX_RESTARTS):
            try:
                _send_once(producer, message, address, blob, source, timeout, compress=compress)
            except _Recreated:
                if engine.transacted_sends:
                    raise TransactionRolledBackError(
                        "the session was recreated while a large message was sent in the transaction",
                        code=ServerCode.TRANSACTION_ROLLED_BACK,
                    ) from None
                if start is None:
                    raise NotSent(
                        "the session was recreated amid a large message whose source cannot be rewound"
                    ) from None
                source.seek(start)
            else:
                break
        else:
            raise NotSent(f"the session was recreated {MAX_RESTARTS} times amid one large message")
    finally:
        with pump.lock, pump.motion:
            if session.large_sender is turn:
                session.large_sender = None
                pump.notify()
    if handler is not None:
        with pump.lock, pump.motion:
            token = SendToken(0, handler, message)
            token.settled(engine)
            pump.process()


def _send_once(
    producer: ClientProducer,
    message: CoreMessage,
    address: str,
    blob: bytes,
    source: BinaryIO,
    timeout: float | None,
    *,
    compress: bool,
) -> None:
    session = producer.session
    pump = session.pump
    engine = session.engine
    calls = session.calls
    counted = _Counted(source)
    with pump.lock, pump.motion:
        calls.room(timeout)
        limits = engine.client.limits
        chunk_size = limits.piece(session.settings.min_large_message_size)
        epoch = engine.epoch
        header = encode_send_large_header(
            _opening(message, address, blob, compress=compress), engine.channel_id, engine.client.version
        )
        limits.check("the message without its body", len(header))
        engine.send(header, None, len(header))
    pieces = _pieces(
        _deflated(counted, session.settings.compression_level) if compress else counted.pieces(chunk_size), chunk_size
    )
    token: SendToken | None = None
    for piece, last in pieces:
        with pump.lock, pump.motion:
            if not engine.room or pump.congested or engine.epoch != epoch:
                calls.room(timeout)
            if engine.epoch != epoch:
                raise _Recreated
            correlation_id = engine.next_correlation()
            frame = engine.encode(
                SendContinuation(
                    body=piece,
                    continues=not last,
                    message_body_size=counted.total,
                    requires_response=last,
                    correlation_id=correlation_id if last else 0,
                    sender_id=producer.id,
                )
            )
            if last:
                token = SendToken(correlation_id)
            engine.send_in_version(frame, token, len(frame))
            if not last:
                pump.after_submit()
                continue
            assert token is not None
            try:
                calls.outcome(token, timeout)
            except OutcomeUnknown as error:
                if engine.epoch == epoch:
                    raise
                duplicate_id = duplicate_id_of(header)
                if duplicate_id is None:
                    raise OutcomeUnknown(str(error)) from error
                raise _Recreated from error  # with its duplicate id, sending it again cannot repeat it


class _Counted:
    """A source whose bytes are counted as they are read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.total = 0

    def pieces(self, size: int) -> Iterator[bytes]:
        while data := self._source.read(size):
            self.total += len(data)
            yield data


def _deflated(source: _Counted, level: int) -> Iterator[bytes]:
    deflater = zlib.compressobj(level)
    for data in source.pieces(64 * 1024):
        if out := deflater.compress(data):
            yield out
    yield deflater.flush()


def _pieces(chunks: Iterator[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in pieces of exactly `size`, each with whether it is the last."""
    held = b""
    for chunk in chunks:
        held += chunk
        while len(held) > size:
            yield held[:size], False
            held = held[size:]
    yield held, True


def _opening(message: CoreMessage, address: str, blob: bytes, *, compress: bool) -> CoreMessage:
    """The message without its body, with the properties as they were encoded once for all its attempts."""
    properties, _ = decode_properties(blob, 0)
    if compress:
        properties[LARGE_COMPRESSED] = True
    return CoreMessage(
        b"",
        message.body_type,
        address,
        user_id=message.user_id,
        durable=message.durable,
        expiration=message.expiration,
        timestamp=message.timestamp or int(time.time() * 1000),
        priority=message.priority,
        properties=properties,
    )


# --- receiving --------------------------------------------------------------------------------------------------------


def read_piece(pump: Pump, calls: Calls, message: CoreMessage) -> bytes:
    """The next raw piece of a streaming body; empty at its end."""
    stream = message.stream
    if not isinstance(stream, InboundBody):
        raise IllegalStateError("the message has no streaming body")
    with pump.lock, pump.motion:
        # What is delivered anew has to catch up with what is here.
        error = calls.wait_while_it_comes(lambda: stream.ready, lambda: stream.skip)
        if error is not None:
            raise error
        taken = stream.take()
        if taken is not None:
            piece, credits = taken
            origin = message.origin
            if origin is not None and origin.epoch == calls.session.epoch:
                origin.consumer.consumed(credits)
                if calls.session.client.pending_bytes:
                    pump.after_submit()
            return piece
        if isinstance(stream.error, ForkedError):
            raise stream.error.again()
        if stream.error is not None:
            fate = f"; {stream.fate}" if stream.fate else ""
            raise LargeMessageError(f"the body did not arrive whole: {stream.error}{fate}") from stream.error
        if stream.discarded:
            raise ClosedError(
                "the body was not read before the next message was asked for, or its own acknowledged; it is gone"
            )
        return b""


def read_whole(pump: Pump, calls: Calls, message: CoreMessage, limit: int) -> bytes:
    """The whole body, inflated if it was compressed. Takes the memory of the body once.

    Raises:
        LargeMessageError: It is larger than `limit` bytes (maxLargeMessageSize): read it as a stream. Where the sender
            announced that, nothing was read, and it can be.
    """
    stream = message.stream
    size = stream.size if isinstance(stream, InboundBody) else -1
    if message.properties.get(LARGE_COMPRESSED) is True:
        size = max(size, announced_size(message))
    if 0 < limit < size:
        raise _too_large(limit, f" of {size} bytes")
    # Its value is its own buffer, where a bytearray would have to be copied.
    out = io.BytesIO()
    whole = False
    try:
        for piece in inflated(pump, calls, message):
            if 0 < limit < out.tell() + len(piece):
                raise _too_large(limit)
            out.write(piece)
        whole = True
    finally:
        if not whole:
            _spoil(pump, message)
    return out.getvalue()


def _too_large(limit: int, size: str = "") -> LargeMessageError:
    return LargeMessageError(
        f"the body{size} is larger than maxLargeMessageSize={limit} bytes: read it piece by piece instead"
    )


def announced_size(message: CoreMessage) -> int:
    """Bytes of the inflated body, as its sender announced them; -1 if it did not."""
    size = message.properties.get(LARGE_SIZE)
    return size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else -1


def whole_pieces(pump: Pump, calls: Calls, message: CoreMessage) -> Iterator[bytes]:
    """As `inflated`, for who reads all of it at once: what an attempt leaves that fails is not taken for the whole."""
    whole = False
    try:
        yield from inflated(pump, calls, message)
        whole = True
    finally:
        if not whole:
            _spoil(pump, message)


def _spoil(pump: Pump, message: CoreMessage) -> None:
    """A part of the body was taken and is gone: a second attempt must not take the rest for the whole."""
    stream = message.stream
    with pump.lock, pump.motion:
        if isinstance(stream, InboundBody) and stream.error is None and not stream.discarded:
            credits = stream.discard()
            stream.error = LargeMessageError("an earlier attempt to read the body ended before its end")
            origin = message.origin
            if origin is not None and origin.epoch == origin.consumer.session.epoch:
                origin.consumer.consumed(credits)


def inflated(pump: Pump, calls: Calls, message: CoreMessage) -> Iterator[bytes]:
    """The pieces of a body as the application wants them: inflated, each at most 1 MiB.

    Raises:
        LargeMessageError: The compressed body is damaged, or has another size than its sender announced.
    """

    def pieces() -> Iterator[bytes]:
        while piece := read_piece(pump, calls, message):
            yield piece

    if message.properties.get(LARGE_COMPRESSED) is True:
        yield from _inflated(pieces(), announced_size(message))
    else:
        yield from pieces()


def _inflated(pieces: Iterable[bytes], announced: int = -1) -> Iterator[bytes]:
    """Inflate a body, a MiB at a time."""
    inflater = zlib.decompressobj()
    total = 0
    for data in pieces:
        while data:
            try:
                out = inflater.decompress(data, INFLATED_PIECE)
            except zlib.error as error:
                raise LargeMessageError(f"the compressed body is damaged: {error}") from error
            data = inflater.unconsumed_tail
            total += len(out)
            if 0 <= announced < total:
                raise LargeMessageError(f"the compressed body goes on after the {announced} bytes that were announced")
            if out:
                yield out
            if inflater.eof:
                break
    if rest := inflater.flush():
        total += len(rest)
        yield rest
    if not inflater.eof:
        raise LargeMessageError("the compressed body ends too early")
    if total != announced >= 0:
        raise LargeMessageError(f"the compressed body has {total} bytes, {announced} were announced")


def inflate(data: bytes, limit: int, announced: int = -1) -> bytes:
    """A compressed body that came in one frame.

    Args:
        announced: Bytes of the inflated body as its sender says; -1 if it does not.

    Raises:
        LargeMessageError: It is damaged, has another size than was announced, or is larger than `limit` bytes
            (maxLargeMessageSize) when it is inflated.
    """
    if 0 < limit < announced:
        raise LargeMessageError(
            f"the compressed body of {announced} bytes is larger than maxLargeMessageSize={limit} bytes"
        )
    out = io.BytesIO()
    for piece in _inflated(_slices(data, DEFLATED_SLICE), announced):
        if 0 < limit < out.tell() + len(piece):
            raise LargeMessageError(f"the compressed body is larger than maxLargeMessageSize={limit} bytes")
        out.write(piece)
    return out.getvalue()


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


class BodyReader(io.BufferedReader):
    """A large body as a file that is read once, forwards."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__(_RawBody(pieces))


class _RawBody(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if not self._held:
            self._held = next(self._pieces, b"")
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size
