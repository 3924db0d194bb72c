"""Defects planted in the engine: the lifetimes must find every one of them, else they prove nothing.

Each entry patches one law of the engine; the lifetimes run until one fails. Seeds without the defect all pass
(`test_lifetimes`), so a failure is the defect's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from activeclient.engine import (
    client,
    command_buffer,
    consumer,
    held,
    inbox,
    large_message,
    producer,
    proof,
    reading,
    recovery,
    session,
    session_check,
    session_life,
    transaction,
)
from activeclient.engine.requests import Request, SendToken
from activeclient.errors import ActiveClientError, NotSent
from activeclient.events import Event, Reconnected
from activeclient.wire.frames import MAGIC
from activeclient.wire.packet import encode
from activeclient.wire.packets import Ping
from tests.world.world import Failure, live

SEEDS = 600
Patch = pytest.MonkeyPatch
Defect = Callable[[Patch], None]
DEFECTS: dict[str, Defect] = {}
FOCUS: dict[str, tuple[tuple[str, ...] | None, bool | None]] = {
    "stray_answers_pass_the_fence": (("requests",), True),
    "a_repeated_commit_believes_any_answer": (("transactions",), False),
    "commands_of_a_dead_session_take_places": (("mover",), False),
    "a_lost_transaction_goes_on": (("mover",), False),
    "stale_acknowledgements_are_sent": (("same",), False),
    "damaged_pieces_are_taken": (("large",), True),
    "nothing_is_delivered_anew_after_damage": (("large",), True),
    "what_the_application_holds_is_delivered_again": (("large",), True),
    "bodies_go_on_from_their_beginning": (("large",), False),
    "what_goes_on_is_delivered_as_well": (("large",), False),
    "bodies_that_do_not_come_again_are_waited_for": (("large",), False),
    "refused_repetitions_are_certain": (("same",), False),
    "a_stale_acknowledgement_leaves_the_transaction_whole": (("mover",), False),
    "temporary_queues_are_not_made_again": (("temporary",), False),
    "fences_of_transactions_have_names": (("mover",), True),
    "consumers_of_deleted_queues_are_not_told": (("deleted",), None),
    "confirmations_count_before_the_refusals_are_known": (("same",), None),
    "repeats_do_not_rest": (("starving",), False),
    "repeats_are_done_when_they_are_answered": (("starving",), False),
    "consumers_do_not_rest": (("neighbours",), False),
    "what_the_application_holds_is_handed_out_again": (("held",), False),
    "commits_do_not_wait_for_what_they_acknowledge": (("held",), False),
    "acknowledgements_in_doubt_are_called_done": (("held",), False),
    "a_commit_that_took_effect_in_part_is_believed": (("held",), False),
}
"""Rare ones: the kind of lifetime that can meet them. All lifetimes would find them too, in more time."""

FIRST_SEED = {
    "commands_of_a_dead_session_take_places": 3000,
    "a_session_that_moves_away_is_not_noticed": 1000,
    "a_stale_acknowledgement_leaves_the_transaction_whole": 6800,
    "confirmations_count_before_the_refusals_are_known": 480,
    "repeats_do_not_rest": 60,
    "repeats_are_done_when_they_are_answered": 320,
}
"""Very rare ones: where to begin, to save time."""


def defect(plant: Defect) -> Defect:
    """Register a defect."""
    DEFECTS[plant.__name__] = plant
    return plant


def every(count: int) -> Callable[[], bool]:
    """True each `count`-th time."""
    turns: Iterator[int] = iter(range(10**9))
    return lambda: next(turns) % count == count - 1


@defect
def a_confirmation_is_dropped(patch: Patch) -> None:
    real = session.Session.confirmed
    turn = every(20)
    patch.setattr(session.Session, "confirmed", lambda self, last: None if turn() else real(self, last))


@defect
def received_packets_are_miscounted_by_one(patch: Patch) -> None:
    real = session.Session.count_received
    turn = every(30)
    patch.setattr(
        session.Session, "count_received", lambda self, size, count=1: real(self, size, count + (1 if turn() else 0))
    )


@defect
def a_received_packet_is_not_counted(patch: Patch) -> None:
    real = session.Session.count_received
    turn = every(30)
    patch.setattr(
        session.Session, "count_received", lambda self, size, count=1: real(self, size, count - (1 if turn() else 0))
    )


@defect
def a_command_is_replayed_twice(patch: Patch) -> None:
    real = command_buffer.CommandBuffer.frames
    patch.setattr(command_buffer.CommandBuffer, "frames", lambda self: (f := real(self)) + f[-1:])


@defect
def the_replay_lacks_the_last_command(patch: Patch) -> None:
    real = command_buffer.CommandBuffer.frames
    patch.setattr(command_buffer.CommandBuffer, "frames", lambda self: real(self)[:-1])


@defect
def the_first_answer_is_trusted(patch: Patch) -> None:
    real = session_life.SessionLife.on_reattach

    def without_fence(self: session_life.SessionLife, packet: Any, now: float) -> None:
        real(self, packet, now)
        if self.fence is not None:
            self.settled()

    patch.setattr(session_life.SessionLife, "on_reattach", without_fence)


@defect
def confirmations_count_before_the_refusals_are_known(patch: Patch) -> None:
    patch.setattr(session.Session, "confirmed", lambda self, last: self.settle_up_to(last))


@defect
def stray_answers_pass_the_fence(patch: Patch) -> None:
    patch.setattr(session_life, "Fence", lambda strays, name=None, real=session_life.Fence: real(0))


@defect
def rebuilding_bypasses_the_counter(patch: Patch) -> None:
    real = session.Session.send_request

    def uncounted(self: session.Session, request: Request) -> None:
        if self.rebuilding:
            self.current = request
            request.sent = True
            self.client.write(self.encode(request.packet))
        else:
            real(self, request)

    patch.setattr(session.Session, "send_request", uncounted)


@defect
def stale_acknowledgements_are_sent(patch: Patch) -> None:
    patch.setattr(consumer.Consumer, "settle_taken", lambda self, message, *, cumulative, told=False: True)


@defect
def a_stale_acknowledgement_leaves_the_transaction_whole(patch: Patch) -> None:
    real = consumer.Consumer.settle_taken

    def lenient(self: consumer.Consumer, message: Any, *, cumulative: bool, told: bool = False) -> bool:
        before = self.session.transaction.rollback_only
        result = real(self, message, cumulative=cumulative, told=told)
        self.session.transaction.rollback_only = before
        return result

    patch.setattr(consumer.Consumer, "settle_taken", lenient)


@defect
def refused_repetitions_are_certain(patch: Patch) -> None:
    patch.setattr(session.Session, "repeated", property(lambda self: set(), lambda self, value: None), raising=False)


@defect
def refused_commands_stay_counted(patch: Patch) -> None:
    def kept(self: Any, matches: Callable[[Any, Any], bool]) -> Any:
        return next((entry for entry in self.entries() if matches(*entry)), None)

    patch.setattr(command_buffer.CommandBuffer, "withdraw", kept)


@defect
def damaged_pieces_are_taken(patch: Patch) -> None:
    real = consumer.Consumer.deliver_piece
    patch.setattr(
        consumer.Consumer,
        "deliver_piece",
        lambda self, packet, size, *, replayed: real(self, packet, size, replayed=False),
    )


@defect
def sends_complete_before_the_answer(patch: Patch) -> None:
    real = session.Session.send

    def hasty(self: session.Session, frame: bytes, token: SendToken | None, size: int) -> None:
        real(self, frame, token, size)
        if token is not None:
            token.settled(self)

    patch.setattr(session.Session, "send", hasty)


@defect
def sends_in_flight_are_dropped_on_recreation(patch: Patch) -> None:
    real = recovery.Recovery._sort

    def dropping(self: recovery.Recovery, frame: bytes, token: Any, *, maybe: bool) -> None:
        if not isinstance(token, Request) and token is not None:
            token.settled(self.session)
        else:
            real(self, frame, token, maybe=maybe)

    patch.setattr(recovery.Recovery, "_sort", dropping)


@defect
def sends_without_duplicate_id_are_repeated(patch: Patch) -> None:
    patch.setattr(recovery, "duplicate_id_of", lambda frame: b"pretended")


@defect
def a_commit_in_doubt_is_called_done(patch: Patch) -> None:
    def hopeful(self: recovery.Recovery, request: Request, *, maybe: bool) -> None:
        self.session.transaction.reset()
        request.complete(self.session, None)

    patch.setattr(recovery.Recovery, "_sort_commit", hopeful)


@defect
def a_lost_transaction_goes_on(patch: Patch) -> None:
    patch.setattr(transaction.Transaction, "rollback_only", property(lambda self: False, lambda self, value: None))


@defect
def a_repeated_commit_believes_any_answer(patch: Patch) -> None:
    patch.setattr(recovery, "DuplicateIDError", type("Never", (Exception,), {}))


@defect
def the_version_is_not_told(patch: Patch) -> None:
    def mute(self: client.ClientEngine, frame: bytes) -> None:
        if frame[:7] == MAGIC:
            frame = MAGIC + encode(Ping(int((self.config.connection_ttl or 0) * 1000)), 0, self.version)
        self.outbox.append(frame)
        self.pending_bytes += len(frame)

    patch.setattr(client.ClientEngine, "write", mute)


@defect
def half_a_frame_survives_its_link(patch: Patch) -> None:
    patch.setattr(inbox.Inbox, "clear", lambda self: None)


@defect
def consumers_get_no_credit_in_a_new_session(patch: Patch) -> None:
    real = consumer.Consumer.grant_window
    patch.setattr(consumer.Consumer, "grant_window", lambda self: real(self) if self.session.recovery is None else None)


@defect
def producers_keep_old_credits(patch: Patch) -> None:
    patch.setattr(producer.CreditPool, "restart", lambda self: setattr(self, "asked", self.window))


@defect
def the_buffer_has_no_end(patch: Patch) -> None:
    patch.setattr(
        session.Session, "room", property(lambda self: self.state is session.State.ATTACHED or self.reattachable)
    )
    patch.setattr(command_buffer.CommandBuffer, "full", property(lambda self: False))


@defect
def commands_of_a_dead_session_take_places(patch: Patch) -> None:
    real = session.Session.command

    def greedy(self: session.Session, frame: bytes, token: Any = None) -> None:
        if self.state is session.State.RECREATING and self.windowed:
            self.buffer.append(frame, token)
        else:
            real(self, frame, token)

    patch.setattr(session.Session, "command", greedy)


@defect
def nothing_is_delivered_anew_after_damage(patch: Patch) -> None:
    patch.setattr(consumer.Consumer, "refresh", lambda self: None)


@defect
def what_the_application_holds_is_delivered_again(patch: Patch) -> None:
    patch.setattr(consumer.Consumer, "_absorb", lambda self, message, body: False)


@defect
def bodies_go_on_from_their_beginning(patch: Patch) -> None:
    def resume(self: large_message.InboundBody) -> None:
        self.suspended = self.complete = False
        self.received = 0

    patch.setattr(large_message.InboundBody, "resume", resume)


@defect
def what_goes_on_is_delivered_as_well(patch: Patch) -> None:
    real = reading.Reading.resume

    def both(self: reading.Reading, delivered: Any, body: Any) -> bool:
        if real(self, delivered, body):
            delivered.origin = self._consumer.origin
            self._consumer.buffer.append(delivered)
            return True
        return False

    patch.setattr(reading.Reading, "resume", both)


@defect
def bodies_that_do_not_come_again_are_waited_for(patch: Patch) -> None:
    patch.setattr(reading.Reading, "resume", lambda self, delivered, body: False)
    patch.setattr(reading.Reading, "marked", lambda self, sequence: None)


@defect
def outages_are_told_twice(patch: Patch) -> None:
    class Twice(list):  # type: ignore[type-arg]
        pass

    real = client.ClientEngine.next_event
    again: list[Event] = []

    def stutter(self: client.ClientEngine) -> Event | None:
        if again:
            return again.pop()
        event = real(self)
        if isinstance(event, Reconnected):
            again.append(event)
        return event

    patch.setattr(client.ClientEngine, "next_event", stutter)


@defect
def what_may_be_there_is_called_unsent(patch: Patch) -> None:
    for module in (session, session_life):
        patch.setattr(module, "OutcomeUnknown", lambda text, duplicate_id=None: NotSent(text))


@defect
def closing_forgets_who_waits(patch: Patch) -> None:
    real = session_life.SessionLife.end

    def careless(self: session_life.SessionLife, error: ActiveClientError, now: float) -> Any:
        self.session.buffer.restart()
        return real(self, error, now)

    patch.setattr(session_life.SessionLife, "end", careless)


@defect
def requests_survive_their_connection(patch: Patch) -> None:
    real = session_life.SessionLife.end

    def lenient(self: session_life.SessionLife, error: ActiveClientError, now: float) -> Any:
        self.session.pending.clear()
        return real(self, error, now)

    patch.setattr(session_life.SessionLife, "end", lenient)


@defect
def temporary_queues_are_not_made_again(patch: Patch) -> None:
    patch.setattr(
        session.Session, "temporary_queues", property(lambda self: {}, lambda self, value: None), raising=False
    )


@defect
def fences_of_transactions_have_names(patch: Patch) -> None:
    real = session_life.SessionLife.set_fence

    def named(self: session_life.SessionLife, strays: int, now: float) -> None:
        of = self.session
        kept = of.transacted_sends, of.transacted_acks
        of.transacted_sends = of.transacted_acks = False
        real(self, strays, now)
        of.transacted_sends, of.transacted_acks = kept

    patch.setattr(session_life.SessionLife, "set_fence", named)


@defect
def who_is_locked_out_goes_on_knocking(patch: Patch) -> None:
    patch.setattr(client, "JMSSecurityError", type("Never", (Exception,), {}))


@defect
def consumers_of_deleted_queues_are_not_told(patch: Patch) -> None:
    patch.setattr(session.Session, "consumer_lost", lambda self, consumer, error: None)


@defect
def a_server_that_never_reattaches_is_believed_to(patch: Patch) -> None:
    """Its sessions outlive their sockets then, and hold what was delivered to them."""
    real = session_life.SessionLife.on_probed

    def credulous(self: session_life.SessionLife, name: str, packet: Any, now: float) -> None:
        real(self, name, type(packet)(-1, True), now)

    patch.setattr(session_life.SessionLife, "on_probed", credulous)


@defect
def the_old_link_is_still_heard(patch: Patch) -> None:
    """Frames of a lost link that are half taken: what was counted of them is forgotten."""
    real = client.ClientEngine.connection_lost

    def deaf(self: client.ClientEngine, reason: ActiveClientError, now: float) -> None:
        for each in self.sessions.values():
            each.received = max(-1, each.received - 1)
        real(self, reason, now)

    patch.setattr(client.ClientEngine, "connection_lost", deaf)


@defect
def a_session_that_moves_away_is_not_noticed(patch: Patch) -> None:
    patch.setattr(session_check.SessionCheck, "begin", lambda self, now: None)


@defect
def repeats_do_not_rest(patch: Patch) -> None:
    """What the session before still does is overtaken, or meets its repetition between the check and the store."""
    patch.setattr(recovery, "rest", lambda slowest: 0.0)
    patch.setattr(recovery, "SAMPLES", 0)


@defect
def consumers_do_not_rest(patch: Patch) -> None:
    """Messages that return from the session before are overtaken by younger ones."""
    patch.setattr(recovery.Recovery, "_returned", lambda self: iter(()))


@defect
def repeats_are_done_when_they_are_answered(patch: Patch) -> None:
    def ask_nothing(self: proof.Proof) -> None:
        self._proving, self._answered = self._answered, []
        self.written()

    patch.setattr(proof.Proof, "_ask", ask_nothing)


@defect
def what_the_application_holds_is_handed_out_again(patch: Patch) -> None:
    patch.setattr(consumer.Consumer, "_expect_held", lambda self, uncommitted: uncommitted.clear())


@defect
def commits_do_not_wait_for_what_they_acknowledge(patch: Patch) -> None:
    patch.setattr(held.HeldMessages, "may_commit", lambda self, request: True)


@defect
def acknowledgements_in_doubt_are_called_done(patch: Patch) -> None:
    real = held.HeldMessages.may_commit

    def hopeful(self: held.HeldMessages, request: Request) -> bool:
        if not self.commit_in_doubt:
            return real(self, request)
        self._session.pending.remove(request)
        self.commit_ended()
        request.complete(self._session, None)
        return False

    patch.setattr(held.HeldMessages, "may_commit", hopeful)


@defect
def a_commit_that_took_effect_in_part_is_believed(patch: Patch) -> None:
    """Nothing is with others, whatever does not come again."""
    patch.setattr(
        held.HeldMessages,
        "_with_others",
        lambda self, request, count: request.complete(self._session, None),
    )


@pytest.mark.parametrize("name", DEFECTS)
def test_the_lifetimes_find_the_defect(name: str, monkeypatch: Patch) -> None:
    DEFECTS[name](monkeypatch)
    setups, lossless = FOCUS.get(name, (None, None))
    first = FIRST_SEED.get(name, 0)
    for seed in range(first, first + SEEDS):
        try:
            live(seed, setups=setups, lossless=lossless)
        except Failure:
            return
    pytest.fail(f"{SEEDS} lifetimes did not notice: {name}")
