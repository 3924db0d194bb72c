"""A session through cuts: what is counted, kept, replayed and answered, frame by frame."""

from __future__ import annotations

import pytest

from activeclient.engine.session import SessionConfig, State
from activeclient.engine.session_life import BARRIER_QUEUE, PROBE_SECONDS
from activeclient.engine.settling import FENCE_KEY, MAX_FENCES
from activeclient.engine.topology import PLACEHOLDER_NODE
from activeclient.errors import (
    CallTimeout,
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    InvalidDestinationError,
    JMSError,
    LocalProtocolError,
    NotSent,
    OutageTimeout,
    Outcome,
    OutcomeUnknown,
    ReattachDiverged,
    ReconnectGaveUp,
    RemoteProtocolError,
    ResourceAllocationError,
    SessionUnanswered,
    TransactionOutcomeUnknownError,
)
from activeclient.events import (
    AddressBlocked,
    AddressUnblocked,
    ConsumerLost,
    Detached,
    Reconnected,
    ReplayConfirmed,
    SendFailed,
    SessionReattached,
    SessionRecreated,
)
from activeclient.wire import packets as p
from activeclient.wire.fields import Xid
from activeclient.wire.versions import NEWEST
from tests.engine.peer import FIRST, PING, A, B, Peer

XID = Xid(1, b"g", b"b")


def bodies(packets):
    return [packet.message.body for packet in packets if isinstance(packet, p.Send)]


def ended(*tokens):
    return [token.done for token in tokens]


# --- creating ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "asked"), [(-1, -1), (0, 0), (1, 1), (2, 1), (1 << 20, 1)])
def test_a_session_that_can_be_reattached_asks_for_a_confirmation_of_each_command(window, asked):
    peer = Peer().up()
    peer.engine.create_session(SessionConfig(window=window), peer.now)
    peer.serve()
    packet, *probe = peer.sent()
    assert packet.window_size == asked
    assert [type(each) for each in probe] == ([p.ReattachSession] if asked > 0 else [])


def unable():
    """A peer whose server lets no session be reattached; one session, usable."""
    peer = Peer(hosts=(A, B)).up()
    peer.session = peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    peer.say(p.CreateSessionResponse(NEWEST), p.ReattachSessionResponse(-1, False))
    peer.say(p.CreateSessionResponse(NEWEST))
    assert peer.session.usable
    peer.sent()
    return peer


def test_the_same_server_is_not_asked_again_whether_it_reattaches():
    peer = unable()
    peer.lose()
    out = peer.connect()
    assert p.ReattachSession not in map(type, out)
    assert [each.window_size for each in out if isinstance(each, p.CreateSession)] == [0]


def test_another_host_is_asked_whether_it_reattaches():
    peer = unable()
    peer.lose()
    peer.pass_time(5)
    peer.lose(ConnectFailed("refused"))
    peer.pass_time(5)
    assert peer.engine.link.endpoint == B
    assert isinstance(peer.connect()[-1], p.ReattachSession)  # it might have taken the session over
    create, probe = peer.say(p.ReattachSessionResponse(-1, False))
    assert (create.window_size, type(probe)) == (1, p.ReattachSession)


def test_a_server_of_another_release_is_asked_by_the_next_session():
    peer = unable()
    peer.lose()
    peer.connect()
    peer.say(p.CreateSessionResponse(NEWEST - 1))
    peer.sent()
    peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    create, probe = peer.sent()
    assert (create.window_size, type(probe)) == (1, p.ReattachSession)


def test_a_server_that_does_not_say_whether_it_reattaches_does_not():
    peer = Peer().up()
    session = peer.session = peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    peer.say(p.CreateSessionResponse(NEWEST))
    peer.pass_time(PROBE_SECONDS - 0.1)
    assert (peer.aborts, session.usable) == ([], False)
    peer.pass_time(0.2)
    assert isinstance(peer.aborts[-1], SessionUnanswered)
    peer.pass_time(1)
    out = peer.connect(alive=False)
    out += peer.say(PING)
    assert [type(packet) for packet in out if not isinstance(packet, FIRST)] == [p.CreateSession]
    assert out[-1].window_size == 0
    peer.say(p.CreateSessionResponse(NEWEST))
    assert session.usable
    peer.pass_time(50)
    assert len(peer.aborts) == 1


def test_a_short_call_timeout_leaves_time_for_a_second_connection():
    peer = Peer(answer_timeout=2.0).up()
    peer.session = peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    peer.say(p.CreateSessionResponse(NEWEST))
    peer.pass_time(1.1)
    assert isinstance(peer.aborts[-1], SessionUnanswered)


def test_a_link_that_is_lost_while_the_server_is_asked_ends_the_wait():
    peer = Peer().up()
    peer.session = peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    peer.say(p.CreateSessionResponse(NEWEST))
    peer.lose()
    peer.pass_time(1)
    peer.connect()
    peer.created()
    peer.pass_time(50)
    assert (peer.aborts, peer.session.usable, peer.engine.reattaches) == ([], True, True)


@pytest.mark.parametrize("version", [134, 130, 129, 126])
def test_brokers_before_2_29_reattach_and_are_not_asked(version):
    peer = Peer(version=version).open()
    peer.connect()
    peer.say(PING, p.ClusterTopology(False, PLACEHOLDER_NODE, server_version=version))
    session = peer.session = peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    (create,) = peer.sent()
    assert create.window_size == 1
    peer.say(p.CreateSessionResponse(version))
    assert session.usable
    peer.lose()
    peer.pass_time(1)
    assert p.ReattachSession in map(type, peer.connect())


def test_a_server_that_lets_no_session_be_reattached_is_not_asked_to_keep_any():
    peer = Peer().up()
    session = peer.session = peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    name, channel = session.name, session.channel_id
    create, probe = peer.sent()
    assert (create.window_size, probe.name, probe.last_confirmed_command_id) == (1, name, -1)
    close, create = peer.say(p.CreateSessionResponse(NEWEST), p.ReattachSessionResponse(-1, False))
    assert isinstance(close, p.SessionClose)
    assert (create.window_size, create.session_channel_id > channel) == (0, True)
    assert not session.usable
    peer.say(p.CreateSessionResponse(NEWEST))
    assert session.usable
    peer.lose()
    assert [type(packet) for packet in peer.connect()][-1] is p.CreateSession


def test_every_creation_has_a_name_of_its_own():
    peer = Peer().begin()
    first = peer.session.name
    peer.recreate()
    second = peer.session.name
    assert first != second
    assert peer.create().name not in (first, second)


def test_a_session_that_was_not_created_when_the_link_was_lost_is_asked_for_again():
    peer = Peer().up()
    session = peer.session = peer.engine.create_session(SessionConfig(), peer.now)
    peer.serve()
    peer.lose()
    assert session.state is State.NEW
    peer.connect()
    peer.created()
    assert session.usable


def test_a_reply_to_a_session_that_was_closed_meanwhile_is_ignored():
    peer = Peer().up()
    session = peer.engine.create_session(SessionConfig(), peer.now)
    session.life.end(ClosedError("closed"), peer.now)
    peer.created()
    assert session.state is State.CLOSED
    assert peer.aborts == []


# --- sending ----------------------------------------------------------------------------------------------------------


def test_a_confirmation_settles_everything_up_to_it_in_order():
    peer = Peer().begin()
    calls = []
    for body in (b"1", b"2", b"3"):
        peer.send(body, handler=lambda message, error: calls.append((message, error)))
    peer.say(p.PacketsConfirmed(1))
    assert calls == [(b"1", None), (b"2", None)]
    peer.say(p.PacketsConfirmed(2))
    assert [message for message, _ in calls] == [b"1", b"2", b"3"]
    assert peer.session.buffer.used == 0


def test_an_answer_before_its_confirmation_settles_nothing():
    peer = Peer().begin()
    token = peer.send()
    peer.say(p.NullResponse(token.correlation_id))
    assert not token.done
    peer.say(peer.confirm())
    assert token.done


def test_a_refused_send_fails_alone_and_is_not_counted():
    peer = Peer().begin()
    tokens = [peer.send(body) for body in (b"1", b"2", b"3")]
    peer.say(p.ExceptionResponse(210, "full", tokens[1].correlation_id))
    assert isinstance(tokens[1].error, ResourceAllocationError)
    assert ended(*tokens) == [False, True, False]
    peer.say(p.PacketsConfirmed(1))
    assert ended(*tokens) == [True, True, True]
    assert tokens[2].error is None
    assert len(peer.session.buffer) == 0


def test_what_waits_for_room_goes_on_when_the_commands_before_it_were_all_refused():
    """No confirmation follows then that could say so."""
    peer = Peer().begin(window=100)
    consumer = peer.consume(window=100)
    tokens = [peer.send(b"a" * 60), peer.send(b"b" * 60)]
    peer.sent()
    request = peer.request(p.QueueQuery("known"))
    consumer.consumed(100)
    assert peer.sent() == []
    out = peer.say(*[p.ExceptionResponse(210, "full", token.correlation_id) for token in tokens])
    assert [type(packet) for packet in out if not isinstance(packet, p.PacketsConfirmed)] == [p.FlowToken, p.QueueQuery]
    assert not request.done


def test_a_refused_send_that_nobody_waits_for_is_told_to_listeners():
    peer = Peer().begin()
    token = peer.send()
    peer.session.buffer.withdraw(lambda _, settle: settle is token)
    peer.say(p.ExceptionResponse(210, "full", token.correlation_id))
    (failed,) = peer.told(SendFailed)
    assert failed.error.code == 210


def test_without_a_window_the_answer_settles_and_a_refusal_fails():
    peer = Peer().begin(window=-1)
    first, second = peer.send(), peer.send()
    assert peer.session.awaiting_bytes > 0
    peer.say(p.NullResponse(first.correlation_id), p.ExceptionResponse(210, "full", second.correlation_id))
    assert (first.done, first.error) == (True, None)
    assert second.error.code == 210
    assert peer.session.awaiting_bytes == 0
    assert not peer.session.awaiting


def test_a_full_buffer_gives_no_room_until_half_is_confirmed_or_what_the_caller_asks():
    peer = Peer().begin(window=300)
    assert peer.session.room
    while peer.session.room:
        peer.send(b"x" * 100)
    assert peer.session.buffer.used < 300 + 300
    peer.say(p.PacketsConfirmed(0))
    assert peer.session.room
    assert peer.request(p.QueueQuery("q")).sent
    peer.send(b"x" * 300)
    waiting = peer.request(p.QueueQuery("q"))
    assert not waiting.sent


def test_what_was_received_is_confirmed_when_it_reaches_the_window():
    peer = Peer().begin(window=400)
    peer.consume(window=-1)
    before = peer.session.received
    size = len(peer.delivery(1))
    peer.session.received_bytes = 0
    for number in range(1, 12):
        out = peer.say(peer.delivery(number))
        due = number * size % (-(-400 // size) * size) == 0
        assert [packet.command_id for packet in out] == ([before + number] if due else [])


def test_what_was_received_is_confirmed_with_a_ping_once():
    peer = Peer().begin()
    peer.consume(window=-1)
    assert peer.say(peer.delivery(1)) == []
    peer.pass_time(31)
    out = peer.sent()
    assert [packet.command_id for packet in out if isinstance(packet, p.PacketsConfirmed)] == [peer.session.received]
    peer.say(PING)
    peer.pass_time(31)
    assert peer.kinds() == [p.Ping]


# --- requests ---------------------------------------------------------------------------------------------------------


def test_one_request_is_outstanding_at_a_time():
    peer = Peer().begin()
    first, second = peer.request(p.QueueQuery("a")), peer.request(p.SessionStop())
    assert [packet.queue_name for packet in peer.sent()] == ["a"]
    out = peer.say(peer.confirm(), p.QueueQueryResponse(True, name="a"))
    assert first.done
    assert first.result.name == "a"
    assert [type(packet) for packet in out] == [p.SessionStop]
    assert not second.done
    peer.say(peer.confirm())
    assert second.done


def test_a_refused_request_is_withdrawn_from_the_count():
    peer = Peer().begin()
    request = peer.request(p.CreateQueue("a", "a"))
    peer.say(p.ExceptionResponse(100, "none"))
    assert isinstance(request.error, InvalidDestinationError)
    assert len(peer.session.buffer) == 0


def test_a_request_that_cannot_be_written_fails_alone():
    peer = Peer().begin()
    waits = peer.request(p.SessionStop())
    bad = peer.request(p.CreateQueue("a", "q", temporary=True, max_consumers=1 << 40))
    after = peer.request(p.QueueQuery("b"))
    peer.sent()
    assert [packet.queue_name for packet in peer.say(peer.confirm())] == ["b"]
    assert (waits.done, waits.error) == (True, None)
    assert isinstance(bad.error, LocalProtocolError)
    assert bad.error.outcome is Outcome.NOT_SENT
    assert "max_consumers" in str(bad.error)
    assert peer.session.temporary_queues == {}
    peer.say(peer.confirm(), p.QueueQueryResponse(True, name="b"))
    assert after.result.name == "b"


def test_a_request_after_the_end_fails_with_the_reason():
    peer = Peer().begin()
    peer.session.life.end(JMSError("reason"), peer.now)
    request = peer.request(p.SessionStop())
    assert str(request.error) == "reason"


def test_an_exception_that_answers_nothing_is_told():
    peer = Peer().begin()
    peer.say(p.ExceptionResponse(0, "strange"))
    (failed,) = peer.told(SendFailed)
    assert "strange" in str(failed.error)


def test_without_a_window_requests_live_by_their_answers():
    peer = Peer().begin(window=-1)
    request = peer.request(p.SessionStop())
    commit = peer.request(p.Commit(0), correlated=True)
    peer.say(p.NullResponse())
    assert (request.done, commit.done) == (True, False)
    peer.say(p.NullResponse(commit.correlation_id))
    assert commit.done


# --- reattaching ------------------------------------------------------------------------------------------------------


def test_reattaching_names_the_session_and_the_last_packet_that_came():
    peer = Peer().begin()
    peer.consume(window=-1)
    peer.say(peer.delivery(1))
    peer.lose()
    out = peer.connect()
    assert isinstance(out[-1], p.ReattachSession)
    assert (out[-1].name, out[-1].last_confirmed_command_id) == (peer.session.name, peer.session.received)


@pytest.mark.parametrize("counted", [0, 1, 2, 3])
def test_what_the_server_had_not_counted_is_written_again_byte_for_byte(counted):
    peer = Peer().begin()
    tokens = [peer.send(body) for body in (b"1", b"2", b"3")]
    frames = peer.session.buffer.frames()
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(counted - 1, True))
    peer.raw.clear()
    peer.say(p.NullResponse())
    assert b"".join(peer.raw) == b"".join(frames[counted:])
    assert ended(*tokens) == [True] * counted + [False] * (3 - counted)
    (told,) = peer.told(SessionReattached)
    assert (told.confirmed, told.replayed) == (counted, 3 - counted)
    assert peer.session.usable


def test_a_reattachment_tells_how_long_each_part_of_it_took():
    peer = Peer().begin()
    tokens = [peer.send(body) for body in (b"1", b"2", b"3")]
    peer.now += 0.5  # since the last byte
    peer.lose()
    peer.now += 1.0
    peer.connect()
    peer.now += 2.0
    peer.say(p.ReattachSessionResponse(0, True))
    peer.now += 4.0
    peer.say(p.NullResponse())
    (told,) = peer.told(SessionReattached)
    assert (told.silent, told.connecting, told.reattaching, told.settling) == (0.5, 1.0, 2.0, 4.0)
    assert told.seconds == 7.0
    peer.now += 8.0
    peer.send(b"4")
    peer.say(p.PacketsConfirmed(1))
    assert peer.told(ReplayConfirmed) == []
    peer.say(p.PacketsConfirmed(2))
    (replay,) = peer.told(ReplayConfirmed)
    assert (replay.commands, replay.seconds) == (2, 8.0)
    assert ended(*tokens) == [True] * 3
    peer.say(p.PacketsConfirmed(3))
    assert len(peer.told(ReplayConfirmed)) == 1


def test_a_cut_within_a_reattachment_counts_as_connecting():
    peer = Peer().begin()
    peer.send(b"1")
    peer.lose()
    peer.connect()
    peer.now += 1.0
    peer.lose()
    peer.now += peer.engine.link.retry_at - peer.now
    peer.engine.handle_timeout(peer.now)
    peer.serve()
    began = peer.now
    peer.connect()
    peer.say(p.ReattachSessionResponse(0, True), p.NullResponse())
    (told,) = peer.told(SessionReattached)
    assert (told.connecting, told.reattaching, told.settling, told.seconds) == (began - 100.0, 0.0, 0.0, began - 100.0)
    assert peer.told(ReplayConfirmed) == []  # there was nothing to replay


def test_a_replay_that_is_cut_is_not_told_as_confirmed():
    peer = Peer().begin()
    peer.send(b"1")
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(-1, True), p.NullResponse())
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(0, True), p.NullResponse())
    assert len(peer.told(SessionReattached)) == 2
    assert peer.told(ReplayConfirmed) == []


def test_nothing_but_fences_is_written_before_the_fence_has_passed():
    peer = Peer().begin()
    peer.send(b"1")
    peer.lose()
    peer.send(b"2")
    peer.connect()
    peer.send(b"3")
    peer.request(p.QueueQuery("q"))
    (fence,) = peer.say(p.ReattachSessionResponse(0, True))
    assert (fence.key, fence.data) == (FENCE_KEY, "")
    peer.send(b"4")
    assert peer.sent() == []
    out = peer.say(p.NullResponse())
    assert bodies(out) == [b"2", b"3", b"4"]
    assert isinstance(out[-1], p.QueueQuery)


def test_what_the_server_confirms_before_the_fence_moves_the_count_when_it_passed():
    peer = Peer().begin()
    tokens = [peer.send(body) for body in (b"1", b"2", b"3")]
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(0, True), p.PacketsConfirmed(1))
    assert ended(*tokens) == [False] * 3
    assert bodies(peer.say(p.NullResponse())) == [b"3"]
    assert ended(*tokens) == [True, True, False]


def test_a_refusal_before_the_fence_moves_the_ids_down():
    peer = Peer().begin()
    tokens = [peer.send(body) for body in (b"1", b"2", b"3")]
    peer.lose()
    peer.connect()
    # The server counted 1 and 3 and refused 2; the refusal is repeated behind the answer.
    peer.say(p.ReattachSessionResponse(1, True), p.ExceptionResponse(210, "full", tokens[1].correlation_id))
    assert bodies(peer.say(p.NullResponse())) == []
    assert [token.error is None for token in tokens] == [True, False, True]
    assert ended(*tokens) == [True] * 3


def test_answers_that_may_still_come_are_not_taken_for_the_fence():
    peer = Peer().begin(auto_commit_sends=False)
    stop = peer.request(p.SessionStop())
    peer.send(b"1")
    peer.lose()
    peer.connect()
    assert len(peer.say(p.ReattachSessionResponse(-1, True))) == 2
    peer.say(p.NullResponse())  # that of the stop, or of the first fence
    assert peer.session.state is State.SETTLING
    out = peer.say(p.NullResponse())
    assert peer.session.usable
    assert isinstance(out[0], p.SessionStop)
    assert not stop.done


def test_where_no_transaction_can_be_harmed_a_fence_has_a_name():
    peer = Peer().begin()
    stop = peer.request(p.SessionStop())
    peer.lose()
    peer.connect()
    (first,) = peer.say(p.ReattachSessionResponse(-1, True))
    assert isinstance(first, p.CreateConsumer)
    peer.lose()
    peer.pass_time(5)
    peer.connect()
    (second,) = peer.say(p.ReattachSessionResponse(-1, True))
    assert second.queue_name != first.queue_name
    peer.say(p.NullResponse(), p.ExceptionResponse(100, f"no {first.queue_name}"))  # late ones
    assert peer.session.state is State.SETTLING
    out = peer.say(p.ExceptionResponse(100, f"no {second.queue_name}"))
    assert peer.session.usable
    assert isinstance(out[0], p.SessionStop)
    assert stop.error is None
    peer.say(p.ExceptionResponse(100, f"no {second.queue_name}"))
    assert stop.error is None
    assert peer.told(SendFailed) == []


def test_after_a_stray_a_barrier_asks_until_the_answers_are_accounted_for():
    peer = Peer().begin()
    stop = peer.request(p.SessionStop())
    out = peer.back(strays=1)  # the stop was counted, its answer thrown away: one NULL too few is accounted
    assert stop.done
    assert [packet.queue_name for packet in out if isinstance(packet, p.QueueQuery)] == [BARRIER_QUEUE]
    peer.say(peer.confirm(), p.QueueQueryResponse(False))
    assert peer.session.nulls.due == 0
    peer.back(strays=0)


def test_too_many_missing_answers_are_answered_by_a_new_session():
    peer = Peer().begin()
    for _ in range(MAX_FENCES):
        peer.session.nulls.expect()
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(-1, True))
    assert peer.session.state is State.RECREATING


def test_a_second_loss_in_any_phase_begins_again():
    peer = Peer().begin()
    token = peer.send(b"1")
    peer.lose()
    peer.connect()
    peer.lose()  # before the answer
    assert peer.session.state is State.DETACHED
    peer.pass_time(10)
    peer.connect()
    peer.say(p.ReattachSessionResponse(-1, True))
    peer.lose()  # before the fence
    peer.pass_time(10)
    out = peer.back(last=-1, strays=1)  # the fence of the lost link may yet be answered
    assert bodies(out) == [b"1"]
    assert not token.done
    assert len(peer.told(SessionReattached)) == len(peer.told(Reconnected)) == len(peer.told(Detached)) == 1


@pytest.mark.parametrize("last", [-1, 3, 100])
def test_a_count_that_cannot_be_is_never_replayed_by(last):
    peer = Peer().begin()
    peer.send(b"1")
    peer.say(p.PacketsConfirmed(0))
    tokens = [peer.send(b"2", duplicate_id=b"d"), peer.send(b"3")]
    channel = peer.session.channel_id
    peer.lose()
    peer.connect()
    out = peer.say(p.ReattachSessionResponse(last, True))
    assert [type(packet) for packet in out] == [p.SessionClose, p.CreateSession]
    assert peer.session.channel_id != channel
    out = peer.created()
    assert bodies(out) == [b"2"]
    assert isinstance(tokens[1].error, OutcomeUnknown)
    (told,) = peer.told(SessionRecreated)
    assert isinstance(told.reason, ReattachDiverged)
    assert told.in_doubt == (None,)


def test_what_was_written_before_an_impossible_confirmation_is_in_doubt():
    peer = Peer().begin()
    token = peer.send(b"1")
    peer.say(p.PacketsConfirmed(99))
    assert bodies(peer.created()) == []
    assert isinstance(token.error, OutcomeUnknown)


def test_what_no_link_has_taken_before_an_impossible_count_is_not_in_doubt():
    peer = Peer().begin()
    before = peer.send(b"1")
    peer.lose()
    late = peer.send(b"2")
    peer.connect()
    peer.say(p.ReattachSessionResponse(50, True))
    assert bodies(peer.created()) == [b"2"]
    assert isinstance(before.error, OutcomeUnknown)
    assert not late.done


def test_a_count_that_turns_out_impossible_at_the_fence_is_not_replayed_by():
    peer = Peer().begin()
    token = peer.send(b"1", duplicate_id=b"d")
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(0, True), p.ExceptionResponse(210, "full", token.correlation_id))
    out = peer.say(p.NullResponse())
    assert [type(packet) for packet in out] == [p.SessionClose, p.CreateSession]
    assert token.error.code == 210


def test_a_reattachment_that_is_refused_with_an_error_or_nonsense_renews_the_link():
    peer = Peer().begin()
    peer.lose()
    peer.connect()
    peer.say(p.ExceptionResponse(0, "moving"), channel=1)
    assert "moving" in str(peer.aborts[-1])
    peer.pass_time(10)
    peer.connect()
    peer.created()
    assert "reattachment" in str(peer.aborts[-1])
    assert peer.session.state is State.DETACHED


@pytest.mark.parametrize("window", [-1, 0])
def test_a_session_without_a_buffer_is_not_reattached_but_made_anew(window):
    peer = Peer().begin(window=window)
    peer.lose()
    assert not peer.session.room
    out = peer.connect()
    assert isinstance(out[-1], p.CreateSession)
    peer.created()
    assert [event.recreated for event in peer.told(Reconnected)] == [1]


def test_producer_credits_are_asked_for_again_when_the_request_was_not_answered_for():
    peer = Peer().begin(producer_window=1000)
    pool = peer.session.want_credits("q", 100)
    peer.serve()
    assert [packet.credits for packet in peer.sent()] == [1000]
    peer.say(p.ProducerCredits(1000, "q"))
    pool.balance = 0
    out = peer.back()
    assert [packet.credits for packet in out if isinstance(packet, p.RequestProducerCredits)] == [1000]


def test_negative_credits_end_the_link():
    peer = Peer().begin()
    peer.say(p.ProducerCredits(-1, "q"))
    assert "credits" in str(peer.aborts[-1])
    assert isinstance(peer.aborts[-1], RemoteProtocolError)


def test_an_address_that_is_full_and_fails_lets_sends_go_out():
    peer = Peer().begin(producer_window=1000)
    pool = peer.session.want_credits("q", 100)
    peer.say(p.ProducerFailCredits(1000, "q"), p.ProducerFailCredits(1, "other"))
    assert pool.allows(10**6)


def test_an_address_without_credits_is_told_of_once_and_once_when_it_has_some():
    peer = Peer().begin(producer_window=1000)
    peer.session.want_credits("q", 100)
    for _ in range(2):
        peer.session.address_blocked("q")
    peer.session.address_blocked("never asked for")
    peer.serve()
    assert peer.told(AddressBlocked) == [AddressBlocked(peer.session.channel_id, "q")]
    peer.pass_time(3)
    peer.say(p.ProducerCredits(500, "q"), p.ProducerCredits(500, "q"))
    (told,) = peer.told(AddressUnblocked)
    assert (told.address, told.seconds) == ("q", pytest.approx(3))
    peer.session.address_blocked("q")
    peer.say(p.ProducerFailCredits(1000, "q"))
    assert len(peer.told(AddressBlocked)) == len(peer.told(AddressUnblocked)) == 2


def test_an_address_is_not_called_blocked_while_the_session_is_away():
    peer = Peer().begin(producer_window=1000)
    peer.session.want_credits("q", 100)
    peer.lose()
    peer.session.address_blocked("q")
    peer.serve()
    assert peer.told(AddressBlocked) == []


def test_a_blocked_address_is_unblocked_by_the_credits_of_a_new_session():
    peer = Peer().begin(producer_window=1000)
    peer.session.want_credits("q", 100)
    peer.session.address_blocked("q")
    peer.recreate()
    peer.session.want_credits("q", 100)
    peer.say(p.ProducerCredits(1000, "q"))
    assert len(peer.told(AddressUnblocked)) == 1


# --- answers that were thrown away ------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet", [p.QueueQuery("q"), p.BindingQuery("q"), p.XAIndoubtXids(), p.XAGetTimeout()])
def test_a_question_whose_answer_was_lost_is_asked_again(packet):
    peer = Peer().begin()
    request = peer.request(packet)
    out = peer.back()
    assert [type(each) for each in out] == [type(packet)]
    assert not request.done


def test_a_consumer_that_was_made_needs_no_answer():
    peer = Peer().begin()
    request = peer.request(p.CreateConsumer(0, "q"))
    peer.back()
    assert (request.done, request.error) == (True, None)


def test_an_xa_verb_whose_answer_was_lost_has_no_known_outcome():
    peer = Peer().begin()
    request = peer.request(p.XAPrepare(XID))
    out = peer.back()
    assert isinstance(request.error, OutcomeUnknown)
    assert request.error.outcome.value == "unknown"
    assert out == []


def test_a_request_that_the_server_missed_is_replayed_and_answered_normally():
    peer = Peer().begin()
    request = peer.request(p.QueueQuery("q"))
    out = peer.back(last=-1)
    assert [type(each) for each in out] == [p.QueueQuery]
    peer.say(peer.confirm(), p.QueueQueryResponse(True, name="q"))
    assert request.result.name == "q"


# --- giving up waiting ------------------------------------------------------------------------------------------------


def test_what_no_link_has_taken_is_withdrawn_and_certainly_not_sent():
    peer = Peer().begin()
    peer.lose()
    token = peer.send(b"1")
    other = peer.send(b"2")
    peer.session.abandon(token, NotSent("late"), peer.now)
    assert isinstance(token.error, NotSent)
    assert bodies(peer.back(last=-1)) == [b"2"]
    assert not other.done


def test_what_the_server_may_have_is_unknown_and_names_its_duplicate_id():
    peer = Peer().begin()
    token = peer.send(b"1", duplicate_id=b"d")
    peer.lose()
    peer.session.abandon(token, NotSent("late"), peer.now)
    assert isinstance(token.error, OutcomeUnknown)
    assert token.error.duplicate_id == b"d"
    assert bodies(peer.back(last=-1)) == [b"1"]  # it keeps its place in the count


def test_a_request_that_waits_its_turn_is_withdrawn():
    peer = Peer().begin()
    peer.request(p.QueueQuery("a"))
    waiting = peer.request(p.QueueQuery("b"))
    peer.session.abandon(waiting, NotSent("late"), peer.now)
    assert isinstance(waiting.error, NotSent)
    peer.serve()
    assert peer.aborts == []


def test_a_request_that_waited_its_whole_time_behind_another_renews_the_link():
    peer = Peer().begin()
    peer.request(p.QueueQuery("a"))
    waiting = peer.request(p.QueueQuery("b"))
    peer.session.abandon(waiting, CallTimeout("late", code=3), peer.now)
    peer.serve()
    assert isinstance(waiting.error, CallTimeout)
    assert waiting.error.outcome is Outcome.NOT_SENT
    assert len(peer.aborts) == 1


def test_a_request_that_an_outage_outlasts_ends_with_what_holds_then():
    peer = Peer().begin()
    request = peer.request(p.DeleteQueue("a"))
    peer.lose()
    peer.session.abandon(request, OutageTimeout("not back"), peer.now)
    assert type(request.error) is OutageTimeout
    assert request.error.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("packet", "sent", "kind", "outcome"),
    [
        (p.Commit(0), True, TransactionOutcomeUnknownError, Outcome.UNKNOWN),
        (p.DeleteQueue("a"), True, ReconnectGaveUp, Outcome.UNKNOWN),
        (p.QueueQuery("a"), True, ReconnectGaveUp, Outcome.NOT_SENT),
        (p.DeleteQueue("a"), False, ReconnectGaveUp, Outcome.NOT_SENT),
    ],
)
def test_a_request_that_a_give_up_ends_says_whether_it_may_have_taken_effect(packet, sent, kind, outcome):
    peer = Peer().begin()
    if not sent:
        peer.lose()
    request = peer.request(packet)
    gave_up = ReconnectGaveUp("no attempts are left")
    peer.session.life.end(gave_up, peer.now)
    assert type(request.error) is kind
    assert request.error.outcome is outcome
    assert request.error.__cause__ is gave_up


def test_an_unanswered_request_renews_the_link_for_its_answer_would_be_taken_for_the_next():
    peer = Peer().begin()
    request = peer.request(p.QueueQuery("a"))
    peer.session.abandon(request, CallTimeout("late"), peer.now)
    peer.serve()
    assert isinstance(request.error, CallTimeout)
    assert "may have taken effect" in str(request.error)
    assert request.error.outcome is Outcome.UNKNOWN
    assert isinstance(peer.aborts[-1], CallTimeout)
    done = request.error
    peer.session.abandon(request, NotSent("again"), peer.now)
    assert request.error is done


def test_without_a_window_an_abandoned_send_names_its_duplicate_id_too():
    peer = Peer().begin(window=-1)
    token = peer.send(duplicate_id="d")
    peer.session.abandon(token, NotSent("late"), peer.now)
    assert token.error.duplicate_id == "d"


# --- the clock of calls -----------------------------------------------------------------------------------------------


def test_the_clock_of_calls_stands_still_in_an_outage():
    peer = Peer().begin()
    session = peer.session
    peer.now += 5
    assert (session.usable_time(peer.now), session.outage_time(peer.now)) == (5, 0)
    peer.lose()
    peer.now += 7
    assert (session.usable_time(peer.now), session.outage_time(peer.now)) == (5, 7)
    peer.back()
    peer.now += 1
    assert (session.usable_time(peer.now), session.outage_time(peer.now)) == (6, 0)


# --- consumers that end -----------------------------------------------------------------------------------------------


def test_a_consumer_whose_queue_is_deleted_is_told_once():
    peer = Peer().begin()
    consumer = peer.consume()
    peer.say(p.DisconnectConsumer(consumer.id), p.DisconnectConsumer(consumer.id))
    (told,) = peer.told(ConsumerLost)
    assert told.consumer_id == consumer.id
    assert consumer.closed
    assert isinstance(consumer.error, InvalidDestinationError)


# --- the end ----------------------------------------------------------------------------------------------------------


def in_state(state):
    peer = Peer().begin()
    sent = peer.send(b"1")
    if state is not State.ATTACHED:
        peer.lose()
    if state in (State.REATTACHING, State.SETTLING, State.RECREATING, State.REBUILDING):
        peer.connect()
    if state is State.SETTLING:
        peer.say(p.ReattachSessionResponse(-1, True))
    if state is State.REBUILDING:
        peer.session.metadata["key"] = "value"
    if state in (State.RECREATING, State.REBUILDING):
        peer.say(p.ReattachSessionResponse(-1, False))
    if state is State.REBUILDING:
        peer.created()
    assert peer.session.state is state
    return peer, sent


@pytest.mark.parametrize(
    "state",
    [State.ATTACHED, State.DETACHED, State.REATTACHING, State.SETTLING, State.RECREATING, State.REBUILDING],
)
@pytest.mark.parametrize("way", ["session", "connection"])
def test_the_end_in_any_state_ends_everything_that_waits_once(state, way):
    peer, sent = in_state(state)
    calls = []
    request = peer.request(p.QueueQuery("q"))
    late = None
    if peer.session.room:
        late = peer.send(b"late", handler=lambda message, error: calls.append(error))
    consumer = None if state is not State.ATTACHED else peer.session.consumers
    if way == "session":
        in_doubt = peer.session.life.end(ClosedError("closed"), peer.now)
        assert in_doubt == ((None, None) if state is State.ATTACHED else (None,))
        assert peer.session.life.end(ClosedError("again"), peer.now) == ()
    else:
        peer.engine.close(peer.now)
    peer.serve()
    assert isinstance(sent.error, OutcomeUnknown)
    assert isinstance(request.error, ClosedError)
    if late is not None:
        assert isinstance(late.error, OutcomeUnknown if state is State.ATTACHED else NotSent)
        assert calls == [late.error]
    assert not consumer
    assert peer.session.channel_id not in peer.engine.sessions
    with pytest.raises(ClosedError, match="closed"):
        peer.session.check_open()


@pytest.mark.parametrize(
    "state",
    [State.ATTACHED, State.DETACHED, State.REATTACHING, State.SETTLING, State.RECREATING, State.REBUILDING],
)
def test_the_loss_of_the_link_in_any_state_is_survived(state):
    peer, sent = in_state(state)
    peer.lose(ConnectionLost("again"))
    peer.pass_time(20)
    out = peer.connect()
    if p.CreateSession not in map(type, out):
        peer.say(p.ReattachSessionResponse(-1, False))
    out = peer.created()
    if state is State.REBUILDING:
        assert isinstance(out[0], p.AddCountedMetadata)
        peer.say(peer.confirm())
    assert peer.session.usable
    assert isinstance(sent.error, OutcomeUnknown)
    assert len(peer.told(SessionRecreated)) == len(peer.told(Reconnected)) == 1
    assert peer.told(Reconnected)[0].in_doubt == (None,)


def test_a_reattached_session_ends_in_every_way_once_more():
    """The whole of it: ping, send, cut, replay, confirm, close."""
    peer = Peer().begin()
    calls = []
    peer.send(b"1", handler=lambda message, error: calls.append(error))
    peer.back(last=-1)
    peer.say(PING, p.PacketsConfirmed(0))
    assert calls == [None]
    peer.engine.close(peer.now)
    peer.serve()
    assert calls == [None]
