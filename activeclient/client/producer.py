"""Sending (ClientProducer): one encoding, one append, one write for many.

Law of this file: the duplicate id is part of the first encoding; a frame enters the command buffer only when there is
room, credit and a usable or reattachable session; the call returns an outcome or hands it to the handler, never both.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from time import monotonic, time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from activeclient import arguments
from activeclient.client.calls import patience
from activeclient.client.closing import leave
from activeclient.client.large_message import send_large
from activeclient.client.rate import RateLimit
from activeclient.engine.producer import CreditPool
from activeclient.engine.requests import SendToken, UnattendedToken
from activeclient.engine.session import State
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    ClosedError,
    IllegalStateError,
    MessageFormatError,
    Outcome,
)
from activeclient.masking import never_raises
from activeclient.wire.message import CoreMessage
from activeclient.wire.names import DUPLICATE_ID, GROUP_ID
from activeclient.wire.packets import CreateProducer, RemoveProducer
from activeclient.wire.properties import (
    NO_PROPERTIES,
    PropertyValue,
    append_duplicate_id,
    append_property,
    encode_properties,
)
from activeclient.wire.send_template import SendTemplate

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession, SendHandler

BLOCKED_SECONDS = 0.1
"""A grant that takes longer comes from an address that is full, not from a broker that is busy."""
BLOCKED_NOTICE = 1.0
"""Seconds without credits, the session usable, after which `AddressBlocked` is told."""
ATTACHED = State.ATTACHED
NOT_ENCODED = (AttributeError, KeyError, TypeError, ValueError, OverflowError, struct.error)
"""What encoding a message raises whose fields were set to what they cannot be. Nothing was sent then."""
MAX_TEMPLATES = 64
"""Of one producer: an anonymous one may send to any number of addresses."""


class _LargerThanAFrame(Exception):
    """The broker takes no frame that large: nothing was sent."""


class ClientProducer:
    """A producer of one session (ClientProducer). Made by `ClientSession.create_producer`."""

    def __init__(self, session: ClientSession, address: str | None, producer_id: int) -> None:
        settings = session.settings
        self.session = session
        self.address = address
        self.id = producer_id
        self._engine = session.engine
        self._pump = session.pump
        self._calls = session.calls
        self.closed: bool = False
        """Was it closed itself?"""
        self._templates: dict[tuple[str, int, bool, int], SendTemplate] = {}
        self._channel_id = self._version = -1
        self._send = self._engine.send
        self._duplicate_detection = settings.duplicate_detection
        self._id_prefix = os.urandom(8)
        self._common = NO_PROPERTIES
        self._common_and_id = append_duplicate_id(NO_PROPERTIES, bytes(16))[:-16]
        self._sent = 0
        self.stamps = True
        """Give messages without a timestamp the present time."""
        self._large_from = settings.min_large_message_size
        self._windowed = self._engine.windowed
        self._rate = RateLimit(settings.producer_max_rate) if settings.producer_max_rate > 0 else None
        self._credits = settings.producer_window_size > 0
        # In a transaction the commit is what counts (ClientProducerImpl: the rule is ANDed with autoCommitSends).
        self._block_durable = settings.block_on_durable_send and not self._engine.transacted_sends
        self._block_non_durable = settings.block_on_non_durable_send and not self._engine.transacted_sends
        self._group = settings.group_id or (os.urandom(8).hex() if settings.auto_group else None)
        self._bare = self._group is None and not self._duplicate_detection
        """Is nothing added to a message without properties?"""
        if self._engine.supports(CreateProducer):
            self._engine.producers[producer_id] = address
            if self._engine.may_command:
                self._engine.command(self._engine.encode(CreateProducer(producer_id, address)))

    def send(
        self,
        message: CoreMessage,
        handler: SendHandler | None = None,
        *,
        address: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Send a message.

        Args:
            handler: Called as `handler(message, error)` when the broker has answered; then the call does not wait for
                the broker. Without one, durable messages wait for it (blockOnDurableSend), others do not.
            address: Where to; only for a producer without an address of its own.
            timeout: Seconds to wait for room, credits and answer, instead of callTimeout and callFailoverTimeout.

        Raises:
            OutcomeUnknown: The broker may have it: send again only with its `duplicate_id`.
            JMSError: The broker refused it.
            NotSent: Its properties are larger than what the broker takes; see `FrameLimits`.
            CallTimeout, OutageTimeout: It was not sent and will not be (`outcome` is NOT_SENT).
        """
        to = self.address
        if address is not None:
            if to is not None and to != address:
                raise IllegalStateError(f"this producer sends to {to!r}, not to {address!r}")
            to = address
        if address is not None and not isinstance(address, str):
            arguments.text("address", address)  # type: ignore[unreachable]
        if to is None:
            raise IllegalStateError("a producer without an address needs one for each send")
        if self.closed:
            raise ClosedError("the producer is closed")
        if timeout is not None:
            arguments.seconds("timeout", timeout)
        if handler is not None and not callable(handler):
            arguments.call("handler", handler)  # type: ignore[unreachable]
        if self._rate is not None:
            self._wait_for_place(self._rate, timeout)
        if handler is None:
            handler = self.session.send_acknowledgement_handler
        try:
            body = message.body
            large = len(body) >= self._large_from or message.body_input is not None
        except (AttributeError, TypeError) as error:
            raise _refusal(message, error) from error
        if not large:
            try:
                self._send_whole(message, body, to, handler, timeout)
            except _LargerThanAFrame:  # with its properties
                large = True
        if large:
            send_large(self, message, to, handler, timeout)

    def _send_whole(
        self, message: CoreMessage, body: bytes, to: str, handler: SendHandler | None, timeout: float | None
    ) -> None:
        engine = self._engine
        client = engine.client
        durable = message.durable
        blocking = handler is None and (self._block_durable if durable else self._block_non_durable)
        pump = self._pump
        with pump.lock:
            if pump.moving:
                pump.repair()
            buffer = engine.buffer
            if engine.state is not ATTACHED or buffer.used >= buffer.limit or not self._windowed:
                self._calls.room(timeout)
            elif not client.pending_bytes and pump.congested:
                self._calls.room(timeout)  # asked once for each write: only a write can congest
            if engine.channel_id != self._channel_id or client.version != self._version:
                self._templates.clear()
                self._channel_id, self._version = engine.channel_id, client.version
                self._send = engine.send if engine.sends_identified else engine.send_unidentified
            try:
                key = (to, message.body_type, durable, message.priority)
                template = self._templates.get(key) or self._template(key)
            except NOT_ENCODED as error:
                raise _refusal(message, error) from error
            bare = self._bare and not message.properties
            token: SendToken | None
            if blocking or handler is not None:
                engine.correlation_id = correlation_id = engine.correlation_id + 1
                token = SendToken(correlation_id, handler, message)
                asks = True
            elif self._windowed:
                engine.correlation_id = correlation_id = engine.correlation_id + 1
                token, asks = None, True
            elif durable or engine.transacted_sends:
                # Without a command buffer only its own answer tells what became of a send, a refusal included.
                correlation_id = engine.next_correlation()
                token, asks = UnattendedToken(correlation_id), True
            else:
                token, asks, correlation_id = None, False, 0
            try:
                frame = template.encode(
                    body,
                    message.timestamp or (int(time() * 1000) if self.stamps else 0),
                    self._common if bare else self.encoded_properties(message),
                    message.user_id,
                    correlation_id,
                    asks,
                    message.expiration,
                )
            except NOT_ENCODED as error:
                raise _refusal(message, error) from error
            if engine.transacted_sends and to not in engine.accepted:
                engine.transaction.unverified.add(to)
            size = len(frame)
            if size > client.limits.frame:
                raise _LargerThanAFrame
            if self._credits:
                pool = engine.pools.get(to)
                if pool is None or pool.balance < size:
                    with pump.motion:
                        pool = self._wait_for_credits(to, size, timeout)
                    frame = engine.on_this_channel(frame)  # a recreation meanwhile may have moved the session
            else:
                pool = None
            pump.moving = True
            try:
                if pool is not None:
                    pool.balance -= size
                    urgent = pool.balance < pool.window >> 1 and engine.ask_for_credits(pool)
                else:
                    urgent = False
                self._send(frame, token, size)
                if blocking and token is not None:
                    self._calls.outcome(token, timeout)
                else:
                    pump.after_submit(urgent)
            except ActiveClientError:
                pump.moving = False
                raise
            except BaseException:
                pump.settle()
                raise
            pump.moving = False

    def _template(self, key: tuple[str, int, bool, int]) -> SendTemplate:
        if len(self._templates) >= MAX_TEMPLATES:
            self._templates.clear()
        to, body_type, durable, priority = key
        template = self._templates[key] = SendTemplate(
            self._channel_id, self._version, to, body_type, durable=durable, priority=priority, sender_id=self.id
        )
        return template

    def encoded_properties(self, message: CoreMessage) -> bytes:
        """The message's properties on the wire, with a duplicate id if the settings say so and it has none."""
        # Durable ones only: the broker writes every id to its journal; a non-durable message would wait for the disk.
        identified = self._duplicate_detection and message.durable
        properties = message.properties
        if not properties and self._group is None:
            if not identified:
                return self._common
            self._sent += 1
            return b"".join((self._common_and_id, self._id_prefix, self._sent.to_bytes(8, "big")))
        blob = encode_properties(properties) if properties else self._common
        if self._group is not None and GROUP_ID not in properties:
            blob = append_property(blob, GROUP_ID, self._group)
        if identified and DUPLICATE_ID not in properties:
            self._sent += 1
            blob = append_duplicate_id(blob, self._id_prefix + self._sent.to_bytes(8, "big"))
        return blob

    def add_to_bare(self, properties: Mapping[str, PropertyValue]) -> None:
        """Give `properties` to each message that has none at all: they are encoded once, not for each send."""
        self._common = encode_properties(properties)
        self._common_and_id = append_duplicate_id(self._common, bytes(16))[:-16]

    def _wait_for_credits(self, address: str, size: int, timeout: float | None) -> CreditPool:
        engine = self._engine

        def granted() -> bool:
            return engine.room and engine.want_credits(address, size).allows(size)

        known = engine.pools.get(address)
        if known is not None:
            known.ran_dry()
        if not granted():
            began = monotonic()
            error = self._calls.wait_for(
                lambda: granted() or engine.error is not None,
                timeout,
                patience(known.window if known is not None else 0),
                notice=(BLOCKED_NOTICE, lambda: engine.address_blocked(address)),
            )
            engine.check_open()
            if monotonic() - began > BLOCKED_SECONDS and address in engine.pools:
                engine.pools[address].blocked()
            if error is not None:
                error.args = (f"no producer credits for address {address!r}: it is full or not answered; {error}",)
                error.outcome = Outcome.NOT_SENT
                raise error
        return engine.pools[address]

    def _wait_for_place(self, rate: RateLimit, timeout: float | None) -> None:
        with self._pump.lock, self._pump.motion:
            left = rate.take(monotonic())
            if left > 0:
                if timeout is not None and left > timeout:
                    raise CallTimeout(f"producerMaxRate leaves no place within {timeout:g} s", outcome=Outcome.NOT_SENT)
                self._pump.wait(lambda: self._engine.error is not None, left)
                self._engine.check_open()

    def flush(self) -> None:
        """Write at once what waits to be written together."""
        with self._pump.lock, self._pump.motion:
            self._pump.flush()

    def close(self) -> None:
        """Close the producer; what it has sent is not affected."""
        if self._pump.forked:
            return  # the parent goes on using it
        with self._pump.lock, self._pump.motion:
            if self.closed:
                return
            self.closed = True
            if (
                self._engine.producers.pop(self.id, False) is not False
                and self._engine.may_command
                and self._engine.supports(RemoveProducer)
            ):
                self._engine.command(self._engine.encode(RemoveProducer(self.id)))
                self._pump.after_submit()

    @property
    def is_closed(self) -> bool:
        """Closed, itself or its session."""
        return self.closed or self.session.is_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<ClientProducer {self.address or 'anonymous'}>"


def _refusal(message: object, error: Exception) -> Exception:
    """What is wrong with a message that could not be encoded."""
    if isinstance(error, ActiveClientError):
        return error
    if not isinstance(message, CoreMessage):
        return TypeError(f"a core message is sent, made by create_message(), not {type(message).__name__}")
    wanted: dict[str, tuple[object, type | tuple[type, ...]]] = {
        "body": (message.body, (bytes, bytearray, memoryview)),
        "properties": (message.properties, Mapping),
        "priority": (message.priority, int),
        "timestamp": (message.timestamp, int),
        "expiration": (message.expiration, int),
        "body_type": (message.body_type, int),
    }
    for name, (value, kinds) in wanted.items():
        if not isinstance(value, kinds):
            return MessageFormatError(f"the message's {name} cannot be {type(value).__name__}")
    return MessageFormatError(f"the message cannot be encoded: {error}")
