"""The largest frames that a broker takes: known when it shows them, and nothing larger is sent."""

from __future__ import annotations

import pytest

from activeclient.engine.frame_limits import FRAME_LIMIT, LOGIN_LIMIT, UNLIMITED
from activeclient.engine.session import SessionConfig
from activeclient.errors import ConnectFailed, NotSent, Outcome, OutcomeUnknown
from activeclient.wire import packets as p
from activeclient.wire.fields import TransportConfiguration
from activeclient.wire.versions import NEWEST
from tests.engine.answering import PRE_AUTH, Server
from tests.engine.peer import NOBODY, A, B, Creation, Peer

REAL = p.ClusterTopology(
    False, "node", 1, primary=TransportConfiguration("n", "y", {"host": "a", "port": "61616"}), server_version=NEWEST
)


def add(peer, **config):
    session = peer.engine.create_session(SessionConfig(**config), peer.now)
    session.creation = Creation()
    peer.serve()
    return session


def started(topology=PRE_AUTH, **options):
    peer = Peer(**options)
    server = Server(peer, topology=topology)
    peer.open()
    server.run()
    return peer, server


def test_the_placeholder_tells_of_the_limits_and_the_real_topology_behind_it_changes_nothing():
    peer, server = started()
    assert peer.engine.limits.frame == FRAME_LIMIT
    add(peer)
    server.run()
    peer.say(REAL)
    assert peer.engine.limits.frame == FRAME_LIMIT


@pytest.mark.parametrize("topology", [None, NOBODY, REAL])
def test_other_brokers_have_none(topology):
    peer, server = started(topology)
    session = add(peer)
    server.run()
    assert peer.engine.limits.frame == UNLIMITED
    peer.session = session
    assert not peer.request(p.QueueQuery("x" * FRAME_LIMIT)).done


def test_a_request_that_does_not_fit_is_refused_and_the_next_is_made():
    peer, server = started()
    session = add(peer, window=1000)
    server.run()
    peer.session = session
    peer.sent()
    refused = peer.request(p.QueueQuery("x" * FRAME_LIMIT))
    assert isinstance(refused.error, NotSent)
    assert refused.error.outcome is Outcome.NOT_SENT
    assert str(FRAME_LIMIT) in str(refused.error)
    assert peer.sent() == []
    good = peer.request(p.QueueQuery("q"))
    server.run()
    assert (good.done, good.error) == (True, None)


def test_a_login_that_does_not_fit_is_refused_before_it_is_sent():
    peer, server = started()
    session = add(peer, user="u", password="p" * LOGIN_LIMIT)
    assert isinstance(session.error, NotSent)
    assert str(LOGIN_LIMIT) in str(session.error)
    assert "ppp" not in str(session.error)
    assert server.created == []
    fitting = add(peer, user="u", password="p")
    server.run()
    late = add(peer, user="u", password="p" * LOGIN_LIMIT)
    server.run()
    assert fitting.usable
    assert late.usable, "the limit before the login is over with it"


def test_a_login_that_ends_a_broker_which_has_not_shown_its_limits_names_them():
    peer = Peer(first_attempts=1).open()
    add(peer, user="u", password="p" * LOGIN_LIMIT)
    peer.engine.connection_made(peer.now)
    peer.serve()
    peer.lose()
    assert isinstance(peer.engine.gave_up, ConnectFailed)
    assert str(LOGIN_LIMIT) in str(peer.engine.gave_up)


def test_a_repeat_that_another_broker_does_not_take_fails_with_what_is_known():
    peer = Peer(hosts=(A, B))
    server = Server(peer, topology=None)
    peer.open()
    server.run()
    session = peer.session = add(peer, window=1 << 20)
    server.run()
    sent = peer.send(b"x" * FRAME_LIMIT, b"id")
    peer.lose()
    late = peer.send(b"x" * FRAME_LIMIT, b"id2")
    small = peer.send(b"y", b"id3")
    server.topology = PRE_AUTH
    server.run(5.0)
    assert session.usable
    assert isinstance(sent.error, OutcomeUnknown)
    assert sent.error.duplicate_id == b"id"
    assert isinstance(late.error, NotSent)
    assert (small.done, small.error) == (True, None)


# --- windows ----------------------------------------------------------------------------------------------------------


def windows(server, connection):
    return [packet.window_size for number, packet in server.created if number == connection]


def test_no_session_has_a_window_after_the_first_answer_on_a_server_that_does_not_reattach():
    peer, server = started()
    add(peer, window=1000)
    server.run()
    assert windows(server, 1) == [1, 0], "asked once, and made anew without"
    add(peer, window=1000)
    add(peer, window=1000)
    server.run()
    for _ in range(3):
        peer.lose()
        server.run(2.0)
    assert [packet.window_size for _, packet in server.created].count(1) == 1


@pytest.mark.parametrize("first", [True, False])
def test_another_broker_is_asked_anew(first):
    peer = Peer(hosts=(A, B))
    server = Server(peer, reattaches=first, topology=None)
    peer.open()
    server.run()
    add(peer, window=1000)
    server.run()
    assert peer.engine.reattaches is first
    server.reattaches = not first
    server.names.clear()
    peer.endpoints.redirect(B)
    peer.lose()
    server.run(3.0)
    assert peer.engine.reattaches is not first
    add(peer, window=1000)
    server.run()
    assert windows(server, server.connections)[-1] == (0 if first else 1)


def test_the_topology_is_asked_for_once_on_each_connection():
    peer, server = started()
    add(peer, window=1000)
    server.run()
    peer.lose()
    server.run(2.0)
    assert (server.connections, server.subscriptions) == (2, 1)
