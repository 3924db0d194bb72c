"""The engine on connections of older protocol versions: other layouts, answers that name nothing."""

from __future__ import annotations

import pytest

from activeclient.engine.session_config import SessionConfig
from activeclient.errors import IncompatibleVersion, ResourceAllocationError, UnsupportedOperationError
from activeclient.events import SendFailed
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage, encode_send
from activeclient.wire.old_layout import old_receive
from activeclient.wire.versions import NEWEST, SUPPORTED
from tests.engine.peer import Creation, Peer

FULL = ServerCode.ADDRESS_FULL


def begun(version, **config):
    """A session on a connection of `version`."""
    peer = Peer(version=version).open()
    peer.connect()
    peer.say(p.Ping(60000))
    peer.create(**{"window": 100_000, **config})
    return peer


def send(peer, body=b"x", *, wait=True):
    """Send as a producer does; the token if somebody waits for it."""
    session = peer.session
    correlation = session.next_correlation()
    frame = encode_send(CoreMessage(body, address="q"), session.channel_id, peer.engine.version, True, correlation)
    token = None
    if wait:
        from activeclient.engine.requests import SendToken

        token = SendToken(correlation, None, body)
    session.send_in_version(frame, token, len(frame))
    peer.serve()
    return token


@pytest.mark.parametrize("version", [121, 126, 128])
def test_sends_go_out_and_deliveries_come_in_in_the_layout_before_2_0(version):
    peer = begun(version)
    send(peer, b"out")
    (sent,) = peer.sent()
    assert (sent.message.body, sent.message.address, sent.requires_response) == (b"out", "q", True)
    consumer = peer.consume(window=10_000)
    frame = old_receive(peer.delivery(7, body=b"in"))
    peer.bytes(frame)
    (message,) = consumer.buffer
    assert (message.body, message.message_id, message.delivery_count) == (b"in", 7, 1)
    assert message.frame_size == len(frame)  # what the server has charged


def test_what_is_replayed_has_the_old_layout_too():
    peer = begun(126)
    send(peer, b"again")
    before = peer.frames[-1]
    replayed = peer.back(last=-1, strays=1)
    assert [type(packet) for packet in replayed][:1] == [p.Send]
    assert replayed[0].message.body == b"again"
    assert before[13:17] == (len(b"again") + 17).to_bytes(4, "big")


@pytest.mark.parametrize("version", [126, 129])
def test_a_refusal_that_names_nothing_is_that_of_the_oldest_send(version):
    peer = begun(version)
    first, second = send(peer), send(peer)
    peer.say(peer.confirm(0), p.NullResponse(), p.ExceptionResponse(FULL, "full"))
    assert (first.done, first.error) == (True, None)
    assert isinstance(second.error, ResourceAllocationError)
    assert peer.session.nulls.due == 0
    assert len(peer.session.buffer) == 0  # the server does not count it either


def test_a_refused_send_that_nobody_waits_for_is_told():
    peer = begun(129)
    send(peer, wait=False)
    request = peer.request(p.SessionStop())
    peer.say(p.ExceptionResponse(FULL, "full"))
    assert [event.error.code for event in peer.told(SendFailed)] == [FULL]
    assert not request.done
    peer.say(peer.confirm(), p.NullResponse())
    assert (request.done, request.error) == (True, None)


def test_a_refusal_after_a_request_is_not_that_of_a_later_send():
    peer = begun(129)
    request = peer.request(p.CreateQueue("a", "a"))
    token = send(peer)
    peer.say(p.ExceptionResponse(ServerCode.QUEUE_EXISTS, "there"))
    assert request.error.code == ServerCode.QUEUE_EXISTS
    assert not token.done
    peer.say(peer.confirm(), p.NullResponse())
    assert (token.done, token.error) == (True, None)


@pytest.mark.parametrize("refused", [False, True])
def test_answers_without_a_command_buffer_belong_to_the_sends_in_their_order(refused):
    peer = begun(129, window=-1)
    first, request, second = send(peer), peer.request(p.SessionStop()), send(peer)
    peer.say(p.ExceptionResponse(FULL, "full") if refused else p.NullResponse())
    assert (first.done, first.error is not None, request.done, second.done) == (True, refused, False, False)
    peer.say(p.NullResponse())
    assert (request.done, second.done) == (True, False)
    peer.say(p.NullResponse())
    assert (second.done, second.error) == (True, None)


@pytest.mark.parametrize("version", [129, 131])
def test_late_answers_to_sends_and_commits_are_not_taken_for_that_to_a_fence(version):
    peer = begun(version, auto_commit_sends=False)
    if version < 130:
        send(peer)
    peer.request(p.Commit(), correlated=True)
    strays = 2 if version < 130 else 1
    assert peer.session.nulls.due == strays
    peer.lose()
    peer.pass_time(1)
    peer.connect()
    out = peer.say(p.ReattachSessionResponse(-1, True))
    assert [type(packet) for packet in out] == [p.AddMetadata] * (strays + 1)


def test_a_request_that_the_version_cannot_express_fails_and_no_other():
    peer = begun(126)
    request = peer.request(p.CreateQueue("a", "a", ring_size=5))
    assert isinstance(request.error, UnsupportedOperationError)
    assert "126" in str(request.error)
    assert "Artemis 2.0" in str(request.error)
    assert peer.sent() == []
    assert not peer.request(p.CreateQueue("a", "a")).done


def test_each_version_is_offered_in_turn_and_then_none_is_left():
    peer = Peer().up()
    peer.session = session = peer.engine.create_session(SessionConfig(window=-1), peer.now)
    session.creation = Creation()
    peer.serve()
    offered = []
    while not session.creation.done:
        offered += [each.version for each in peer.sent() if isinstance(each, p.CreateSession)]
        peer.bytes(peer.frame(p.ExceptionResponse(ServerCode.INCOMPATIBLE_CLIENT_SERVER_VERSIONS, "no"), 1))
    assert tuple(offered) == SUPPORTED
    assert isinstance(session.creation.error, IncompatibleVersion)


def test_the_second_version_is_that_of_the_whole_connection():
    peer = Peer().up()
    peer.session = session = peer.engine.create_session(SessionConfig(window=-1), peer.now)
    session.creation = Creation()
    peer.serve()
    peer.sent()
    peer.bytes(peer.frame(p.ExceptionResponse(ServerCode.INCOMPATIBLE_CLIENT_SERVER_VERSIONS, "no"), 1))
    subscription, create = peer.sent()
    assert (subscription.client_version, create.version) == (NEWEST - 1, NEWEST - 1)
