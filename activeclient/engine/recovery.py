"""When a session cannot be reattached: what is recreated, in which order, and what becomes of what was in flight.

Law of this file: everything that was not confirmed ends in exactly one way. A send goes out again when it carries a
duplicate id or no link ever took it, else it fails with `OutcomeUnknown`; acknowledgements are forgotten, their
messages come again; an open transaction is rolled back; a commit in doubt is settled by the duplicate ids of its
sends, else it is unknown. The packets that rebuild the session are counted like all others.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from activeclient.engine.command_buffer import Remains
from activeclient.engine.gate import (
    GATE_KEY,
    LONGEST_PAUSE,
    SAMPLES,
    STORAGE_REST,
    claim_gate,
    patience,
    pause,
    rest,
)
from activeclient.engine.proof import Repeated
from activeclient.engine.requests import Pending, Request, SendToken, UnheardFailures
from activeclient.errors import (
    ActiveClientError,
    DuplicateIDError,
    OutcomeUnknown,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
    XAError,
)
from activeclient.events import SessionRecreated
from activeclient.server_code import ServerCode
from activeclient.wire.message import SEND, correlation_of, duplicate_id_of
from activeclient.wire.packets import (
    Acknowledge,
    AddCountedMetadata,
    BindingQuery,
    Commit,
    ConsumerClose,
    CreateAddress,
    CreateConsumer,
    CreateProducer,
    CreateQueue,
    CreateSharedQueue,
    DeleteQueue,
    IndividualAcknowledge,
    QueueQuery,
    QueueQueryResponse,
    Rollback,
    SessionClose,
    SessionStart,
    SessionStop,
    UniqueAddMetadata,
    XACommit,
    XAEnd,
    XAFailed,
    XAGetTimeout,
    XAIndoubtXids,
    XARollback,
    XASetTimeout,
)
from activeclient.wire.queue_attributes import QUEUE_ATTRIBUTES

if TYPE_CHECKING:
    from activeclient.engine.consumer import Consumer
    from activeclient.engine.session import Session

XAER_RMFAIL = -7

AGAIN = (
    SessionClose,  # what is to be sent again goes before it
    QueueQuery,
    BindingQuery,
    CreateConsumer,
    CreateAddress,
    CreateQueue,
    CreateQueue,
    CreateSharedQueue,
    CreateSharedQueue,
    DeleteQueue,
    AddCountedMetadata,
    UniqueAddMetadata,
    SessionStop,
    XAIndoubtXids,
    XAGetTimeout,
    XASetTimeout,
    XAEnd,
    XACommit,
    XARollback,
)
"""Requests that may be made again: they change nothing, or a second time tells that the first took effect."""
BOUND_TO_EPOCH = (Rollback, ConsumerClose, Acknowledge, IndividualAcknowledge)
"""Requests that concern the lost session alone: one that was not sent yet must not reach the new one."""
ENDED_BY_LOSS = (Rollback, ConsumerClose)
"""Requests whose purpose the loss of the session has fulfilled."""

BARRIER_QUEUE = "activeclient.barrier"
"""A queue name that nobody has: the query for it is a harmless command whose answer is unmistakable."""
Steps = Generator["Request | float", "Request", None]
"""Requests, one after the other, each given back when it ended; or seconds to rest."""

Entry = tuple[bytes, Pending | None, bool]
"""Frame, who waits for it, and whether the server may have it."""


class Recovery:
    """One recreation of one session, from the loss to the last repeated send."""

    def __init__(self, session: Session, reason: ActiveClientError, now: float, earlier: Recovery | None) -> None:
        self.session = session
        self.reason: ActiveClientError = reason if earlier is None else earlier.reason
        self.began = now
        self.sorted: bool = False
        """Is it decided what becomes of everything that was in flight? `sort_out` does it."""
        self.stepping: bool = False
        """Is a step of the rebuilding being taken? If so when the link is lost, an interrupt has come into it."""
        self._earlier = earlier
        self._work: list[Entry] | None = None
        """What was in flight, once it is collected; until then it is where it was."""
        self._current: Request | None = None
        """The request that was, if it is none of those."""
        self.rolled_back: bool = False
        self.gate_passed: bool = session.gate is None
        """Has the server done with the session before?"""
        self.awaits_others: bool = False
        """It only waits for the sessions of before of others on its connection."""
        self._gate_at = now
        """When it was found to have."""
        self.slowest: float = 0.0
        """Seconds of the server's slowest answer so far."""
        self._asked_at = now
        self.in_doubt: list[bytes | str | None] = []
        self._resend: list[Entry] = []
        self._group: list[Entry] = []
        """What was sent of them last, and is not known to have passed."""
        self._repeats = 0
        """Sends that were repeated before the end of the rebuilding."""
        self.settling: Request | None = None
        """The commit whose transaction is being done again."""
        self._tried: Request | None = None
        """The request of the application that is repeated by itself."""
        self._unheard = UnheardFailures()
        self._unsettled: Request | None = None
        self._last: Request | None = None
        self._sampled = False
        """Were the questions asked whose answers tell how slow the server is?"""
        self.undone: bool = session.transaction.work or (earlier is not None and earlier.undone)
        """True if a transaction of the session before was open, which the server rolls back."""
        self._paused = False
        """Does the rebuilding rest?"""
        self._steps = self._rebuild()

    def sort_out(self) -> None:
        """Decide what becomes of everything that was in flight.

        Called again when it was interrupted: what was in flight is noted here before it leaves its place, whatever
        ends does so once, and everything else is decided anew.
        """
        if self.sorted:
            return
        session = self.session
        for consumer in list(session.consumers.values()):
            if consumer.closed and not consumer.owes_acknowledgements:
                if session.recognises_held:
                    session.held.consumer_closed(consumer)
                session.consumers.pop(consumer.id, None)  # nobody needs it any more
            consumer.forget_refresh()
        if self._work is None:
            self._work = self._collect()
        session.buffer.restart()
        session.proof.take_back()
        session.awaiting.clear()
        session.awaiting_bytes = 0
        session.current = None
        session.repeated = set()
        self._sort_all(self._work)
        self.sorted = True
        self._earlier = None

    def _collect(self) -> list[Entry]:
        """Return what was in flight, and leave it where it is."""
        session = self.session
        earlier = self._earlier
        unproven = session.proof.unproven
        work: list[Entry] = [(repeated.frame, repeated.token, True) for repeated in unproven]
        if earlier is not None:
            # The one before did not get to its end: what it rebuilt is gone, what it was to repeat is not.
            earlier.drop_passed()
            return work + earlier.left()
        sent = session.buffer.transmitted - session.buffer.first
        left: list[Entry] = [
            (frame, token, place < sent) for place, (frame, token) in enumerate(session.buffer.entries())
        ]
        left += [(frame, token, True) for frame, token in session.awaiting.values()]
        twice = {id(repeated) for repeated in unproven}  # in both places, where an interrupt left it
        work += [entry for entry in left if id(entry[1]) not in twice]
        current = session.current
        if current is not None and not any(token is current for _, token, _ in work):
            self._current = current
        return work

    def _sort_all(self, work: list[Entry]) -> None:
        session = self.session
        transaction = session.transaction
        earlier = self._earlier
        self._resend = []
        self._unheard = UnheardFailures()
        self.in_doubt = []
        if earlier is not None:
            self._repeats = earlier._repeats
            self.in_doubt = list(earlier.in_doubt)
            self.rolled_back = earlier.rolled_back
            self._unsettled = earlier._unsettled
            if self._unsettled is not None and self._unsettled.done:  # interrupted when it had just ended
                self._unsettled = None
                transaction.reset()
            if earlier._tried is not None:
                self._sort_request(earlier._tried, maybe=True)
        for frame, token, maybe in map(unwrapped, work):
            self._sort(frame, token, maybe=maybe)
        if self._current is not None:
            self._sort_request(self._current, maybe=True)
        for request in [request for request in session.pending if not request.sent]:
            packet = request.packet
            held = session.holds_back(request)
            if (
                request.bound
                or isinstance(packet, BOUND_TO_EPOCH)
                or held
                or (isinstance(packet, Commit) and transaction.work and not session.recognises_held)
            ):
                self._sort_request(request, maybe=False)
                if (request.done or held) and request in session.pending:
                    session.pending.remove(request)
        if self._unsettled is None and transaction.work and not session.recognises_held:
            self.rolled_back = True
            transaction.rollback_only = True
        self._unheard.tell(session)

    @property
    def settles_commit(self) -> bool:
        """True while the outcome of a commit is being found out."""
        return self._unsettled is not None

    def left(self) -> list[Entry]:
        """What it was to repeat and did not; of one that is not sorted, all that was in flight."""
        if self.sorted:
            return list(self._resend)
        if self._work is not None:
            return list(self._work)
        return [] if self._earlier is None else self._earlier.left()

    def abandon(self, error: ActiveClientError) -> None:
        """The session ends before the rebuilding did: a commit in doubt stays so."""
        commit = self._unsettled
        if commit is not None:
            unknown = TransactionOutcomeUnknownError(
                f"the commit could not be settled: {error}", code=ServerCode.TRANSACTION_OUTCOME_UNKNOWN
            )
            unknown.__cause__ = error
            commit.failed(self.session, unknown)
            self._unsettled = None

    # --- sorting out what was in flight ---------------------------------------------------------------------------

    def _sort(self, frame: bytes, token: Pending | None, *, maybe: bool) -> None:
        session = self.session
        kind = frame[4]
        if token is not None and token.done and token.error is None:
            return  # an interrupt came before it left its place
        if isinstance(token, Request):
            self._sort_request(token, maybe=maybe)
        elif kind == SEND and not session.transacted_sends:
            duplicate_id = duplicate_id_of(frame)
            if duplicate_id is not None or not maybe:
                self._resend.append((frame, token, maybe))
            else:
                self._in_doubt(token, None)
        elif token is not None:
            if session.transacted_sends:
                token.failed(session, TransactionRolledBackError("the transaction was rolled back with its session"))
            else:
                token.failed(session, OutcomeUnknown("the connection was lost while a large message was sent"))

    def _in_doubt(self, token: Pending | None, duplicate_id: bytes | str | None) -> None:
        error = OutcomeUnknown(
            "the session was lost before the send was confirmed, and the message has no duplicate id to repeat it with",
            duplicate_id=duplicate_id,
        )
        self.in_doubt.append(duplicate_id)
        if not self._unheard.take(token, error) and token is not None:
            token.failed(self.session, error)

    def _sort_request(self, request: Request, *, maybe: bool) -> None:
        session = self.session
        packet = request.packet
        if request.done:
            return
        if isinstance(packet, Commit):
            self._sort_commit(request, maybe=maybe)
        elif session.holds_back(request):
            request.sent = False  # it goes out when what was acknowledged has come again
        elif isinstance(packet, ENDED_BY_LOSS):
            if isinstance(packet, Rollback):
                session.transaction.reset()
            request.complete(session, None)
        elif request.bound:
            request.complete(session, None)  # of a renewal: the rebuilding makes this consumer, if it still is wanted
        elif isinstance(packet, AGAIN):
            self._again(request, maybe=maybe)
        elif isinstance(packet, (Acknowledge, IndividualAcknowledge)) and session.recognises_held:
            request.complete(session, None)  # its messages are recognised, and acknowledged again
        elif isinstance(packet, (Acknowledge, IndividualAcknowledge)):
            request.failed(
                session, OutcomeUnknown("the session was lost; what was not acknowledged before comes again")
            )
        else:
            request.failed(session, XAError("the session was lost with the branch", xa_code=XAER_RMFAIL))

    def _sort_commit(self, request: Request, *, maybe: bool) -> None:
        session = self.session
        transaction = session.transaction
        if session.recognises_held:
            # Sent again when its messages are back; it took effect if none of them is redelivered.
            if maybe:
                session.held.commit_lost()
            self._again(request, maybe=maybe)
        elif not maybe or not transaction.work:
            if transaction.work:
                request.failed(session, TransactionRolledBackError("the session was lost before the commit was sent"))
                transaction.reset()
            else:
                request.complete(session, None)
        elif transaction.repeatable is not None:
            self._unsettled = request
        else:
            request.failed(
                session,
                TransactionOutcomeUnknownError(
                    "the session was lost while the commit was on its way", code=ServerCode.TRANSACTION_OUTCOME_UNKNOWN
                ),
            )
            transaction.reset()  # then: interrupted in between, the commit must not look like an empty one

    def _again(self, request: Request, *, maybe: bool) -> None:
        request.sent = False
        request.recreated = request.recreated or maybe
        if request not in self.session.pending:
            self.session.pending.appendleft(request)

    # --- rebuilding -----------------------------------------------------------------------------------------------

    def request_ended(self, request: Request) -> None:
        """A request ended; the rebuilding goes on when it is the one that it waits for."""
        if request is self._last:
            self.go_on()

    def go_on(self) -> None:
        """Take the next step if the session can: the answer may have come while it was being reattached."""
        if self.session.rebuilding and (self._paused or (self._last is not None and self._last.done)):
            self.advance()

    def advance(self) -> None:
        """The new session exists, a pause is over, or the last request of the rebuilding ended: take the next step."""
        if self.stepping:
            return  # interrupted in a step, it ends when the link is lost
        self.stepping = True
        session = self.session
        session.resume_at = None
        self._paused = False
        last, self._last = self._last, None
        if last is not None:
            self.slowest = max(self.slowest, session.client.now - self._asked_at)
        try:
            step = self._steps.send(last) if last is not None else next(self._steps)
        except StopIteration:
            self._finish()
            self.stepping = False
            return
        if isinstance(step, float):
            session.resume_at = session.client.now + step
            self._paused = True
            self.stepping = False
            return
        self._last = step
        self._asked_at = session.client.now
        self.stepping = False  # it may end at once, and the next step be taken
        session.send_request(step)

    def _rebuild(self) -> Steps:
        session = self.session
        gated = session.gate is not None
        if session.gate is not None:
            yield from self._gate(session.gate)
            yield from self._returned()
        elif (claim := claim_gate(session)) is not None:
            yield claim  # this server does not reattach, and the one before did: the next loss will need it
        for metadata in session.metadata_packets():
            yield session.request_of(metadata)
        for temporary in session.temporary_queues.values():
            yield session.request_of(temporary)
        for consumer in list(session.consumers.values()):
            info = consumer.queue_info
            if info is not None and _needs_queue(consumer, info, session):
                yield session.request_of(_queue_of(consumer, info))
            answer = yield session.request_of(consumer.create_packet())
            if answer.error is not None:
                session.consumer_lost(consumer, answer.error)
                continue
            consumer.grant_window()
        if session.branch is not None:
            # The branch outlives its session on the server, perhaps without its last sends: it must never be prepared,
            # and what is still sent in it must not be visible either.
            session.command(session.encode(XAFailed(session.branch)))
        for producer_id, address in session.producers.items() if session.supports(CreateProducer) else ():
            session.command(session.encode(CreateProducer(producer_id, address)))
        if (
            session.started
            or session.held.any_expected
            or any(consumer.closed for consumer in session.consumers.values())
        ):
            session.command(session.encode(SessionStart()))  # a closed one waits for what it has to acknowledge again
        for consumer in session.consumers.values():
            consumer.force_again()  # only now: the marker would come before what a stopped session holds back
        if gated:
            session.held.returned_at = session.client.now
            yield from self._rest()
        yield from session.client.suspects.trials(self)
        if self._unsettled is not None:
            yield from self.settle_commit(self._unsettled)

    def _gate(self, name: str) -> Steps:
        """Wait until the server has ended the session before: what that one still does comes before ours.

        A server that cannot reattach ends the session when it notices that the connection is gone. Until then messages
        that were delivered to it are not back in their queues, its temporary queues exist, and its last commands may
        still be carried out; a new session would overtake all of that.
        """
        session = self.session
        began = session.client.now
        attempt = 0
        while True:
            answer = yield session.request_of(UniqueAddMetadata(GATE_KEY, name, True))
            taken = answer.error is not None and answer.error.code == ServerCode.DUPLICATE_METADATA
            deadline = began + patience(self.slowest)
            if not taken or session.client.now >= deadline:
                break
            attempt += 1
            yield pause(attempt)
        self._gate_at = session.client.now
        self.gate_passed = True
        session.client.gate_passed()
        if taken:
            # The name stays with the one before. Whoever succeeds this session waits for its own, or for nothing.
            session.gate = session.name
            yield session.request_of(UniqueAddMetadata(GATE_KEY, session.gate, True))
        # What one session made others use: a temporary queue goes with the session before, whoever consumes from it.
        self.awaits_others = True
        while session.client.gates_open and session.client.now < deadline:
            yield LONGEST_PAUSE  # ended early when the last of them has passed
        self.awaits_others = False

    def _returned(self) -> Steps:
        """Let what the session before held return to its queues, before anything is consumed from them."""
        session = self.session
        if not session.consumers and not session.temporary_queues:
            return
        yield from self._sample()
        least = STORAGE_REST if session.client.ended_with_writes else 0.0
        left = self._gate_at + max(least, rest(self.slowest)) - session.client.now
        if left > 0:
            yield left

    def _rest(self) -> Steps:
        """Let the last sends of the session before be carried out, before any of them is repeated."""
        if self._unsettled is None and not any(maybe for _, _, maybe in self._resend):
            return
        yield from self._sample()
        left = self._gate_at + rest(self.slowest) - self.session.client.now
        if left > 0:
            yield left

    def _sample(self) -> Steps:
        """Find out how slow the server is: ask it several times for nothing."""
        if not self._sampled:
            self._sampled = True
            for _ in range(SAMPLES):
                yield self.session.request_of(QueueQuery(BARRIER_QUEUE))

    def settle_commit(self, commit: Request) -> Steps:
        """Do the transaction again: the broker refuses it by its duplicate ids if, and only if, it was committed."""
        session = self.session
        transaction = session.transaction
        self.settling = commit
        for frame in transaction.repeatable or ():
            session.command(session.on_this_channel(frame))
        answer = yield session.request_of(Commit(0), correlated=True)
        self.settling = None
        if answer.error is None or isinstance(answer.error, DuplicateIDError):
            commit.complete(session, None)
        else:
            error = TransactionOutcomeUnknownError(
                f"the commit could not be settled: {answer.error}", code=ServerCode.TRANSACTION_OUTCOME_UNKNOWN
            )
            error.__cause__ = answer.error
            commit.failed(session, error)
        self._unsettled = None  # then: until its caller knows, nothing is lost by an interrupt
        transaction.reset()

    def _finish(self) -> None:
        session = self.session
        resend = list(self._resend)
        for entry in resend:
            self.repeat(entry)
        session.recovery = None  # then: until here they are to be repeated, from here on among the commands
        session.emit(
            SessionRecreated(
                session.name,
                session.channel_id,
                self.reason,
                self._repeats + len(resend),
                tuple(self.in_doubt),
                self.rolled_back,
            )
        )
        session.life.rebuilt(tuple(self.in_doubt))

    # --- repeating ------------------------------------------------------------------------------------------------

    @property
    def repeated_request(self) -> Request | None:
        """The request of the application that the session before may have carried out, and that is made again."""
        request = self.session.pending[0] if self.session.pending else None
        if request is None or not request.recreated or isinstance(request.packet, (Commit, SessionClose)):
            return None
        return request

    @property
    def unsettled(self) -> Request | None:
        """The commit whose outcome is not known."""
        return self._unsettled

    @property
    def has_repeats(self) -> bool:
        """True if something of the application is to be repeated."""
        return bool(self._resend) or self._unsettled is not None or self.repeated_request is not None

    def repeat(self, entry: Entry) -> bytes | None:
        """Send it again; return the frame, or None if the broker takes none of its size, with which it has failed."""
        session = self.session
        frame, token, maybe = entry
        again = session.on_this_channel(frame)
        if len(again) > session.client.limits.frame:
            self._failed(frame, token, session.client.suspects.too_large(again, maybe=maybe))
            return None
        if maybe:
            if token is not None:
                correlation_id = token.correlation_id
            elif session.sends_identified:
                correlation_id = correlation_of(frame, session.client.version)
            else:
                correlation_id = session.next_correlation()
            session.repeated.add(correlation_id)
            token = session.proof.repeat(again, token, correlation_id)
        if not session.windowed and isinstance(token, SendToken):
            session.awaiting[token.correlation_id] = (again, token)
            session.awaiting_bytes += len(again)
        session.command(again, token)
        return again

    def repeat_first(self, size: int) -> list[Entry]:
        """Send the next `size` again, of those that are to be repeated, or what is left of them; return them as sent.

        They stay with the others until `repeated` is called: the link may be lost before they are confirmed.
        """
        first = [(frame, token, True) for frame, token, _ in self._resend[:size]]
        sent = [(self.repeat(entry) or b"", entry[1], True) for entry in self._resend[:size]]
        self._resend[:size] = first
        self._group = sent
        return sent

    @property
    def next_repeat(self) -> object:
        """The first send that is to be repeated, as `command_of` returns it; None if there is none."""
        return command_of(self._resend[0]) if self._resend else None

    def position_of(self, command: object) -> int:
        """Return how many sends are to be repeated before this one; 0 if it is none of them."""
        commands = [] if command is None else [command_of(entry) for entry in self._resend]
        return commands.index(command) if command in commands else 0

    def outstanding(self, entries: list[Entry]) -> bool:
        """True while one of these, which `repeat_first` returned, is neither confirmed nor refused."""
        session = self.session
        kept = session.buffer.frames() if session.windowed else [frame for frame, _ in session.awaiting.values()]
        ids = {id(frame) for frame in kept}
        return any(id(frame) in ids for frame, _, _ in entries)

    def repeated(self, entries: list[Entry]) -> None:
        """These, the first of those to be repeated, are confirmed or refused."""
        self._group = []
        del self._resend[: len(entries)]
        self._repeats += len(entries)

    def drop_passed(self) -> None:
        """The session is lost: what was confirmed or refused of the last group is not repeated once more."""
        group, self._group = self._group, []
        if group:
            rest = [entry for entry, sent in zip(self._resend, group, strict=False) if self.outstanding([sent])]
            self._repeats += len(group) - len(rest)
            self._resend[: len(group)] = rest

    def is_repeating(self, command: object) -> bool:
        """True if a command that was sent again, the first of those, is neither confirmed nor refused."""
        request = self._tried
        if request is not None and command is request:
            return not request.done
        if command is self._unsettled:
            return True
        return bool(self._group) and command_of(self._group[0]) == command and self.outstanding(self._group[:1])

    def take_request(self, request: Request) -> Request:
        """Take out `repeated_request`, to be made as a step of the rebuilding."""
        self._tried = request
        self.session.pending.remove(request)
        return request

    def condemn(self, command: object) -> bool:
        """Fail a command behind which the broker closes the connection; False if it is not repeated here.

        To be called when the link is lost, before the session knows of it.
        """
        session = self.session
        suspects = session.client.suspects
        commit = self._unsettled
        request = self._tried
        if commit is not None and command is commit:
            self._last = None
            self.abandon(suspects.verdict(None))
            session.transaction.reset()
            return True
        if request is not None and command is request and not request.done:
            self._last = None  # its end is no step
            request.failed(session, suspects.verdict(None))
            return True
        if not self._resend or command != command_of(self._resend[0]):
            return False
        frame, token, _ = self._resend[0]
        self._failed(frame, token, suspects.verdict(frame))
        self._group = []
        del self._resend[0]
        return True

    def _failed(self, frame: bytes, token: Pending | None, error: ActiveClientError) -> None:
        if isinstance(error, OutcomeUnknown):
            self.in_doubt.append(error.duplicate_id)
        unheard = UnheardFailures()
        if not unheard.take(token, error) and token is not None:
            token.failed(self.session, error)
        unheard.tell(self.session)


def command_of(entry: Entry) -> object:
    """Return what a command is recognised by in a later session: who waits for it, or its bytes behind the channel."""
    frame, token, _ = unwrapped(entry)
    return frame[13:] if token is None else token


def unwrapped(entry: Entry) -> Entry:
    """Return an entry with the token of who waits for it; what was repeated once may be with the server for ever."""
    frame, token, _ = entry
    if not isinstance(token, Repeated):
        return entry
    return token.frame if isinstance(frame, Remains) else frame, token.token, True


def _needs_queue(consumer: Consumer, info: QueueQueryResponse, session: Session) -> bool:
    """Would a restarted broker have forgotten the queue?"""
    return consumer.queue not in session.temporary_queues and (not info.durable or info.temporary or info.auto_created)


def _queue_of(consumer: Consumer, info: QueueQueryResponse) -> CreateQueue | CreateSharedQueue:
    """The queue of a consumer, with all that the server had told of it."""
    if consumer.queue_packet is not None:
        return consumer.queue_packet
    return CreateQueue(
        address=info.address or consumer.queue,
        queue_name=consumer.queue,
        temporary=info.temporary,
        requires_response=True,
        auto_created=info.auto_created,
        routing_type=info.routing_type,
        **{name: getattr(info, name) for name in QUEUE_ATTRIBUTES},
    )
