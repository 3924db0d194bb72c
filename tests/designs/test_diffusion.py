"""Diffusion's design, promise by promise, against the embedded broker on a clock that the test moves."""

from __future__ import annotations

import pytest

from activeclient.broker.limits import Limits
from activeclient.engine.buffer_bounds import ByMessages
from activeclient.engine.recovery import Recovery
from activeclient.engine.session import State
from activeclient.errors import MessagesMissing, NotSent, OutcomeUnknown, ReconnectGaveUp, ResourceAllocationError
from activeclient.events import GaveUp, SessionReattached, SessionRecreated
from activeclient.reconnection import ReconnectAttempt
from activeclient.wire import packets as p
from tests.broker.office import message
from tests.designs.joined import Joined

DESIGN = "reconnectProfile=diffusion"


def ready(parameters: str = "", **more: object) -> tuple[Joined, object]:
    """A client that is connected, with a session and a queue."""
    joined = Joined("&".join(filter(None, (DESIGN, parameters))), **more).open()  # type: ignore[arg-type]
    session = joined.session()
    joined.queue(session)
    return joined, session


def texts(count: int, start: int = 0) -> list[str]:
    return [f"m{number}" for number in range(start, start + count)]


def taken(consumer) -> list[str]:
    found = []
    while (message := consumer.take()) is not None:
        found.append(bytes(message.body).decode())
    return found


# --- the series of attempts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "attempts", "end"),
    [
        # As the page has it: at once, then every 5 s, until the reconnection timeout, 60 s by default, is over.
        ("", [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55], 60),
        ("reconnectionTimeout=60000", [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55], 60),
        ("reconnectionTimeout=12000", [0, 5, 10], 12),
        ("reconnectionTimeout=10001", [0, 5, 10], 10.001),
        ("reconnectionTimeout=3000", [0], 3),
        # 0 disables reconnection.
        ("reconnectionTimeout=0", [], 0),
    ],
)
def test_the_series_of_attempts_and_its_end(parameters, attempts, end):
    joined, _ = ready(parameters)
    joined.attempts.clear()
    joined.reachable = False
    lost = joined.now
    joined.cut()
    joined.run()
    joined.advance(end - 0.001 if end else 0)
    assert joined.engine.state.is_closed == (end == 0)
    joined.advance(0.002)
    assert joined.engine.state.name == "CLOSED_FAILED"
    joined.advance(120)
    assert [round(time - lost, 3) for time in joined.attempts] == attempts
    assert len([event for event in joined.events if isinstance(event, GaveUp)]) == 1


def test_reconnection_is_on_by_default():
    joined, session = ready()
    joined.cut()
    joined.run()
    assert joined.states == ["CONNECTED_ACTIVE", "RECOVERING_RECONNECT", "CONNECTED_ACTIVE"]
    assert session.state is State.ATTACHED
    assert [type(event) for event in joined.events if isinstance(event, SessionReattached)] == [SessionReattached]


def test_each_outage_has_the_whole_time_again():
    joined, _ = ready("reconnectionTimeout=12000")
    for _ in range(5):
        joined.reachable = False
        joined.cut()
        joined.advance(9)
        joined.reachable = True
        joined.advance(1.5)
        assert joined.engine.state.name == "CONNECTED_ACTIVE"


def test_at_the_end_everything_that_waits_says_so():
    joined, session = ready("reconnectionTimeout=12000")
    joined.reachable = False
    joined.reads = False
    sent = joined.send(session, "sent")
    joined.run()
    joined.cut()
    joined.run()
    never = joined.send(session, "never sent")
    question = session.submit(session.request_of(p.QueueQuery("q")))
    joined.advance(12)
    assert isinstance(sent.error, OutcomeUnknown)
    assert sent.error.duplicate_id == "sent"
    assert isinstance(never.error, NotSent)
    assert isinstance(question.error, ReconnectGaveUp)
    assert session.state is State.CLOSED
    with pytest.raises(ReconnectGaveUp):
        session.check_open()


# --- a strategy of the application ------------------------------------------------------------------------------------


def test_a_strategy_performs_an_attempt_now_or_later_or_aborts():
    asked: list[ReconnectAttempt] = []
    joined, _ = ready(strategy=asked.append)
    joined.attempts.clear()
    joined.reachable = False
    joined.cut()
    joined.advance(20)
    assert joined.attempts == [], "nothing is tried before it is decided"
    asked[0].start()
    joined.run()
    assert joined.attempts == [joined.now]
    asked[1].start(after=7.0)
    began = joined.now
    joined.advance(6.9)
    assert len(joined.attempts) == 1
    joined.advance(0.2)
    assert joined.attempts[1:] == [began + 7]
    asked[2].abort("enough")
    joined.run()
    assert joined.engine.state.name == "CLOSED_FAILED"
    assert "enough" in str(joined.engine.gave_up)


def test_the_reconnection_timeout_counts_for_a_strategy_too():
    joined, _ = ready("reconnectionTimeout=30000", strategy=lambda attempt: None)
    joined.cut()
    joined.advance(29.9)
    assert joined.engine.state.name == "RECOVERING_RECONNECT"
    joined.advance(0.2)
    assert joined.engine.state.name == "CLOSED_FAILED"


# --- session states ---------------------------------------------------------------------------------------------------


def test_states_of_a_life_that_its_user_ends():
    joined = Joined(DESIGN)
    assert joined.engine.state.name == "CONNECTING"
    joined.open()
    assert joined.engine.state.name == "CONNECTED_ACTIVE"
    joined.reachable = False
    joined.cut()
    joined.advance(1)
    assert joined.engine.state.name == "RECOVERING_RECONNECT"
    joined.engine.close(joined.now)
    joined.run()
    joined.engine.close(joined.now)
    joined.run()
    assert joined.states == ["CONNECTED_ACTIVE", "RECOVERING_RECONNECT", "CLOSED_BY_CLIENT"]


def test_a_goodbye_of_the_broker_without_reconnection_is_its_end():
    joined, _ = ready("reconnectionTimeout=0")
    joined.server.stop()
    joined.run()
    assert joined.states == ["CONNECTED_ACTIVE", "CLOSED_BY_SERVER"]


def test_a_broker_that_is_never_there_is_a_failure():
    joined = Joined(DESIGN)
    joined.reachable = False
    joined.open()
    joined.advance(1)
    assert joined.states == ["CLOSED_FAILED"]


def test_closing_after_the_end_changes_no_state():
    joined, _ = ready("reconnectionTimeout=0")
    joined.cut()
    joined.run()
    joined.engine.close(joined.now)
    joined.run()
    assert joined.states == ["CONNECTED_ACTIVE", "CLOSED_FAILED"]


# --- the session on the broker ----------------------------------------------------------------------------------------


def test_on_the_broker_the_session_is_disconnected_meanwhile_with_the_time_that_is_left():
    joined, session = ready("reconnectionTimeout=40000")
    joined.reachable = False
    joined.cut()
    joined.advance(15)
    (listed,) = joined.listed()
    assert (listed.name, listed.state) == (session.name, "DISCONNECTED")
    assert listed.seconds_left == pytest.approx(25)
    joined.reachable = True
    joined.advance(5)
    (listed,) = joined.listed()
    assert (listed.name, listed.state, listed.seconds_left) == (session.name, "CONNECTED", None)


def test_the_broker_is_asked_to_keep_sessions_for_the_reconnection_timeout():
    """Beyond the connection's time to live, which is shorter."""
    joined, session = ready("reconnectionTimeout=300000&connectionTTL=20000&clientFailureCheckPeriod=5000")
    joined.reachable = False
    joined.cut()
    joined.advance(199)
    assert [each.name for each in joined.listed()] == [session.name]
    joined.reachable = True
    joined.advance(5)
    assert joined.engine.state.name == "CONNECTED_ACTIVE"
    assert any(isinstance(event, SessionReattached) for event in joined.events)


def test_the_lower_of_both_sides_wins_when_it_is_the_clients():
    """The broker would keep it for 60 s."""
    joined, _ = ready("reconnectionTimeout=8000")
    joined.reachable = False
    joined.cut()
    joined.advance(7.9)
    assert [each.state for each in joined.listed()] == ["DISCONNECTED"]
    joined.advance(0.2)
    assert joined.listed() == []
    assert joined.engine.state.name == "CLOSED_FAILED"


def test_the_lower_of_both_sides_wins_when_it_is_the_brokers():
    """It says so in its answer to the ping that asks for more."""
    joined, _ = ready("reconnectionTimeout=60000", limits=Limits(longest_detached=12.0))
    joined.reachable = False
    joined.cut()
    joined.advance(11.9)
    assert joined.engine.state.name == "RECOVERING_RECONNECT"
    joined.advance(0.2)
    assert joined.engine.state.name == "CLOSED_FAILED"
    joined.advance(3)
    assert joined.listed() == []


def test_a_session_that_the_broker_lost_is_made_anew_and_nothing_is_lost():
    joined, session = ready()
    joined.reads = False
    waiting = joined.send(session, "m0")
    joined.restart()
    joined.cut()
    joined.advance(10)
    assert any(isinstance(event, SessionRecreated) for event in joined.events)
    assert waiting.done
    assert joined.engine.state.name == "CONNECTED_ACTIVE"


def test_after_a_session_was_made_anew_its_senders_do_not_wait_either():
    joined, session = ready("recoveryBufferSize=3")
    joined.restart()
    joined.cut()
    joined.advance(10)
    joined.queue(session)
    joined.reads = False
    for text in texts(10):
        joined.send(session, text)  # asserts that there is room
    assert session.buffer.messages == 3


def test_what_a_new_session_repeats_does_not_leave_the_buffer_before_all_of_it_is_there(monkeypatch):
    """Also when it is cut amid the rebuilding, and goes on in the same new session."""
    joined, session = ready("recoveryBufferSize=3")
    held = []
    go_on = Recovery.go_on
    monkeypatch.setattr(Recovery, "go_on", lambda self: (held.append(session.buffer.held), go_on(self)))
    joined.reads = False
    for text in texts(3):
        joined.send(session, text)
    joined.restart()
    joined.cut()
    while session.state is not State.REBUILDING:
        assert joined._events() or joined._bytes()
    joined.cut()
    joined.advance(10)
    assert held
    assert all(held)
    assert not session.buffer.held
    assert joined.states[-1] == "CONNECTED_ACTIVE"


# --- recovery buffers: what the client sent ---------------------------------------------------------------------------


def test_the_recovery_buffer_has_128_messages_unless_another_size_is_chosen():
    _, session = ready()
    assert session.buffer.bound == ByMessages(128, 1 << 20)
    joined, session = ready("recoveryBufferSize=7&confirmationWindowSize=5000")
    assert session.buffer.bound == ByMessages(7, 5000)
    (there,) = joined.server.sessions.values()
    assert there.buffer.bound == ByMessages(7, joined.server.limits.unconfirmed_high), "on both sides"


@pytest.mark.parametrize("lost", [1, 5, 128])
def test_messages_that_were_lost_are_sent_again_in_their_order(lost):
    joined, session = ready()
    for text in texts(20):
        joined.send(session, text)
    joined.run()
    joined.reads = False
    tokens = [joined.send(session, text) for text in texts(lost, 20)]
    joined.run()
    joined.cut()
    joined.advance(1)
    assert joined.stored() == texts(20 + lost)
    assert all(token.done and token.error is None for token in tokens)


@pytest.mark.parametrize(
    ("parameters", "size"), [("", 128), ("recoveryBufferSize=10", 10), ("recoveryBufferSize=1", 1)]
)
def test_a_lost_message_that_is_no_longer_in_the_buffer_aborts_the_reconnection(parameters, size):
    joined, session = ready(parameters)
    before = session.buffer.next_id
    joined.reads = False
    tokens = [joined.send(session, text) for text in texts(size + 3)]
    joined.run()
    joined.cut()
    joined.run()
    error = joined.engine.gave_up
    assert isinstance(error, MessagesMissing)
    assert error.missing == range(before, before + 3)
    assert error.sent_by == "client"
    assert f"commands {before} to {before + 2} " in str(error)
    assert joined.states[-1] == "CLOSED_FAILED"
    assert joined.stored() == [], "nothing is sent behind a gap"
    assert all(isinstance(token.error, NotSent) for token in tokens), "the broker's count is final: it has none of them"
    assert len(joined.attempts) == 2, "trying again cannot help"


def test_what_left_the_buffer_and_was_received_is_no_loss():
    """Only the confirmations were lost: the broker says the last that it received."""
    joined, session = ready()
    joined.writes = False
    tokens = [joined.send(session, text) for text in texts(300)]
    joined.run()
    assert session.buffer.gone > 100
    joined.cut()
    joined.advance(1)
    assert joined.stored() == texts(300)
    assert all(token.done and token.error is None for token in tokens)
    assert joined.states[-1] == "CONNECTED_ACTIVE"


def test_part_was_received_and_the_rest_is_in_the_buffer():
    joined, session = ready()
    joined.writes = False
    for text in texts(100):
        joined.send(session, text)
    joined.run()
    joined.reads = False
    for text in texts(128, 100):
        joined.send(session, text)
    assert session.buffer.gone >= 100
    joined.cut()
    joined.advance(1)
    assert joined.stored() == texts(228)


def test_bytes_bound_the_recovery_buffer_too():
    joined, session = ready("confirmationWindowSize=10000")
    joined.reads = False
    before = session.buffer.next_id
    for text in texts(5):
        joined.send(session, text, size=3000)
    joined.cut()
    joined.run()
    assert isinstance(joined.engine.gave_up, MessagesMissing)
    assert joined.engine.gave_up.missing == range(before, before + 2)


def test_a_sender_does_not_wait_while_there_is_a_connection():
    joined, session = ready("recoveryBufferSize=4")
    joined.reads = False
    for text in texts(1000):
        joined.send(session, text)  # asserts that there is room
    assert session.buffer.messages == 4
    joined.reads = True
    joined.run()
    assert joined.stored() == texts(1000)


def test_while_there_is_none_nothing_is_sent_so_nothing_leaves_and_a_sender_waits():
    joined, session = ready("recoveryBufferSize=4")
    joined.reachable = False
    joined.cut()
    joined.run()
    for text in texts(4):
        joined.send(session, text)
    assert not session.room
    joined.reachable = True
    joined.advance(6)
    assert session.room
    assert joined.stored() == texts(4)


def test_a_gap_aborts_too_when_the_broker_has_lost_the_session():
    """A new session would have to repeat what is not there any more."""
    joined, session = ready("recoveryBufferSize=5")
    before = session.buffer.next_id
    joined.reads = False
    tokens = [joined.send(session, text) for text in texts(7)]
    joined.restart()
    joined.cut()
    joined.run()
    error = joined.engine.gave_up
    assert isinstance(error, MessagesMissing)
    assert error.missing == range(before, before + 2)
    assert [type(token.error) for token in tokens] == [OutcomeUnknown] * 7
    assert [token.error.duplicate_id for token in tokens] == texts(7), "those too that had left the buffer"


def test_other_sessions_of_the_connection_are_told_as_well():
    joined, session = ready("recoveryBufferSize=5")
    other = joined.session()
    joined.reads = False
    for text in texts(7):
        joined.send(session, text)
    waiting = joined.send(other, "other")
    joined.cut()
    joined.run()
    assert waiting.error is not None
    assert isinstance(other.error, MessagesMissing)


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_cut_amid_the_recovery_changes_nothing(cuts):
    joined, session = ready("recoveryBufferSize=20")
    joined.reads = False
    for text in texts(20):
        joined.send(session, text)
    for _ in range(cuts):
        joined.cut()
        joined._events()  # a connection is made, and its first bytes are lost
        joined.reads = False
    joined.cut()
    joined.advance(20)
    assert joined.stored() == texts(20)


def test_a_refused_send_that_left_the_buffer_is_told_and_not_counted(monkeypatch):
    joined, session = ready("recoveryBufferSize=2")
    joined.writes = False
    refused = joined.send(session, "refused")
    with monkeypatch.context() as patch:
        patch.setattr(type(joined.server.post), "route", _refuse)
        joined.run()
    for text in texts(5):
        joined.send(session, text)
    joined.run()
    assert session.buffer.gone >= 3
    joined.writes = True
    joined.run()
    assert isinstance(refused.error, ResourceAllocationError)
    assert joined.stored() == texts(5)
    assert not session.buffer.missing
    joined.cut()
    joined.advance(1)
    assert joined.states[-1] == "CONNECTED_ACTIVE", "both sides count the same"


def _refuse(*_):
    raise ResourceAllocationError("no room", code=210)


# --- recovery buffers: what the broker sent ---------------------------------------------------------------------------


def with_consumer(parameters: str = "") -> tuple[Joined, object]:
    joined, session = ready(parameters)
    consumer = joined.consume(session)
    return joined, consumer


def deliver(joined: Joined, count: int) -> None:
    """Another client sends what the broker delivers."""
    for text in texts(count):
        joined.server.post.route(message(text))


def test_deliveries_that_were_lost_come_again_once_and_in_order():
    joined, consumer = with_consumer()
    joined.writes = False
    deliver(joined, 128)
    joined.run()
    joined.cut()
    joined.advance(1)
    assert taken(consumer) == texts(128)


def test_a_lost_delivery_that_left_the_brokers_buffer_aborts_the_reconnection():
    joined, consumer = with_consumer("recoveryBufferSize=10")
    received = consumer.session.received
    joined.writes = False
    deliver(joined, 13)
    joined.run()
    joined.cut()
    joined.run()
    error = joined.engine.gave_up
    assert isinstance(error, MessagesMissing)
    assert error.sent_by == "broker"
    assert error.missing.start == received + 1
    assert len(error.missing) >= 3
    assert joined.states[-1] == "CLOSED_FAILED"
    assert joined.listed() == [], "the broker has ended it: its messages are back"
    assert joined.stored() == texts(13)


def test_the_client_confirms_what_it_received_so_that_the_brokers_buffer_empties():
    joined, consumer = with_consumer("recoveryBufferSize=10")
    for _ in range(20):
        deliver(joined, 4)
        joined.run()
    (there,) = joined.server.sessions.values()
    assert not there.buffer.missing
    assert len(there.buffer) <= 10
    assert len(taken(consumer)) == 80


def test_a_broker_does_not_let_a_client_wait_for_its_confirmations():
    """By messages the oldest leave; nothing of the broker's is held back."""
    joined, consumer = with_consumer("recoveryBufferSize=3")
    deliver(joined, 1000)
    joined.run()
    assert taken(consumer) == texts(1000)


def test_clients_of_other_designs_are_kept_everything():
    joined = Joined("reconnectAttempts=-1&confirmationWindowSize=100000").open()
    session = joined.session()
    joined.queue(session)
    consumer = joined.consume(session)
    joined.writes = False
    deliver(joined, 500)
    joined.run()
    joined.cut()
    joined.advance(5)
    assert taken(consumer) == texts(500)


@pytest.mark.parametrize("value", ["0", "-1", "many", "9" * 30, "\u0665"])
def test_a_size_that_cannot_be_is_refused(value):
    joined, session = ready()
    refused = joined.request(session, p.AddCountedMetadata("activeclient-recovery-buffer", value, True))
    assert "must be a whole number >= 1" in str(refused.error)
