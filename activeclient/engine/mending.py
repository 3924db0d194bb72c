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

from activeclient.engine.answers import WITH_CORRELATION, tell_refused
from activeclient.engine.requests import Pending, Request, SendToken
from activeclient.engine.session_life import State
from activeclient.engine.settling import FENCE_KEY
from activeclient.errors import ReattachDiverged, RemoteProtocolError
from activeclient.wire.message import RECEIVE, correlation_of, received
from activeclient.wire.old_layout import modern_receive_of_equal_size as present_receive
from activeclient.wire.packet import decode
from activeclient.wire.packets import (
    DisconnectConsumer,
    ExceptionResponse,
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
    if torn is not None:
        torn = client.inbox.torn = _judged(client, torn)  # first, and once: what follows changes what it goes by
    for channel, session in list(client.sessions.items()):
        if session.channel_id != channel:  # on its way from one to the other
            client.sessions.pop(channel, None)
            client.sessions[session.channel_id] = session
    for session in list(client.sessions.values()):
        if session.state is State.CLOSED:
            _announce_work(session)
            if session.error is not None:
                session.life.end_again(session.error, now)
            continue
        if session.creation is None:
            session.close_unattended()  # an interrupt came before anybody waited for it
        if session.recovery is not None and (torn is not None or session.recovery.stepping):
            session.life.torn = True  # a step of it may have been interrupted, and those cannot be taken again
        _mend_commands(session)
        if torn is not None and torn.session is session and session.windowed and session.state not in _UNCOUNTED:
            _count(session, torn)
        for consumer in list(session.consumers.values()):
            consumer.mend()
        session.mend_closing()
        _announce_work(session)
    client.inbox.torn = None


def _announce_work(session: Session) -> None:
    if session.work or any(consumer.has_listener for consumer in session.consumers.values()):
        session.work_announced = False
        session.work_ready()


def _mend_commands(session: Session) -> None:
    """What was sent, and what was submitted."""
    # What is here is told, and only then forgotten: this may be interrupted, too, and is done again then.
    confirmed = session.buffer.mend()
    session.awaiting_bytes = sum(len(frame) for frame, _ in session.awaiting.values())
    settling = [*session.settling, *confirmed]
    _relaunch(session, settling)  # first: whatever ends lets the next request go
    for token in session.behind_proof(settling):
        if isinstance(token, Request | SendToken):  # each ends once, however often it is told; nobody waits for others
            token.settled(session)
    session.settling = []
    session.buffer.mended()
    if session.refusing is not None:
        refused, error, frame = session.refusing
        if refused is not None:
            session.buffer.withdraw(lambda _, settle: settle is refused)
        tell_refused(session, refused, error, frame)
    for request in list(session.ending):
        if request.done:
            session.request_ended(request)
        session.ending.remove(request)


def _relaunch(session: Session, settling: list[Pending]) -> None:
    """A request that was on its way to the link, and has not got a place among the commands."""
    for request in (session.launching, session.current):
        if request is None or request.done or request in settling:
            continue
        if not session.windowed and session.current is request:
            continue  # nothing tells whether it is on the link: it counts as what may be
        if request in session.pending:
            if session.current is request and not request.sent:
                session.current = None  # as below, and interrupted there
            continue
        if session.recovery is not None or request.answered:
            continue
        if session.windowed and any(settle is request for _, settle in session.buffer.entries()):
            session.current = request
            continue
        request.sent = False
        session.pending.appendleft(request)
        if session.current is request:
            session.current = None
    session.launching = None


def _judged(client: ClientEngine, torn: Torn) -> Torn:
    """The place of an interrupt, with the frame that it came into counted as taken or not."""
    session, frame, taken = torn.session, torn.frame, torn.taken
    if session is not None and len(frame) >= _HEAD.size:
        size, kind, channel = _HEAD.unpack_from(frame)
        if channel == session.channel_id and len(frame) == size + 4:
            if torn.handling:
                taken -= _comes_again(client, session, frame)
            elif kind == RECEIVE:
                whole = frame if client.version >= V2_0 else present_receive(frame)
                taken += _delivered(session, _LONG_AT(frame, len(frame) - 12)[0], received(whole).message_id)
    return torn._replace(taken=taken, frame=b"", handling=False)


def _count(session: Session, torn: Torn) -> None:
    """How many packets of the server have taken effect: the next link brings the others again."""
    count = torn.base + torn.taken
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
    waiting = current is not None and not current.done
    if isinstance(packet, ExceptionResponse):
        # Of a refusal that was not acted on the command is still here; what `refusing` notes is acted on now.
        correlation_id = packet.correlation_id
        if session.refusing is not None:
            return False
        if correlation_id is None or correlation_id == -1:
            return waiting and not (packet.message is not None and FENCE_KEY in packet.message)
        return any(_is(frame, token, correlation_id, client.version) for frame, token in session.buffer.entries())
    return current is not None and waiting and type(packet) in current.packet.REPLY


def _is(frame: bytes, token: Pending | None, correlation_id: int, version: int) -> bool:
    if token is not None:
        return token.correlation_id == correlation_id
    return frame[4] in WITH_CORRELATION and correlation_of(frame, version) == correlation_id
