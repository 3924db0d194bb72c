"""The connection: first words, life and death of the link, versions, goodbyes, topology, and its events."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.engine.client import DIVERGENCES, LOOK_AGAIN_SECONDS
from activeclient.engine.retry import artemis_policy
from activeclient.engine.session import SessionConfig, State
from activeclient.errors import (
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    DisconnectedByServer,
    HandshakeTimeout,
    HeartbeatMissed,
    IncompatibleVersion,
    JMSSecurityError,
    ReconnectGaveUp,
    RemoteProtocolError,
)
from activeclient.events import (
    Closed,
    ConnectAttemptFailed,
    Connected,
    Detached,
    Endpoint,
    GaveUp,
    Reconnected,
    SessionRecreated,
    TopologyChanged,
)
from activeclient.wire import packets as p
from activeclient.wire.fields import TransportConfiguration
from activeclient.wire.frames import MAGIC
from activeclient.wire.versions import NEWEST, OLDEST, V2_18
from tests.engine.answering import PRE_AUTH
from tests.engine.peer import FIRST, NOBODY, PING, A, B, Creation, Peer


def transport(host, port=61616):
    return TransportConfiguration("netty", "factory", {"host": host, "port": str(port)})


def names(events):
    return [type(event).__name__ for event in events]


# --- the link ---------------------------------------------------------------------------------------------------------


def test_the_first_words_are_greeting_ping_and_subscription():
    peer = Peer().open()
    assert [connect.endpoint for connect in peer.connects] == [A]
    ping, subscription = peer.connect()
    assert b"".join(peer.raw).startswith(MAGIC)
    assert ping.connection_ttl == 60000
    assert (subscription.cluster_connection, subscription.client_version) == (False, NEWEST)


def test_without_a_ttl_the_server_is_told_to_wait_for_ever():
    assert Peer(ttl=None).open().connect()[0].connection_ttl == -1


def test_the_first_answer_makes_it_connected_once():
    peer = Peer().open()
    peer.connect()
    assert peer.events == []
    peer.say(PING, NOBODY)
    peer.say(PING)
    assert names(peer.events) == ["Connected"]
    assert (peer.events[0].endpoint, peer.events[0].server_version) == (A, NEWEST)


def test_connected_waits_for_the_version_of_the_server():
    peer = Peer().open()
    peer.connect()
    peer.say(PING)
    assert peer.events == []
    peer.say(NOBODY)
    assert [event.server_version for event in peer.told(Connected)] == [NEWEST]


def test_connected_takes_the_version_from_a_session_when_the_topology_has_none():
    peer = Peer(version=130).open()
    peer.connect()
    peer.say(PING, NOBODY)  # before 131 without the server's version
    peer.create()
    assert [event.server_version for event in peer.told(Connected)] == [NEWEST]


def test_connected_does_not_wait_for_ever_for_a_version():
    peer = Peer().open()
    peer.connect()
    peer.say(PING)
    peer.pass_time(1)
    assert [event.server_version for event in peer.told(Connected)] == [0]


def test_connected_comes_before_the_loss_of_the_connection():
    peer = Peer().open()
    peer.connect()
    peer.say(PING)
    peer.lose()
    assert names(peer.events) == ["Connected", "Detached"]


def test_pings_go_out_each_period_and_silence_ends_the_link():
    peer = Peer(ttl=60.0, check=25.0).up()
    peer.pass_time(59.9)
    assert peer.kinds() == [p.Ping, p.Ping]
    assert peer.aborts == []
    peer.pass_time(0.2)
    assert isinstance(peer.aborts[-1], HeartbeatMissed)
    (lost,) = peer.told(Detached)
    assert isinstance(lost.reason, HeartbeatMissed)
    assert lost.endpoint == A


def test_any_bytes_are_a_sign_of_life():
    peer = Peer(ttl=60.0).up()
    for _ in range(4):
        peer.pass_time(50)
        peer.bytes(b"\0")  # not even a frame
    assert peer.aborts == []


def test_a_server_that_opens_and_stays_silent_is_left_after_the_handshake_timeout():
    peer = Peer().open()
    peer.connect()
    peer.pass_time(5)
    assert isinstance(peer.aborts[-1], HandshakeTimeout)
    (failed,) = peer.told(ConnectAttemptFailed)
    assert (failed.endpoint, failed.attempt, failed.retry_in) == (A, 1, 1.0)


def test_each_failed_attempt_is_told_once_and_the_next_is_asked_for():
    peer = Peer().open()
    for attempt in (1, 2, 3):
        peer.lose(ConnectFailed("refused"))
        assert [event.attempt for event in peer.told(ConnectAttemptFailed)] == list(range(1, attempt + 1))
        peer.pass_time(1)
        assert len(peer.connects) == attempt + 1
    peer.connect()
    peer.say(PING, NOBODY)
    assert names(peer.events) == ["ConnectAttemptFailed"] * 3 + ["Connected"]


def test_a_first_connection_that_may_not_be_retried_gives_up():
    peer = Peer(first_attempts=1).open()
    peer.lose(ConnectFailed("refused"))
    (end,) = peer.told(GaveUp)
    assert isinstance(end.reason, ConnectFailed)
    assert peer.engine.next_timeout() is None


def test_an_outage_is_told_from_detached_to_reconnected_with_all_its_numbers():
    peer = Peer().begin()
    peer.events.clear()
    peer.lose(ConnectionLost("cable"))
    peer.pass_time(2)
    peer.lose(ConnectFailed("refused"))
    peer.pass_time(1)
    peer.connect()
    peer.say(PING)
    assert names(peer.events) == ["Detached", "ConnectAttemptFailed"]  # the session is not back
    peer.say(p.ReattachSessionResponse(-1, True))
    peer.say(p.NullResponse())
    assert names(peer.events) == ["Detached", "ConnectAttemptFailed", "SessionReattached", "Reconnected"]
    back = peer.events[-1]
    assert (back.reattached, back.recreated, back.failed_over, back.attempts) == (1, 0, False, 2)
    assert back.seconds == pytest.approx(3)
    assert str(back.reason) == "cable"


def test_another_endpoint_is_a_failover():
    peer = Peer(hosts=(A, B)).begin()
    peer.lose()
    for _ in range(5):
        if peer.connects[-1].endpoint == B:
            break
        peer.lose(ConnectFailed("refused"))
        peer.pass_time(1)
    peer.back(reattached=False)
    peer.created()
    (back,) = peer.told(Reconnected)
    assert (back.endpoint, back.failed_over, back.reattached, back.recreated) == (B, True, 0, 1)


def test_the_second_of_two_sessions_holds_the_news_back():
    peer = Peer().begin()
    first = peer.session
    second = peer.create(window=100_000)
    peer.lose()
    hello = peer.connect()
    assert [packet.name for packet in hello if isinstance(packet, p.ReattachSession)] == [first.name, second.name]
    peer.say(p.ReattachSessionResponse(-1, True), p.ReattachSessionResponse(-1, True))
    peer.say(p.NullResponse(), channel=first.channel_id)
    assert peer.told(Reconnected) == []
    peer.say(p.NullResponse(), channel=second.channel_id)
    assert [event.reattached for event in peer.told(Reconnected)] == [2]


def cut_while_creating():
    """The link was lost while the server was making a second session; its name and channel, and what the next asks."""
    peer = Peer().begin()
    first = peer.session.channel_id
    second = peer.engine.create_session(SessionConfig(window=100_000), peer.now)
    peer.serve()
    (create,) = (packet for packet in peer.sent() if isinstance(packet, p.CreateSession))
    second.close_unattended()
    channel = second.channel_id
    return peer, first, create.name, channel, lose_and_connect(peer)


def lose_and_connect(peer):
    peer.lose()
    if peer.engine.link.state.value != "connecting":
        peer.pass_time(2)  # the pause between attempts
    out = peer.connect()
    return out + (peer.say(p.CheckForFailoverReply(True)) if p.CheckForFailover in map(type, out) else [])


def asked(packets):
    return [packet.name for packet in packets if isinstance(packet, p.ReattachSession)]


def test_what_the_server_made_for_nobody_is_asked_for_until_the_server_has_closed_it():
    peer, _first, name, channel, hello = cut_while_creating()
    assert asked(hello)[-1] == name
    out = peer.say(
        p.ReattachSessionResponse(-1, True), p.CreateSessionResponse(NEWEST), p.ReattachSessionResponse(-1, True)
    )
    assert p.SessionClose in map(type, out)
    assert not peer.engine.settled
    hello = lose_and_connect(peer)
    assert name in asked(hello)  # it may not have been closed
    peer.say(*(p.ReattachSessionResponse(-1, True) for _ in asked(hello)))
    peer.say(p.NullResponse(), channel=channel)
    hello = lose_and_connect(peer)
    assert asked(hello)[0] == peer.session.name
    assert name not in asked(hello)


def test_what_the_server_did_not_have_yet_is_asked_for_once_more():
    peer, first, name, _channel, _hello = cut_while_creating()
    peer.say(p.ReattachSessionResponse(-1, True), p.CreateSessionResponse(NEWEST), p.ReattachSessionResponse(-1, False))
    peer.say(p.NullResponse(), channel=first)
    peer.pass_time(LOOK_AGAIN_SECONDS + 0.1)
    assert asked(peer.sent()) == [name]
    assert [type(packet) for packet in peer.say(p.ReattachSessionResponse(-1, False))] == []
    peer.pass_time(LOOK_AGAIN_SECONDS + 0.1)
    assert asked(peer.sent()) == []
    hello = lose_and_connect(peer)
    assert asked(hello)[0] == peer.session.name
    assert name not in asked(hello)


def test_it_is_not_asked_for_once_more_before_the_sessions_are_back():
    peer, first, name, _channel, _hello = cut_while_creating()
    peer.say(p.ReattachSessionResponse(-1, True), p.CreateSessionResponse(NEWEST), p.ReattachSessionResponse(-1, False))
    peer.pass_time(LOOK_AGAIN_SECONDS + 0.1)  # without being due all the time
    assert asked(peer.sent()) == []
    peer.say(p.NullResponse(), channel=first)
    peer.pass_time(0)
    assert asked(peer.sent()) == [name]


def test_when_no_attempts_are_left_everything_ends_once():
    peer = Peer(attempts=2).begin()
    with_id, without = peer.send(duplicate_id=b"d"), peer.send()
    waiting = peer.request(p.QueueQuery("q"))
    peer.lose()
    late = peer.send(duplicate_id=b"e")
    for _ in range(5):
        peer.lose(ConnectFailed("refused"))
        peer.pass_time(1)
    (end,) = peer.told(GaveUp)
    assert isinstance(end.reason, ReconnectGaveUp)
    assert isinstance(end.reason.__cause__, ConnectFailed)
    assert end.in_doubt == (b"d", None)
    assert [token.error.outcome.value for token in (with_id, without, late)] == ["unknown", "unknown", "not sent"]
    assert with_id.error.duplicate_id == b"d"
    assert isinstance(waiting.error, ReconnectGaveUp)
    assert peer.session.state is State.CLOSED
    assert peer.aborts[-1] is end.reason
    assert peer.engine.next_timeout() is None
    session = peer.engine.create_session(SessionConfig(), peer.now)
    with pytest.raises(ReconnectGaveUp):
        session.check_open()
    peer.engine.handle_timeout(peer.now + 100)
    peer.lose()
    assert len(peer.told(GaveUp)) == 1


# --- closing ----------------------------------------------------------------------------------------------------------


def in_state(name):
    peer = Peer()
    if name != "down":
        peer.open()
    if name in ("handshaking", "up", "waiting"):
        peer.connect()
    if name in ("up", "waiting"):
        peer.say(PING)
    if name == "waiting":
        peer.lose()
        peer.lose(ConnectFailed("refused"))
    assert peer.engine.link.state.value == name
    return peer


@pytest.mark.parametrize("state", ["down", "connecting", "handshaking", "up", "waiting"])
def test_closing_ends_it_from_any_state_once(state):
    peer = in_state(state)
    peer.events.clear()
    peer.aborts.clear()
    peer.engine.close(peer.now)
    peer.serve()
    peer.engine.close(peer.now)
    peer.engine.connection_lost(ConnectionLost("reset"), peer.now)
    peer.engine.connection_made(peer.now)
    peer.engine.handle_timeout(peer.now + 1000)
    peer.serve()
    assert names(peer.events) == ["Closed"]
    assert peer.aborts == [None]
    assert peer.engine.next_timeout() is None


@pytest.mark.parametrize("state", ["connecting", "handshaking", "up", "waiting"])
def test_a_session_asked_for_in_any_state_is_made_when_it_can_be(state):
    peer = in_state(state)
    session = peer.session = peer.engine.create_session(SessionConfig(), peer.now)
    session.creation = Creation()
    peer.serve()
    if state == "waiting":
        peer.pass_time(1)
    asked = peer.sent() if state in ("handshaking", "up") else peer.connect()
    assert [type(packet) for packet in asked if not isinstance(packet, FIRST)] == [p.CreateSession]
    peer.created()
    assert session.creation.done
    assert session.creation.error is None
    assert session.usable


def test_a_session_asked_for_after_the_end_fails_at_once():
    peer = Peer().up()
    peer.engine.close(peer.now)
    session = peer.engine.create_session(SessionConfig(), peer.now)
    with pytest.raises(ClosedError, match="connection"):
        session.check_open()


def test_a_loss_while_waiting_for_the_next_attempt_is_none():
    peer = in_state("waiting")
    events = len(peer.events)
    peer.lose()
    assert len(peer.events) == events


# --- versions, refusals -----------------------------------------------------------------------------------------------


def asks_session(**options):
    peer = Peer(**options).up()
    session = peer.session = peer.engine.create_session(SessionConfig(user="u", client_id="me"), peer.now)
    session.creation = Creation()
    peer.serve()
    return peer, session


def refuse(peer, code):
    return peer.say(p.ExceptionResponse(code, "no"), channel=1)


def test_a_refused_version_is_followed_by_the_next_lower_until_one_is_taken():
    peer, session = asks_session()
    (asked,) = peer.sent()
    assert (asked.version, asked.client_id) == (NEWEST, "me")
    for version in range(NEWEST - 1, V2_18 - 2, -1):
        subscription, asked = refuse(peer, 108)
        assert subscription.client_version == asked.version == version
    assert type(asked) is p.CreateSession  # the form without a client id
    assert asked.username == "u"
    peer.created()
    assert session.usable
    assert peer.engine.version == V2_18 - 1
    assert peer.engine.server_version == NEWEST


def test_a_server_that_takes_no_version_is_incompatible():
    peer, session = asks_session()
    for _ in range(NEWEST - OLDEST):
        refuse(peer, 108)
        assert not session.creation.done
    refuse(peer, 108)
    assert isinstance(session.creation.error, IncompatibleVersion)


@pytest.mark.parametrize("code", [112, 222])
def test_a_server_that_is_starting_is_tried_again(code):
    peer, session = asks_session()
    refuse(peer, code)
    assert not session.creation.done
    assert peer.aborts[-1].code == code
    peer.pass_time(1)
    assert [type(packet) for packet in peer.connect()][-1] is p.CreateSession
    peer.created()
    assert session.usable


def test_wrong_credentials_fail_the_session_and_not_the_connection():
    peer, session = asks_session()
    refuse(peer, 105)
    assert isinstance(session.creation.error, JMSSecurityError)
    assert peer.aborts == []
    assert peer.told(GaveUp) == []
    assert peer.create().usable


def test_credentials_that_are_refused_later_end_the_connection():
    peer = Peer().begin()
    peer.back(reattached=False)
    refuse(peer, 105)
    (end,) = peer.told(GaveUp)
    assert isinstance(end.reason, JMSSecurityError)


def test_another_refusal_later_is_tried_again():
    peer = Peer().begin()
    peer.back(reattached=False)
    refuse(peer, 0)
    assert peer.told(GaveUp) == []
    peer.pass_time(1)
    assert peer.session.state is State.RECREATING
    assert p.CreateSession in map(type, peer.connect())


def test_the_password_is_nowhere_to_be_seen():
    config = SessionConfig(user="u", password="s3cret")
    peer = Peer().up()
    peer.engine.create_session(config, peer.now)
    peer.serve()
    (asked,) = peer.sent()
    assert asked.password == "s3cret"
    assert "s3cret" not in repr(asked) + repr(config)


# --- goodbyes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "goodbye",
    [
        p.Disconnect("node"),
        p.Disconnect("node", target_node_id="other"),
        *[p.Disconnect("node", reason) for reason in (-1, 0, 1, 2, 3, 4, 5)],
        p.DisconnectConsumerKill("node"),
    ],
    ids=repr,
)
def test_a_goodbye_of_any_version_ends_the_link_and_is_followed_by_an_attempt(goodbye):
    peer = Peer().up()
    peer.say(goodbye)
    (lost,) = peer.told(Detached)
    assert isinstance(lost.reason, DisconnectedByServer)
    assert peer.aborts == [lost.reason]
    peer.pass_time(1)
    assert len(peer.connects) == 2


@pytest.mark.parametrize("reason", [0, 1])
def test_a_redirection_is_followed(reason):
    peer = Peer().up()
    peer.say(p.Disconnect("node", reason, "there", transport("elsewhere", 5445)))
    peer.pass_time(1)
    assert peer.connects[1].endpoint == Endpoint(host="elsewhere", port=5445)


def test_what_stands_behind_a_goodbye_is_not_looked_at():
    peer = Peer().up()
    peer.say(p.Disconnect("node", 4), b"\xff" * 40)
    assert len(peer.aborts) == 1
    assert len(peer.told(Detached)) == 1


# --- topology ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        p.ClusterTopology(False, "n", 0, transport("a"), transport("b"), True),
        p.ClusterTopology(False, "n", 1, transport("a"), transport("b"), True),
        p.ClusterTopology(False, "n", 1, transport("a"), transport("b"), True, None, None, 136),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_a_member_is_told_once_in_every_form_and_again_when_it_goes(told):
    peer = Peer().up()
    peer.say(told, told)
    assert peer.told(TopologyChanged) == [TopologyChanged("n", A, B)]
    peer.say(p.ClusterTopology(True, "n", 2))
    assert peer.told(TopologyChanged)[1:] == [TopologyChanged("n", None, None, True)]


def test_the_placeholder_that_a_broker_names_before_a_login_is_no_backup():
    peer = Peer().up()
    nobody = "00000000-0000-0000-0000-000000000000"
    elsewhere = TransportConfiguration("PRE_AUTH_CONNECTOR", "y", {"host": "localhost", "port": "61616"})
    peer.say(
        p.ClusterTopology(False, nobody, 1, transport("a"), elsewhere, True, None, None, 136),
        p.ClusterTopology(True, nobody, 2),
    )
    assert peer.told(TopologyChanged) == []
    endpoints = peer.engine.endpoints
    endpoints.begin_outage()
    tried = [endpoints.next()]
    while not endpoints.round_complete():
        tried.append(endpoints.next())
    assert all(endpoint.host != "localhost" for endpoint in tried)


@pytest.mark.parametrize(
    "parameters",
    [
        {"host": "a"},
        {"host": "", "port": "1"},
        {"host": "a b", "port": "1"},
        {"host": "a\n", "port": "1"},
        {"host": "a" * 300, "port": "1"},
        {"host": "a", "port": "0"},
        {"host": "a", "port": "65536"},
        {"host": "a", "port": "x"},
        {"serverId": "0"},
    ],
)
def test_a_connector_that_nobody_could_reach_is_none(parameters):
    peer = Peer().up()
    peer.say(p.ClusterTopology(False, "n", 1, TransportConfiguration("x", "y", parameters), None, True))
    assert peer.told(TopologyChanged) == [TopologyChanged("n", None, None)]


def test_the_node_that_a_server_invents_before_the_login_is_never_failed_over_to():
    nobody = "00000000-0000-0000-0000-000000000000"
    invented = TransportConfiguration("PRE_AUTH_CONNECTOR", "y", {"host": "localhost", "port": 61616})
    peer = Peer().up()
    peer.say(
        p.ClusterTopology(False, nobody, 1, transport("a"), invented, True),
        p.ClusterTopology(True, nobody, 2),
        p.ClusterTopology(False, "n", 3, transport("a"), invented, True),
    )
    assert peer.told(TopologyChanged) == [TopologyChanged("n", A, None)]


# --- bytes ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_bytes_may_come_in_any_pieces(sizes):
    peer = Peer().begin()
    consumer = peer.consume()
    data = b"".join(
        [
            peer.frame(p.ClusterTopology(False, "n", 1, transport("a"), None, True)),
            *[peer.delivery(number, body=b"x" * number) for number in range(1, 6)],
            peer.frame(PING),
            peer.frame(p.ProducerCredits(5, "q")),
            peer.delivery(6),
        ]
    )
    before = peer.session.received
    position = turn = 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        peer.bytes(data[position : position + size])
        position += size
        turn += 1
    assert [message.message_id for message in consumer.buffer] == [1, 2, 3, 4, 5, 6]
    assert peer.session.received == before + 7
    assert len(peer.told(TopologyChanged)) == 1
    assert peer.aborts == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (struct.pack(">ibq", 8, 10, 0) + b"\0", "8 bytes"),
        (struct.pack(">ibq", 2**31 - 1, 10, 0), "bytes"),
        (struct.pack(">ibq", -5, 10, 0), "-5 bytes"),
        (struct.pack(">ibq", 9, 75, 4711), "channel 4711"),
        (struct.pack(">ibq", 1000, 75, 4711), "channel 4711"),
        (struct.pack(">ibq", 9, 99, 0), "unknown packet"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
    ],
)
def test_what_cannot_be_core_ends_the_link_without_raising(data, text):
    peer = Peer().up()
    peer.bytes(data)
    (lost,) = peer.told(Detached)
    assert text in str(lost.reason)
    assert isinstance(lost.reason, RemoteProtocolError) or isinstance(lost.reason.__cause__, RemoteProtocolError)
    peer.pass_time(1)
    assert len(peer.connects) == 2


def test_an_answer_to_nothing_ends_the_link():
    peer = Peer().up()
    peer.created()
    assert "answers nothing" in str(peer.aborts[-1])


def test_a_packet_that_only_clients_send_ends_the_link():
    peer = Peer().begin()
    peer.say(p.SessionStop())
    assert "only clients" in str(peer.aborts[-1])


def test_an_unexpected_answer_to_the_creation_of_a_session_ends_the_link():
    peer, session = asks_session()
    peer.say(p.ReattachSessionResponse(-1, True))
    assert "creation" in str(peer.aborts[-1])
    assert not session.creation.done


def test_what_is_left_over_on_an_old_channel_is_ignored():
    peer = Peer().begin()
    channel = peer.session.channel_id
    peer.say(p.PacketsConfirmed(99))
    assert peer.session.channel_id != channel
    peer.say(p.ProducerCredits(5, "q"), channel=channel)
    peer.say(p.NullResponse(), channel=channel)
    assert peer.aborts == []


def test_impossible_confirmations_make_new_sessions_and_in_the_end_a_new_link():
    peer = Peer().begin()
    for count in range(1, DIVERGENCES + 1):
        peer.say(p.PacketsConfirmed(99))
        peer.created()
        assert len(peer.told(SessionRecreated)) == count
        assert peer.session.usable
    assert peer.aborts == []
    peer.say(p.PacketsConfirmed(99))
    assert "keeps confirming" in str(peer.aborts[-1])
    assert len(peer.told(Detached)) == 1


def test_an_event_carries_neither_password_nor_session_of_the_connection():
    peer = Peer().begin(user="u", password="s3cret")
    peer.send()
    peer.recreate()
    peer.engine.close(peer.now)
    peer.serve()
    assert names(peer.events) == ["Connected", "Detached", "SessionRecreated", "Reconnected", "Closed"]
    assert "s3cret" not in repr(peer.events)
    assert isinstance(peer.events[0], Connected)
    assert isinstance(peer.events[-1], Closed)


def test_sends_that_became_doubtful_in_a_recreation_are_named_when_the_link_is_given_up():
    peer = Peer(attempts=1).begin()
    peer.send()
    peer.back(reattached=False)
    peer.lose()
    peer.pass_time(10)
    peer.lose(ConnectFailed("refused"))
    (end,) = peer.told(GaveUp)
    assert end.in_doubt == (None,)


def test_a_long_replay_is_not_a_handshake_that_hangs():
    """A window without bound over a slow line: the fence comes behind all that was missed."""
    peer = Peer().begin()
    peer.consume(window=-1)
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(peer.session.buffer.next_id - 1, True))
    for index in range(10):
        peer.pass_time(4)
        peer.bytes(peer.delivery(index))
        assert peer.aborts == []
    peer.pass_time(10)
    assert len(peer.aborts) == 1, "nothing more comes: now it hangs"


def test_what_other_sessions_do_does_not_hide_one_that_hangs():
    """The answer to its fence may have gone to a connection that is lost."""
    peer = Peer().begin()
    stuck = peer.session
    peer.create(window=100_000)
    peer.consume(window=-1)
    peer.lose()
    peer.connect()
    peer.say(p.ReattachSessionResponse(stuck.buffer.next_id - 1, True), channel=1)
    peer.say(p.ReattachSessionResponse(peer.session.buffer.next_id - 1, True), channel=1)
    peer.say(p.NullResponse())
    assert (stuck.state, peer.session.state) == (State.SETTLING, State.ATTACHED)
    for index in range(20):
        peer.pass_time(1)
        if peer.aborts:
            break
        peer.bytes(peer.delivery(index))
    (end,) = peer.aborts
    assert isinstance(end, HandshakeTimeout)


def test_a_replay_that_is_cut_does_not_make_the_pauses_longer():
    peer = Peer().begin()
    peer.engine.link._reconnect = artemis_policy(1000, 2.0, 60_000, -1)
    peer.consume(window=-1)
    pauses = []
    for index, more in enumerate([False, False, True, True, False]):
        peer.lose()
        if peer.engine.link.retry_at is not None:
            pauses.append(peer.engine.link.retry_at - peer.now)
            peer.pass_time(pauses[-1])
        peer.connect()
        peer.say(p.ReattachSessionResponse(peer.session.buffer.next_id - 1, True))
        if more:
            peer.bytes(peer.delivery(index))
    peer.lose()
    pauses.append(peer.engine.link.retry_at - peer.now)
    assert pauses == [1, 2, 1, 1, 2]


@pytest.mark.parametrize("answers", [True, False])
def test_credentials_are_shown_before_a_session_is_asked_for(answers):
    """Once on a connection; a server that does not answer CONNECT is none that is waited for."""
    peer = Peer().begin(user="u", password="s3cret")
    peer.lose()
    out = peer.connect()
    (shown,) = [packet for packet in out if isinstance(packet, p.CheckForFailover)]
    assert (shown.login.user, shown.login.password) == ("u", "s3cret")
    assert out.index(shown) < [type(packet) for packet in out].index(p.ReattachSession)
    reply = [p.CheckForFailoverReply(True)] if answers else []
    out = peer.say(*reply, p.ReattachSessionResponse(peer.session.buffer.next_id - 1, True))
    assert [type(packet) for packet in out] == [p.AddMetadata]
    peer.say(p.NullResponse())
    assert peer.session.usable


@pytest.mark.parametrize(("user", "session", "shown"), [("u", False, 1), (None, False, 0), ("u", True, 0)])
def test_a_broker_that_names_its_cluster_after_a_login_gets_one_before_the_first_session(user, session, shown):
    """Without a user in the settings none is shown: sessions may have one, and a refusal would end the connection."""
    peer = Peer(user=user, password="s3cret").open()
    peer.connect()
    if session:
        peer.engine.create_session(SessionConfig(user="other", password="x"), peer.now)
        peer.serve()
    out = peer.say(PING, PRE_AUTH, PRE_AUTH)
    assert [packet.login.user for packet in out if isinstance(packet, p.CheckForFailover)] == ["u"] * shown
    if shown:
        told = p.ClusterTopology(False, "n", 1, transport("c"), transport("d"), True)
        peer.say(p.CheckForFailoverReply(True), told)
        assert [member.host for member in peer.endpoints.members] == ["c"]


def test_refused_credentials_end_the_connection():
    peer = Peer().begin(user="u", password="s3cret")
    peer.lose()
    peer.connect()
    peer.say(p.ExceptionResponse(105, "no such user"), channel=1)
    assert isinstance(peer.engine.gave_up, JMSSecurityError)
