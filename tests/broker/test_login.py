"""Who may take a session: reattaching asks for the same credentials as creating it did.

The packets are those of `CONNECT` in Artemis 2.57, the release that dropped reattachment because it asked for no login
(CVE-2026-57967).
"""

from __future__ import annotations

import threading

import pytest

from activeclient import EmbeddedBroker, ServerLocator
from activeclient.broker.configuration import GUEST, BrokerConfiguration, User
from activeclient.broker.limits import Limits
from activeclient.errors import JMSSecurityError
from activeclient.events import Detached, Event, Reconnected, StateChanged
from activeclient.wire import packets as p
from activeclient.wire.fields import write_bytes, write_string
from activeclient.wire.frames import FRAME
from activeclient.wire.login import Login
from activeclient.wire.packet import decode, encode
from tests.broker.peer import Peer, World, create_session

ALICE, BOB = User("alice", "secret"), User("bob", "hidden")


@pytest.fixture
def world() -> World:
    return World(BrokerConfiguration(users=(ALICE, BOB)))


def log_in(peer: Peer, user: str, password: str) -> None:
    login = p.CheckForFailover(None, Login.plain(136, user, password))
    assert peer.ask(login, p.CheckForFailoverReply, 1).server_version == 136


def alice_left(world: World) -> None:
    """A session of Alice whose connection is gone."""
    peer = world.connect()
    peer.session("hers", username="alice", password="secret")
    peer.connection.connection_lost()


def reattach(peer: Peer, name: str = "hers") -> bool:
    return peer.ask(p.ReattachSession(name, -1), p.ReattachSessionResponse, 1).reattached


def test_the_name_of_a_session_is_no_credential(world: World) -> None:
    alice_left(world)
    assert not reattach(world.connect())
    assert any("without the credentials" in text for text in world.reports)


def test_another_user_gets_no_session_either(world: World) -> None:
    alice_left(world)
    other = world.connect()
    log_in(other, "bob", "hidden")
    assert not reattach(other)


def test_who_showed_the_same_credentials_gets_it(world: World) -> None:
    alice_left(world)
    again = world.connect()
    log_in(again, "alice", "secret")
    assert reattach(again)


def test_a_session_of_the_same_user_on_the_connection_serves_as_well(world: World) -> None:
    alice_left(world)
    again = world.connect()
    again.session("another", 11, username="alice", password="secret")
    assert reattach(again)


def test_a_refused_attempt_leaves_the_session_to_its_user(world: World) -> None:
    alice_left(world)
    assert not reattach(world.connect())
    again = world.connect()
    log_in(again, "alice", "secret")
    assert reattach(again)


def test_a_client_that_makes_a_refused_session_anew_does_not_wait_for_the_end_of_the_old_one(world: World) -> None:
    """As older Java clients do; a session of another user ends nothing."""
    alice_left(world)
    again = world.connect()
    assert not reattach(again)
    again.session("new", 11, username="bob", password="hidden")
    assert "hers" in world.server.sessions
    again.session("newer", 12, username="alice", password="secret")
    assert "hers" not in world.server.sessions


def test_a_session_that_cannot_be_reattached_is_not_ended_by_a_stranger(world: World) -> None:
    peer = world.connect()
    peer.session("hers", username="alice", password="secret", window=-1)
    assert not reattach(world.connect())
    assert "hers" in world.server.sessions


def test_another_user_cannot_end_a_session_by_its_name(world: World) -> None:
    alice_left(world)
    other = world.connect()
    packet = create_session("hers", 10, username="bob", password="hidden")
    assert other.ask(packet, p.ExceptionResponse, 1).code == 112
    assert world.server.sessions["hers"].user.name == "alice"


def test_where_anybody_may_connect_the_name_is_enough() -> None:
    world = World()
    peer = world.connect()
    peer.session("hers")
    peer.connection.connection_lost()
    assert reattach(world.connect())


def test_a_guest_gets_the_session_of_a_guest_and_no_other() -> None:
    world = World(BrokerConfiguration(users=(ALICE, GUEST)))
    peer = world.connect()
    peer.session("guests")
    peer.connection.connection_lost()
    alice_left(world)
    other = world.connect()
    assert reattach(other, "guests")
    assert not reattach(other)


@pytest.mark.parametrize(
    "login", [Login.plain(136, "alice", "wrong"), Login.plain(136, "", ""), Login(136, mechanism="GSSAPI")]
)
def test_a_login_that_is_refused_ends_its_connection(world: World, login: Login) -> None:
    peer = world.connect()
    frame = bytearray(encode(p.CheckForFailover(None, login), 1, 136))
    peer.bytes(bytes(frame))
    assert peer.take(p.ExceptionResponse).code == 105
    assert peer.connection.closing


def test_a_second_login_ends_its_connection(world: World) -> None:
    peer = world.connect()
    log_in(peer, "alice", "secret")
    peer.send(p.CheckForFailover(None, Login.plain(136, "bob", "hidden")), 1)
    assert peer.connection.aborted


def test_passwords_are_not_guessed_on_one_connection() -> None:
    world = World(BrokerConfiguration(users=(ALICE,)), limits=Limits(max_failed_logins=3))
    peer = world.connect()
    packet = encode(create_session("s", 10, username="alice", password="guess"), 1, 136)
    peer.bytes(packet * 5)
    assert [type(each) for each in peer.take_all()] == [p.ExceptionResponse] * 3
    assert peer.connection.closing


def test_the_password_of_a_login_shows_nowhere() -> None:
    packet = p.CheckForFailover(None, Login.plain(136, "alice", "secret"))
    assert "secret" not in repr(packet)
    assert decode(encode(packet, 1, 136), 136) == packet


def test_the_answer_to_an_older_client_has_no_map(world: World) -> None:
    peer = world.connect()
    assert peer.ask(p.CheckForFailover("node-1"), p.CheckForFailoverReply, 1).server_version is None


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x00\x00\x05\x00\x00",  # shorter than its head
        b"\x7f\xff\xff\xff\x00\x00",  # longer than the frame
        b"\x00\x00\x00\x06\x00\x0b",  # too many values
        b"\x00\x00\x00\x06\x00\x01",  # a value that is not there
        b"\x00\x00\x00\x09\x00\x01\x00\x01\x09",  # of an unknown kind
        b"\x00\x00\x00\x0e\x00\x01\x00\x01\x02\x00\x00\x00\x88\x00",  # ends elsewhere
        b"\x00\x00\x00" + bytes([9 + len(write_string("1"))]) + b"\x00\x01\x00\x01\x01" + write_string("1"),
        b"\x00\x00\x00" + bytes([9 + len(write_bytes(b"1"))]) + b"\x00\x01\x00\x02\x05" + write_bytes(b"1"),
    ],
)
def test_a_login_that_makes_no_sense_ends_its_connection(world: World, content: bytes) -> None:
    peer = world.connect()
    peer.bytes(FRAME.pack(9 + 1 + len(content), -4, 1) + b"\x00" + content)
    assert peer.connection.aborted


# --- our client -------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded() -> EmbeddedBroker:
    return EmbeddedBroker(port=0, users={"alice": "secret", "bob": "hidden"})


def test_our_client_reattaches_where_users_are_configured(guarded: EmbeddedBroker) -> None:
    events: list[Event] = []
    with (
        guarded as broker,
        ServerLocator.reliable(broker.url, user="alice", password="secret").create_session_factory() as factory,
    ):
        factory.add_event_listener(events.append)
        session = factory.create_session()
        other = factory.create_session("bob", "hidden")
        session.create_queue("q")
        producer = session.create_producer("q")
        broker.drop_connections()
        producer.send(session.create_message(body=b"x"))
        other.query_queue("q")
        factory.wait_until_connected(10)
        (back,) = [event for event in events if isinstance(event, Reconnected)]
        # One user is shown before sessions are reattached; a session of another is recreated.
        assert (back.reattached, back.recreated) == (1, 1)
        assert broker.message_count("q") == 1


def test_a_password_that_was_changed_ends_the_connection(guarded: EmbeddedBroker) -> None:
    with (
        guarded as broker,
        ServerLocator.reliable(broker.url, user="alice", password="secret").create_session_factory() as factory,
    ):
        session = factory.create_session()
        server = broker._running().server
        server.post._users["alice"] = User("alice", "changed")
        broker.drop_connections()
        with pytest.raises(JMSSecurityError):
            session.query_queue("q")


@pytest.mark.parametrize("users", [{}, {"alice": "secret"}], ids=["anybody", "users"])
def test_a_connection_without_a_session_is_sent_away_once(users: dict[str, str]) -> None:
    """When it comes again it logs in, and stays."""
    events: list[Event] = []
    back = threading.Event()

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, Reconnected):
            back.set()

    with (
        EmbeddedBroker(port=0, users=users, limits=Limits(handshake_timeout=0.1)) as broker,
        ServerLocator.reliable(broker.url, user="alice", password="secret").create_session_factory() as factory,
    ):
        factory.add_event_listener(listen)
        assert back.wait(30)
        thread = broker._running()

        def admitted() -> list[bool]:
            return thread.call(lambda: [each.admitted for each in thread.server.connections if not each.gone])

        assert admitted() == [True]
        assert [type(event) for event in events if not isinstance(event, StateChanged)] == [Detached, Reconnected]
