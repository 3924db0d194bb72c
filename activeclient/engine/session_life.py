"""The life of a session: created, detached, reattached and settled, or made anew, and ended.

Law of this file: nothing is written on the channel between the loss of the link and the end of the fence but fences;
nothing is replayed before the server's count is final; when the counts cannot both be true a new session is made, and
nothing is guessed; whatever waits when the session ends, ends with it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from activeclient.engine.command_buffer import duplicate_id_in
from activeclient.engine.delivery_check import DeliveryCheck
from activeclient.engine.gate import claim_gate
from activeclient.engine.proof import Repeated
from activeclient.engine.recovery import BARRIER_QUEUE, Recovery, unwrapped
from activeclient.engine.requests import REPEATABLE, Pending, Request, UnheardFailures
from activeclient.engine.session_check import SessionCheck
from activeclient.engine.settling import FENCE_KEY, MAX_FENCES, Fence, NullCounter
from activeclient.engine.unsettled import unsettled_of
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    DeliveryStopped,
    MessagesMissing,
    NotSent,
    Outcome,
    OutcomeUnknown,
    ReattachDiverged,
    SessionUnanswered,
    TransactionOutcomeUnknownError,
    from_server,
)
from activeclient.events import ReplayConfirmed, SessionReattached
from activeclient.server_code import ServerCode
from activeclient.wire.message import SEND
from activeclient.wire.packet import Packet, encode
from activeclient.wire.packets import (
    AddCountedMetadata,
    AddMetadata,
    Commit,
    CreateConsumer,
    CreateSession,
    CreateSessionResponse,
    ExceptionResponse,
    QueueQuery,
    ReattachSession,
    ReattachSessionResponse,
    SendContinuation,
    SessionClose,
)
from activeclient.wire.versions import V2_29

if TYPE_CHECKING:
    from activeclient.engine.session import Session

TRY_LATER = (ServerCode.SESSION_CREATION_REJECTED, ServerCode.ROUTING_EXCEPTION)
"""The server is starting, or sends us elsewhere: another attempt may be taken."""
PROBE_SECONDS = 3.0
"""How long after the creation of a session the server may take to say whether it can be reattached, which it should say
at once. A server that does not may hang in the question: the connection is renewed, and the answer counts as no."""


class State(enum.Enum):
    """Where a session is in its life."""

    NEW = "new"
    """Not created on the server yet."""
    ATTACHED = "attached"
    DETACHED = "detached"
    """The link is gone; the server may still have the session."""
    REATTACHING = "reattaching"
    SETTLING = "settling"
    """Reattached; the fence has not passed, the server's count is not final."""
    RECREATING = "recreating"
    """The old one is lost; a new one was asked for."""
    REBUILDING = "rebuilding"
    """The new one exists; its consumers, queues and unsettled sends are being brought back."""
    CLOSED = "closed"


class SessionLife:
    """What leads one session from state to state."""

    __slots__ = (
        "_answered_at",
        "_asked_at",
        "_fences",
        "_floor",
        "_made_at",
        "_remembered",
        "_replay",
        "_silent",
        "asked",
        "check",
        "delivery",
        "fence",
        "probe_due",
        "probing",
        "replaying",
        "session",
        "torn",
    )

    def __init__(self, session: Session) -> None:
        self.session: Session = session
        self.fence: Fence | None = None
        """What has to be answered before the server's count is final."""
        self.asked: bool = False
        """Was the server asked on this link to create it, and has not answered?"""
        self.probing: bool = False
        """Is the server being asked whether it lets sessions be reattached?"""
        self.probe_due: float | None = None
        """When an answer to that does not count any more; None: it is not asked, or has not made the session yet."""
        self.check: SessionCheck = SessionCheck(session, session.client.config.answer_timeout)
        """Asks whether the server still answers it."""
        self.delivery: DeliveryCheck = DeliveryCheck(session)
        """Looks whether the server still delivers to it."""
        self._fences = 0
        """Named fences so far."""
        self._floor = -1
        """The last command that was confirmed before the link was lost."""
        self._remembered = -1
        """The last confirmation on a link whose fence has not passed."""
        self._asked_at = 0.0
        """When its creation was asked for."""
        self._silent = self._made_at = self._answered_at = 0.0
        """How long nothing had come when the link was lost; when the next one stood; when the server had found us."""
        self.replaying: bool = False
        """Was something replayed that is not confirmed yet?"""
        self.torn: bool = False
        """Is its recreation under way that an interrupt has come into, or may: then it begins anew?"""
        self._replay = (0, 0, 0.0)
        """The first command behind it, how many they are, and when it began."""

    def _enter(self, state: State, now: float) -> None:
        session = self.session
        if session.lost_at is None and state is not State.ATTACHED:
            session.lost_at = now
            session.usable_seconds += now - session.usable_since
        elif state is State.ATTACHED and session.lost_at is not None:
            session.lost_at = None
            session.usable_since = now
        if state is State.CLOSED or state is State.RECREATING:
            self.check.stop()
            self.check.unanswered = 0
            self.delivery.renew()
        session.state = state

    # --- the link -------------------------------------------------------------------------------------------------

    def link_made(self, now: float) -> None:
        """A new connection stands: say hello on it."""
        session = self.session
        if self.torn:
            if session.state is State.DETACHED:
                session.client.leave_behind(session)
            self._recreate(session.client.last_error, now)
        elif session.state in (State.NEW, State.RECREATING):
            self._create(now)
        elif session.state is State.DETACHED:
            if session.reattachable and session.client.reattaches is not False:
                self._enter(State.REATTACHING, now)
                self._made_at = now
                self._floor = self._remembered = session.buffer.first - 1
                if session.config.user is not None:
                    session.client.show_login(session.config.user, session.config.password)
                session.client.ask_control(ReattachSession(session.name, session.received), self.on_reattach)
            else:
                self._recreate(session.client.last_error, now)

    def link_lost(self, now: float) -> None:
        """The connection is gone."""
        session = self.session
        self.probe_due = None
        if self.asked:
            if session.state in (State.NEW, State.RECREATING):
                session.client.leave_behind(session)
            self.asked = False
        if session.state in (State.NEW, State.CLOSED):
            return
        if session.state in (State.ATTACHED, State.REBUILDING):
            session.buffer.link_lost()
        if session.state is State.REATTACHING:
            self.check.unanswered += 1
        session.proof.link_lost()
        self.check.stop()
        self.delivery.stop()
        if session.lost_at is None:
            self._silent = max(0.0, now - session.client.heartbeat.last_received)
        self.fence = None
        self.replaying = False
        session.resume_at = None
        if session.state is not State.RECREATING:
            self._enter(State.DETACHED, now)

    # --- creation -------------------------------------------------------------------------------------------------

    def _create(self, now: float) -> None:
        session = self.session
        client = session.client
        config = session.config
        session.name = client.new_id()
        self._asked_at = now
        if client.reattaches is None and (client.server_version or client.version) < V2_29:
            # These brokers reattach a session, and one (2.28.0) hangs for good when it is asked to on the session's
            # own connection, with a thread that other connections need.
            client.learned_reattach(True)
        packet = CreateSession(
            session.name,
            session.channel_id,
            client.version,
            config.user,
            config.password,
            config.min_large_message_size,
            config.xa,
            config.auto_commit_sends,
            config.auto_commit_acks,
            config.wire_window(reattach=client.reattaches is not False),
            config.pre_acknowledge,
            None,
            config.client_id,
        )
        try:
            client.limits.check_login(len(encode(packet, 1, client.version)))
        except NotSent as error:
            self._login_too_large(error, now)
            return
        self.asked = True
        client.ask_control(packet, self._on_created)
        self.probing = session.reattachable and client.reattaches is None
        if self.probing:
            # In the same write, while the session is idle: it moves to where it is, or the server cannot move any.
            name = session.name
            client.ask_control(ReattachSession(name, -1), lambda answer, now: self.on_probed(name, answer, now))

    def _on_created(self, packet: Packet, now: float) -> None:
        session = self.session
        if session.state is State.CLOSED:
            return
        if isinstance(packet, ExceptionResponse):
            self._creation_refused(packet, now)
            return
        if not isinstance(packet, CreateSessionResponse):
            session.client.fail_protocol(f"{type(packet).__name__} answers the creation of a session", now)
            return
        session.client.limits.logged_in()
        session.client.server_said_version(packet.server_version)
        if not self.probing:
            self._created(now)
            return
        patience = session.client.config.answer_timeout
        self.probe_due = now + (PROBE_SECONDS if patience is None else min(PROBE_SECONDS, patience / 2))

    def handle_timeout(self, now: float) -> None:
        """Look at what is due: a question to the server, or its answer to whether it reattaches sessions."""
        self.check.handle_timeout(now)
        self.delivery.handle_timeout(now)
        if self.probe_due is not None and now >= self.probe_due:
            self.probe_due = None
            self.probing = False
            self.session.client.learned_reattach(False)
            text = "the broker does not say whether sessions can be reattached; the connection is renewed without that"
            self.session.client.abort(SessionUnanswered(text), now)

    def on_probed(self, name: str, packet: Packet, now: float) -> None:
        """Does this server let sessions be reattached? Artemis 2.57 answers as if it knew none."""
        session = self.session
        if name != session.name or not self.probing or session.state not in (State.NEW, State.RECREATING):
            return
        self.probing = False
        self.probe_due = None
        client = session.client
        client.learned_reattach(isinstance(packet, ReattachSessionResponse) and packet.reattached)
        if client.reattaches:
            self._created(now)
            return
        client.write(session.encode(SessionClose()))
        client.move_channel(session)
        self._create(now)

    def _created(self, now: float) -> None:
        session = self.session
        if session.recovery is not None:
            self._enter(State.REBUILDING, now)
            self.asked = False
            session.recovery.slowest = now - self._asked_at
            session.recovery.advance()
            return
        self._enter(State.ATTACHED, now)
        self.asked = False
        if session.creation is not None:
            session.creation.settled(session)
        if session.metadata and session.supports(AddCountedMetadata):
            for told in reversed(session.metadata_packets()):
                session.submit_first(session.request_of(told))
        claim = claim_gate(session)
        if claim is not None:
            session.submit_first(claim)
        session.launch()
        session.client.session_ready(now)

    def _login_too_large(self, error: NotSent, now: float) -> None:
        client = self.session.client
        if self.session.state is State.NEW:
            self.end(error, now)
            client.session_ready(now)
        else:  # it comes from another broker, and may find one that takes it
            failed = ConnectFailed(str(error))
            failed.__cause__ = error
            client.abort(failed, now)

    def _creation_refused(self, packet: ExceptionResponse, now: float) -> None:
        self.probing = self.asked = False
        self.probe_due = None
        client = self.session.client
        error = from_server(packet.code, packet.message)
        if packet.code == ServerCode.INCOMPATIBLE_CLIENT_SERVER_VERSIONS and client.lower_version():
            self._create(now)
        elif packet.code in TRY_LATER:
            later = ConnectionLost(str(error), code=packet.code)
            later.__cause__ = error
            client.abort(later, now)
        elif self.session.state is State.NEW:
            self.end(error, now)
            client.session_ready(now)
        else:
            client.abort(error, now)

    # --- reattachment ---------------------------------------------------------------------------------------------

    def on_reattach(self, packet: Packet, now: float) -> None:
        """The server's answer: it has the session and says what it has counted, or it has it no more."""
        session = self.session
        if session.state is not State.REATTACHING:
            return
        if isinstance(packet, ReattachSessionResponse) and packet.reattached:
            last = packet.last_confirmed_command_id
            if last < self._floor or last >= session.buffer.next_id:
                reason = (
                    f"the server counts {last + 1} commands of {session.buffer.next_id}, after {self._floor + 1} before"
                )
                session.client.session_diverged(session, ReattachDiverged(reason), now)
                return
            self.remember(last)
            strays = session.nulls.due
            if strays >= MAX_FENCES:
                reason = f"{strays} answers of the server are missing"
                session.client.session_diverged(session, ReattachDiverged(reason), now)
                return
            self.set_fence(strays, now)
        elif isinstance(packet, ReattachSessionResponse) and packet.last_confirmed_command_id > session.received + 1:
            # It has the session, and says from where on it can send again.
            missing = range(session.received + 1, packet.last_confirmed_command_id)
            self._abort(missing, "broker", "what it sent was lost on the way", now)
        elif isinstance(packet, ReattachSessionResponse):
            # Its TTL is over, the broker was restarted, or it is another broker now: ask again whether it can.
            session.client.reattaches = None
            self._recreate(session.client.last_error, now)
        elif isinstance(packet, ExceptionResponse):
            session.client.abort(from_server(packet.code, packet.message), now)
        else:
            session.client.fail_protocol(f"{type(packet).__name__} answers a reattachment", now)

    def remember(self, last: int) -> None:
        """A confirmation came before the fence has passed."""
        self._remembered = max(self._remembered, last)

    def set_fence(self, strays: int, now: float) -> None:
        """Ask for the sign that the server's count is final, where `strays` answers from before may still come."""
        session = self.session
        self._enter(State.SETTLING, now)
        self._answered_at = now
        if strays and not (session.transacted_sends or session.transacted_acks or session.config.xa):
            self._fences += 1
            name = f"{FENCE_KEY}-{self._fences}-"  # the last dash: no name is part of another
            self.fence = Fence(strays, name)
            session.client.write(session.encode(CreateConsumer(-1, name)))
            return
        self.fence = Fence(strays)
        self._send_fences(self.fence)

    def _send_fences(self, fence: Fence) -> None:
        session = self.session
        for _ in range(fence.more()):
            session.nulls.expect()
            session.client.write(session.encode(AddMetadata(FENCE_KEY, "")))

    def fence_answered(self) -> None:
        """A NULL_RESPONSE came that may be a fence's."""
        fence = self.fence
        if fence is not None:
            fence.answered()
            if fence.passed:
                self.settled()
            elif fence.name is None:
                self._send_fences(fence)

    def fence_refused(self, text: str) -> None:
        """The answer to a named fence: of this attempt, or a late one."""
        if self.fence is not None:
            self.fence.refused(text)
            if self.fence.passed:
                self.settled()

    def settled(self) -> None:
        """The fence has passed: the count is final, the rest is replayed."""
        session = self.session
        client = session.client
        now = client.now
        self.fence = None
        try:
            session.settle_up_to(self._remembered)
        except ReattachDiverged as error:
            self.diverged(error, now)
            return
        if session.buffer.gone:
            missing = session.buffer.missing
            session.buffer.not_taken()
            self._abort(missing, "client", f"the broker has {missing.start} commands", now)
            return
        if not client.suspects.may_replay(session):
            return
        replayed = session.buffer.frames()
        started = session.lost_at if session.lost_at is not None else now
        confirmed = session.buffer.first - 1 - self._floor
        self._enter(State.REBUILDING if session.recovery is not None else State.ATTACHED, now)
        if session.recovery is None:
            session.buffer.replayed()
        client.outbox.extend(replayed)
        client.pending_bytes += session.buffer.used
        session.emit(
            SessionReattached(
                session.name,
                session.channel_id,
                confirmed,
                len(replayed),
                now - started,
                self._made_at - started,
                self._answered_at - self._made_at,
                now - self._answered_at,
                self._silent,
            )
        )
        self.replaying = bool(replayed)
        self._replay = (session.buffer.next_id, len(replayed), now)
        current = session.current
        if current is not None and current.answered and not current.done:
            # Counted, but its answer was thrown away while the channel moved.
            self._answer_lost(current)
        if session.recovery is not None:
            session.recovery.go_on()
        for consumer in list(session.damaged):
            consumer.refresh()
            session.damaged.discard(consumer)
        if session.nulls.due and session.recovery is None:
            session.submit_first(session.request_of(QueueQuery(BARRIER_QUEUE)))
        for pool in session.pools.values():
            if pool.asked == 0:
                session.want_credits(pool.address, 0)
        session.launch()
        session.proof.go_on()
        self.check.begin(now)
        self.delivery.begin(now)
        client.session_reattached(now)

    def _abort(self, missing: range, sent_by: str, why: str, now: float) -> None:
        """What is missing is in no recovery buffer: give the connection up rather than lose it silently."""
        session = self.session
        session.client.abort(MessagesMissing(missing, sent_by, session.name, why), now)

    def confirmed(self) -> None:
        """Commands were confirmed while what was replayed was not: is it now?"""
        session = self.session
        end, commands, began = self._replay
        if session.buffer.first >= min(end, session.buffer.next_id):  # a refusal moves the ids down
            self.replaying = False
            session.client.suspects.replayed(session)
            session.emit(ReplayConfirmed(session.name, session.channel_id, commands, session.client.now - began))

    def _answer_lost(self, request: Request) -> None:
        session = self.session
        if isinstance(request.packet, REPEATABLE):
            session.send_request(request)
        elif isinstance(request.packet, CreateConsumer):
            request.complete(session, None)
        else:
            request.failed(
                session, OutcomeUnknown("the server executed it and its answer was lost with the connection")
            )

    def diverged(self, error: ReattachDiverged | DeliveryStopped, now: float) -> None:
        """The server's session is of no use: leave it and make a new one, without guessing."""
        session = self.session
        session.client.write(session.encode(SessionClose()))
        if session.state in (State.ATTACHED, State.REBUILDING):
            session.buffer.link_lost()
        session.client.move_channel(session)
        self._recreate(error, now)

    # --- recreation -----------------------------------------------------------------------------------------------

    def _recreate(self, reason: ActiveClientError | None, now: float) -> None:
        session = self.session
        missing = _cannot_be_repeated(session)
        if missing:
            self._abort(missing, "client", "the broker does not have the session any more", now)
            return
        self.fence = None
        self.replaying = False
        session.resume_at = None  # of the recovery before this one
        self.torn = True
        self._enter(State.RECREATING, now)  # before anything ends: what that sets free must not be sent yet
        if session.recovery is None or session.recovery.sorted:  # else an interrupt came into that
            reason = reason or ClosedError("the connection was lost")
            session.recovery = Recovery(session, reason, now, session.recovery)
        session.epoch += 1  # before anything ends: who hears of it sees that the session was lost
        session.recovery.sort_out()
        session.received = -1
        session.received_bytes = 0
        session.confirmed_received = -1
        session.nulls = NullCounter()
        session.damaged.clear()
        session.owed.clear()
        for consumer in session.consumers.values():
            consumer.new_generation()
        session.held.session_lost()
        for pool in session.pools.values():
            pool.restart()
        self.torn = False
        self._create(now)

    def rebuilt(self, in_doubt: tuple[bytes | str | None, ...]) -> None:
        """The recovery is through: the application's wishes go on (called by it)."""
        client = self.session.client
        self._enter(State.ATTACHED, client.now)
        self.session.buffer.replayed()
        self.session.launch()
        self.session.proof.go_on()
        client.session_recreated(client.now, in_doubt)

    # --- the end --------------------------------------------------------------------------------------------------

    def end(self, error: ActiveClientError, now: float) -> tuple[bytes | str | None, ...]:
        """The session ends and cannot be had again: everything that waits ends too. Returns ids of sends in doubt."""
        session = self.session
        if session.state is State.CLOSED:
            return ()
        if session.state in (State.ATTACHED, State.REBUILDING):
            session.buffer.link_lost()
        session.error = error
        self._enter(State.CLOSED, now)
        return self.end_again(error, now)

    def end_again(self, error: ActiveClientError, now: float) -> tuple[bytes | str | None, ...]:
        """What the end means for everything that waits; done again where it was interrupted."""
        session = self.session
        recovery = session.recovery
        if recovery is not None:
            recovery.sort_out()
        entries = session.buffer.entries()
        sent = max(0, session.buffer.transmitted - session.buffer.first)
        work: list[tuple[bytes, Pending | None, bool]] = [
            (repeated.frame, repeated.token, True) for repeated in session.proof.unproven
        ]
        work += [(frame, token, position < sent) for position, (frame, token) in enumerate(entries)]
        in_doubt: list[bytes | str | None] = []
        if recovery is not None:
            # Those that it has failed already: nobody else will tell of them.
            in_doubt += recovery.in_doubt
            work = recovery.left() + work
            recovery.abandon(error)
        work += [(frame, token, True) for frame, token in session.awaiting.values()]
        session.unsettled = session.unsettled or unsettled_of(session, work)
        unheard = UnheardFailures()
        for frame, token, maybe in map(unwrapped, work):
            if frame[4] in (SEND, SendContinuation.KIND) and not isinstance(token, Request):
                duplicate_id = duplicate_id_in(frame) if frame[4] == SEND else None
                if maybe:
                    in_doubt.append(duplicate_id)
                if token is None:
                    continue
                failure: ActiveClientError = (
                    OutcomeUnknown(f"{error}; the message may have been sent", duplicate_id=duplicate_id)
                    if maybe
                    else NotSent(f"{error}; the message was not sent")
                )
                failure.__cause__ = error
                if not unheard.take(token, failure):
                    token.failed(session, failure)
            elif token is not None and not token.done:
                token.failed(session, _ended_by(error, token, maybe=maybe))
        unheard.tell(session)
        session.proof.end()
        farewells = [session.farewell, *(consumer.farewell for consumer in session.consumers.values())]
        for request in [session.current, *session.pending, *farewells]:
            if request is not None and not request.done:
                request.failed(session, _ended_by(error, request, maybe=request is session.current and request.sent))
        session.pending.clear()
        session.current = None
        if session.creation is not None:
            session.creation.failed(session, error.again())
        for consumer in list(session.consumers.values()):
            consumer.closed = True
            consumer.error = error
            consumer.reading.fail(error)
        session.consumers.clear()
        session.recovery = None  # what is in flight leaves its place last: until here an interrupt loses nothing
        session.proof.take_back()
        session.buffer.restart()
        session.awaiting.clear()
        session.awaiting_bytes = 0
        session.client.forget(session)
        return tuple(in_doubt)


def _cannot_be_repeated(session: Session) -> range:
    """The ids from the first to the last send that a new session would have to repeat and that has left the buffer.

    Other commands than sends are not repeated byte by byte, and those of a transaction are rolled back.
    """
    buffer = session.buffer
    if not buffer.gone or session.transacted_sends:
        return range(0)
    left = [
        buffer.first + place
        for place, (frame, token) in enumerate(buffer.entries()[: buffer.gone])
        if frame[4] == SEND and not isinstance(token, Repeated)
    ]
    return range(left[0], left[-1] + 1) if left else range(0)


def _ended_by(error: ActiveClientError, token: Pending, *, maybe: bool) -> ActiveClientError:
    """What a request ends with when its session does; `maybe`: the server may have carried it out."""
    packet = token.packet if isinstance(token, Request) else None
    if maybe and isinstance(packet, Commit):
        unknown = TransactionOutcomeUnknownError(f"{error}; the commit was on its way", code=115)
        unknown.__cause__ = error
        return unknown
    ended = error.again()
    if maybe and not isinstance(packet, REPEATABLE):
        ended.outcome = Outcome.UNKNOWN
    return ended
