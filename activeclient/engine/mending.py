"""Making the engine whole after an interrupt: an exception between any two instructions of a thread that changed it.

Law of this file: it is called before the link is given up, and called again if it is interrupted itself. It only
finishes what had begun, or takes it back: nothing that was confirmed is lost, and nobody waits for what cannot come.
What the link had in flight needs no mending, as the next link repeats it.

Elsewhere the order of the steps is such that what was left undone can be seen here:

- A command is in the buffer before it is on the link; what the buffer counts can be counted again.
- A request, a confirmation or a refusal is noted before its consequences begin, and until they are through
  (`Session.launching`, `ending`, `settling`, `refusing`).
- The frames of a batch count as received by what `Inbox.torn` says of the place where it was interrupted.
- A message is taken from a consumer's buffer last, and acknowledged first (`Consumer.mend`).
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

from activeclient.engine.requests import Request, SendToken
from activeclient.engine.session_life import State
from activeclient.errors import ReattachDiverged, RemoteProtocolError
from activeclient.wire.message import RECEIVE, received
from activeclient.wire.old_layout import modern_receive_of_equal_size as present_receive
from activeclient.wire.packet import decode
from activeclient.wire.packets import (
    DisconnectConsumer,
    ProducerCredits,
    ProducerFailCredits,
    ReceiveContinuation,
    ReceiveLarge,
)
from activeclient.wire.versions import V2_0

if TYPE_CHECKING:
    from activeclient.engine.client import ClientEngine
    from activeclient.engine.inbox import Torn
    from activeclient.engine.session import Session

_HEAD = struct.Struct(">ibq")
_LONG_AT = struct.Struct(">q").unpack_from
_UNCOUNTED = (State.NEW, State.RECREATING, State.CLOSED)
"""States in which no packet of the server has a number."""


def mend(client: ClientEngine, now: float) -> None:
    """Make every session whole. Costs time, so it is called when a link is lost, interrupted or not."""
    torn = client.inbox.torn
    for session in list(client.sessions.values()):
        if session.state is State.CLOSED:
            if session.error is not None:
                session.life.end_again(session.error, now)
            continue
        if torn is not None and session.recovery is not None:
            session.life.torn = True  # a step of it may have been interrupted, and those cannot be taken again
        _mend_commands(session)
        if torn is not None and torn.session is session and session.windowed and session.state not in _UNCOUNTED:
            _count(client, session, torn, now)
        for consumer in list(session.consumers.values()):
            consumer.mend()
        if session.work or any(consumer.has_listener for consumer in session.consumers.values()):
            session.work_announced = False
            session.work_ready()
    client.inbox.torn = None


def _mend_commands(session: Session) -> None:
    """What was sent, and what was submitted."""
    confirmed = session.buffer.mend()
    session.awaiting_bytes = sum(len(frame) for frame, _ in session.awaiting.values())
    settling, session.settling = session.settling, []
    for token in [*settling, *confirmed]:
        if isinstance(token, Request | SendToken):  # each ends once, however often it is told; nobody waits for others
            token.settled(session)
    if session.refusing is not None:
        token, error = session.refusing
        session.buffer.withdraw(lambda _, settle: settle is token)
        token.failed(session, error)
        session.refusing = None
    ending = session.ending
    if ending is not None:
        session.ending = None
        if ending.done:
            session.request_ended(ending)
    _relaunch(session)


def _relaunch(session: Session) -> None:
    """A request that was on its way to the link, and has not got a place among the commands."""
    for request in (session.launching, session.current):
        if request is None or request.done or request in session.pending or not session.windowed:
            continue
        if session.recovery is not None or request.answered:
            continue
        if any(settle is request for _, settle in session.buffer.entries()):
            session.current = request
            continue
        request.sent = False
        if session.current is request:
            session.current = None
        session.pending.appendleft(request)
    session.launching = None


def _count(client: ClientEngine, session: Session, torn: Torn, now: float) -> None:
    """How many packets of the server have taken effect: the next link brings the others again."""
    count = torn.base + torn.taken
    frame = torn.frame
    if len(frame) >= _HEAD.size:
        size, kind, channel = _HEAD.unpack_from(frame)
        if channel == session.channel_id and len(frame) == size + 4:
            if torn.handling:
                count -= _comes_again(client, session, frame)
            elif kind == RECEIVE:
                whole = frame if client.version >= V2_0 else present_receive(frame)
                count += _delivered(session, _LONG_AT(frame, len(frame) - 12)[0], received(whole).message_id)
    session.received = count
    session.confirmed_received = min(session.confirmed_received, count)
    if torn.confirmed >= 0:
        with contextlib.suppress(ReattachDiverged):  # the next link finds it out
            session.confirmed(torn.confirmed)


def _delivered(session: Session, consumer_id: int, message_id: int) -> bool:
    consumer = session.consumers.get(consumer_id)
    return consumer is not None and bool(consumer.buffer) and consumer.buffer[-1].message_id == message_id


def _comes_again(client: ClientEngine, session: Session, frame: bytes) -> bool:
    """Was the packet counted, and is it to be taken anew?"""
    try:
        packet = decode(frame, client.version)
    except RemoteProtocolError:
        return False
    if isinstance(packet, ReceiveLarge):
        return not _delivered(session, packet.consumer_id, packet.message.message_id)
    if isinstance(packet, ReceiveContinuation):
        # Did the piece arrive? Nobody can tell, so the whole body comes again.
        consumer = session.consumers.get(packet.consumer_id)
        if consumer is not None and consumer.large is not None and consumer.large.stream is not None:
            consumer.large.stream.suspend()
            session.damaged.add(consumer)
        return False
    if isinstance(packet, ProducerCredits | ProducerFailCredits | DisconnectConsumer):
        return True  # twice does no harm
    current = session.current
    return current is not None and not current.done and type(packet) in current.packet.REPLY
