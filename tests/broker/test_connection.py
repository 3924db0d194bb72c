"""Connections: greetings, versions, logins, pings, goodbyes, and clients that do harm."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.broker.configuration import BrokerConfiguration, User
from activeclient.broker.limits import Limits
from activeclient.errors import ConfigError
from activeclient.wire import packets as p
from activeclient.wire.frames import MAGIC
from activeclient.wire.packet import Packet, encode
from activeclient.wire.versions import NEWEST, SUPPORTED
from tests.broker.peer import Peer, World, create_session


@pytest.fixture
def world() -> World:
    return World()


# --- greeting ---------------------------------------------------------------------------------------------------------


def test_greeting_and_first_packet_may_come_in_any_pieces(world: World) -> None:
    peer = Peer(world, greet=False)
    for byte in MAGIC + encode(p.SubscribeTopology(False, NEWEST), 0, NEWEST):
        peer.bytes(bytes([byte]))
    assert peer.take(p.ClusterTopology).node_id == "node-1"


def test_a_client_without_greeting_is_served_too(world: World) -> None:
    peer = Peer(world, greet=False)
    peer.send(p.Ping(60_000), 0)
    peer.take(p.Ping)


@pytest.mark.parametrize(
    ("version", "form"),
    [(121, 110), (122, 114), (124, 114), (125, 122), (130, 122), (131, -17), (136, -17), (137, -17)],
)
def test_the_topology_has_the_form_of_the_client_and_ends_with_this_node(world: World, version: int, form: int) -> None:
    peer = Peer(world)
    peer.send(p.SubscribeTopology(False, version), 0)
    answer = peer.take(p.ClusterTopology)
    assert signed(peer.frames[-1][4]) == form
    assert answer.last
    assert not answer.exit
    assert answer.primary is None


def test_a_client_that_names_no_version_gets_the_oldest_form(world: World) -> None:
    peer = Peer(world)
    peer.version = 0
    peer.send(p.SubscribeTopology(), 0)
    peer.take(p.ClusterTopology)
    assert signed(peer.frames[-1][4]) == 110


def signed(kind: int) -> int:
    """The type number that a byte means."""
    return kind - 256 if kind > 127 else kind


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_version_of_the_list_gets_a_session(world: World, version: int) -> None:
    peer = world.connect(version)
    answer = peer.ask(create_session("session", 10, version=version), p.CreateSessionResponse, 1)
    assert answer.server_version == NEWEST


@pytest.mark.parametrize("version", [0, 120, 137, -1])
def test_any_other_version_is_refused_and_may_try_again(world: World, version: int) -> None:
    peer = world.connect()
    assert peer.ask(create_session("session", 10, version=version), p.ExceptionResponse, 1).code == 108
    peer.session()


@pytest.mark.parametrize(
    ("version", "queue", "address"),
    [
        (125, 46, 50),
        (126, -7, -8),
        (127, -7, -10),
        (128, -7, -10),
        (129, -14, -15),
        (134, -14, -15),
        (135, -14, -22),
        (136, -14, -22),
    ],
)
def test_queries_are_answered_in_the_form_of_the_client(world: World, version: int, queue: int, address: int) -> None:
    peer = world.connect(version)
    peer.session(version=version)
    peer.ask(p.CreateSharedQueue("a", "q", None, True), p.NullResponse)
    found = peer.ask(p.QueueQuery("q"), p.QueueQueryResponse)
    assert signed(peer.frames[-1][4]) == queue
    assert (found.exists, found.name, found.address) == (True, "q", "a")
    assert not peer.ask(p.QueueQuery("nothing"), p.QueueQueryResponse).exists
    bound = peer.ask(p.BindingQuery("a"), p.BindingQueryResponse)
    assert signed(peer.frames[-1][4]) == address
    assert (bound.exists, list(bound.queue_names)) == (True, ["q"])
    assert not peer.ask(p.BindingQuery("nothing"), p.BindingQueryResponse).exists


@pytest.mark.parametrize("version", [129, 130, 133, 134, 136])
def test_messages_and_answers_have_the_trailer_of_the_version(world: World, version: int) -> None:
    peer = world.connect(version)
    peer.session(version=version)
    peer.queue()
    peer.post(b"hello", asked=True, correlation_id=9)
    answers = [each for each in peer.take_all() if isinstance(each, p.NullResponse)]
    assert answers == [p.NullResponse(9 if version >= 130 else -1)]
    peer.consume()
    assert peer.bodies() == [b"hello"]


def test_a_missing_queue_is_described_as_what_it_would_be(world: World) -> None:
    peer = world.connect()
    peer.session()
    found = peer.ask(p.QueueQuery("nothing"), p.QueueQueryResponse)
    assert (found.exists, found.durable, found.auto_create_queues, found.max_consumers) == (False, True, True, -1)
    assert found.default_consumer_window_size == 1024 * 1024


# --- logins -----------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_and_never_shown() -> None:
    world = World(BrokerConfiguration(users=(User("alice", "secret"),)))
    peer = world.connect()
    for user, password in [("alice", "wrong"), ("bob", "secret"), (None, None)]:
        packet = create_session("session", 10, username=user, password=password)
        answer = peer.ask(packet, p.ExceptionResponse, 1)
        assert answer.code == 105
        assert "secret" not in str(answer)
        assert "wrong" not in str(answer)
    peer.session(username="alice", password="secret")
    assert "secret" not in repr(world.server.sessions)


# --- pings and time ---------------------------------------------------------------------------------------------------


def test_pings_are_sent_back(world: World) -> None:
    peer = world.connect()
    peer.send(p.Ping(12_345), 0)
    assert peer.take(p.Ping).connection_ttl == 12_345


def test_a_silent_connection_is_closed_after_its_time_to_live(world: World) -> None:
    peer = world.connect()
    peer.send(p.Ping(500), 0)
    world.advance(0.4)
    assert not peer.connection.aborted
    world.advance(0.5)
    assert peer.connection.aborted
    assert not world.server.connections


def test_any_byte_keeps_a_connection_alive(world: World) -> None:
    peer = world.connect()
    peer.send(p.Ping(500), 0)
    for byte in encode(p.SessionStart(), 10, NEWEST)[:5]:
        world.advance(0.4)
        peer.bytes(bytes([byte]))
    assert not peer.connection.aborted


def test_a_time_to_live_of_minus_one_never_ends_while_the_socket_stands(world: World) -> None:
    peer = world.connect()
    peer.session()
    peer.send(p.Ping(-1), 0)
    world.advance(100_000)
    assert not peer.connection.aborted
    peer.connection.connection_lost()
    world.advance(70)
    assert not world.server.sessions


def test_the_failover_check_knows_the_node(world: World) -> None:
    peer = world.connect()
    for node_id, known in [(None, True), ("node-1", True), ("node-2", False)]:
        assert peer.ask(p.CheckForFailover(node_id), p.CheckForFailoverReply, 1).ok_to_failover is known


# --- goodbyes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "packet"),
    [
        (124, p.Disconnect("node-1")),
        (125, p.Disconnect("node-1")),
        (130, p.Disconnect("node-1")),
        (131, p.Disconnect("node-1", 4)),
        (136, p.Disconnect("node-1", 4)),
    ],
)
def test_a_server_that_stops_says_so_in_the_form_of_the_client(world: World, version: int, packet: Packet) -> None:
    peer = world.connect(version)
    world.server.stop()
    assert peer.take_all() == [packet]
    assert peer.connection.closing


def test_what_was_counted_is_confirmed_before_the_goodbye(world: World) -> None:
    peer = world.connect()
    peer.session(window=10_000)
    peer.send(p.SessionStart())
    world.server.stop()
    assert [type(each) for each in peer.take_all()] == [p.PacketsConfirmed, p.Disconnect]


def test_nobody_is_let_in_by_a_server_that_stops(world: World) -> None:
    world.server.stop()
    assert world.server.connection_made("late", 0.0) is None


# --- clients that do harm ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"ARTEMISX" + b"\xff" * 20,
        struct.pack(">ibq", 9, 99, 0),
        struct.pack(">ibq", 2**31 - 1, 71, 10),
        struct.pack(">ibq", 8, 10, 0),
        struct.pack(">ibq", -1, 10, 0),
        struct.pack(">ibq", 100_000, 30, 1),
        encode(p.SessionStart(), 0, NEWEST),
        encode(p.SessionStart(), 1, NEWEST),
    ],
)
def test_bytes_that_make_no_sense_end_their_connection_and_no_other(world: World, data: bytes) -> None:
    good = world.connect()
    good.session()
    bad = Peer(world, greet=False)
    bad.bytes(data)
    assert bad.connection.aborted
    good.ask(p.QueueQuery("q"), p.QueueQueryResponse)


def test_a_frame_for_a_channel_that_is_not_here_is_dropped(world: World) -> None:
    peer = world.connect()
    peer.send(p.SessionStart(), 55)
    assert not peer.connection.aborted
    assert peer.take_all() == []


def test_a_server_packet_from_a_client_ends_the_connection_and_leaves_the_session_to_be_fetched(world: World) -> None:
    peer = world.connect()
    peer.session()
    peer.send(p.NullResponse(1))
    assert peer.connection.aborted
    assert "session" in world.server.sessions


def test_a_stranger_may_not_send_large_frames(world: World) -> None:
    peer = world.connect()
    peer.bytes(struct.pack(">ibq", 70_000, 30, 1))
    assert peer.connection.aborted


def test_who_says_nothing_is_sent_away(world: World) -> None:
    peer = Peer(world)
    world.advance(9)
    assert not peer.connection.aborted
    world.advance(4)
    assert peer.connection.aborted


def test_connections_beyond_the_limit_are_refused() -> None:
    world = World(limits=Limits(max_connections=2))
    first = world.connect()
    first.session("first")
    world.connect().session("second")
    assert world.server.connection_made("third", 0.0) is None
    first.connection.connection_lost()
    assert world.server.connection_made("third", 0.0) is not None


def test_sessions_beyond_the_limit_are_refused() -> None:
    peer = World(limits=Limits(max_sessions=1)).connect()
    peer.session()
    assert peer.ask(create_session("other", 11), p.ExceptionResponse, 1).code == 112


def test_a_client_that_does_not_read_gets_no_more_messages_and_is_not_read() -> None:
    world = World(limits=Limits(outgoing_high=10_000))
    peer = world.connect()
    peer.session()
    peer.queue()
    peer.consume()
    peer.take_all()
    sender = world.connect()
    sender.session("sender")
    for _ in range(100):
        sender.post(b"x" * 1000)
    assert peer.connection.pending_bytes < 12_000
    assert not peer.connection.wants_read
    assert len(peer.messages()) == 100
    assert peer.connection.wants_read


def test_a_client_that_never_confirms_gets_no_more_messages_and_in_the_end_none_at_all() -> None:
    world = World(limits=Limits(unconfirmed_high=10_000, unconfirmed_limit=20_000))
    peer = world.connect()
    peer.session(window=10_000)
    peer.queue()
    peer.consume()
    for _ in range(100):
        peer.post(b"x" * 1000)
    assert 5 < len(peer.messages()) < 15
    for _ in range(1000):
        peer.send(p.QueueQuery("q"))
    assert peer.connection.aborted
    world.advance(0.1)
    assert not world.server.sessions


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_make_the_server_raise(data: bytes, at: int) -> None:
    world = World()
    peer = world.connect()
    peer.session()
    peer.queue()
    peer.post()
    good = encode(p.CreateConsumer(0, "q"), 10, NEWEST) + encode(p.FlowToken(0, -1), 10, NEWEST)
    mixed = good[:at] + data + good[at:]
    peer.bytes(mixed)
    peer.take_all()
    other = world.connect()
    other.session("other")
    assert other.ask(p.QueueQuery("q"), p.QueueQueryResponse).exists
    assert not [each for each in world.reports if "Error(" in each]


@given(st.integers(0, 30), st.integers(0, 255), st.binary(max_size=60))
def test_no_packet_of_any_type_makes_the_server_raise(skip: int, kind: int, rest: bytes) -> None:
    world = World()
    peer = world.connect()
    peer.session()
    data = struct.pack(">iBq", len(rest) + 9, kind, 10) + rest
    peer.bytes(data)
    assert not [each for each in world.reports if "Traceback" in each]
    assert not [each for each in world.reports if each.startswith("session ")], world.reports


def test_limits_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="max_connections"):
        Limits(max_connections=0)
