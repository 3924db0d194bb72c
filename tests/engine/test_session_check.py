"""Is a reattached session still answered here, and what is said to a server that may be reading late."""

from __future__ import annotations

import pytest

from activeclient.engine.session import SessionConfig, State
from activeclient.errors import HandshakeTimeout, HeartbeatMissed, SessionUnanswered
from activeclient.wire import packets as p
from tests.engine.peer import PING, Peer

QUESTION = p.AddCountedMetadata("activeclient-fence", "", True)


@pytest.fixture
def peer() -> Peer:
    """With an idle consumer; its session was reattached once, and nothing else happened."""
    peer = Peer().begin()
    peer.consume()
    peer.back()
    return peer


def asked(peer, seconds):
    """What the client asks within so many seconds, pings apart."""
    peer.pass_time(seconds)
    return [packet for packet in peer.sent() if not isinstance(packet, (p.Ping, p.PacketsConfirmed))]


def patience_of(peer):
    """Seconds that the client waits for its first answer, before it renews the link."""
    before = peer.now
    while peer.session.state is State.ATTACHED:
        peer.pass_time(0.05)
    return round(peer.now - before - 0.1)


def answer(peer):
    assert peer.say(peer.confirm(), p.NullResponse()) == []


# --- the questions --------------------------------------------------------------------------------------------------


def test_a_reattached_session_is_asked_after_pauses_that_grow(peer):
    began = peer.now
    times = []
    while len(times) < 11:
        if asked(peer, 0.05):
            times.append(round(peer.now - began, 2))
            answer(peer)
        elif not round(peer.now - began, 2) % 10:
            peer.say(PING)
    assert times == pytest.approx([0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7, 25.5, 51.1, 81.1, 111.1], abs=0.6)


def test_a_session_that_never_moved_is_not_asked():
    peer = Peer(ttl=None, check=None).begin()
    peer.consume()
    assert asked(peer, 1000) == []


def test_what_comes_meanwhile_is_an_answer(peer):
    for index in range(3):
        peer.bytes(peer.delivery(index))
        assert asked(peer, [0.1, 0.2, 0.4][index] + 0.01) == []
    assert asked(peer, 0.8) == [QUESTION]


def test_without_an_answer_within_the_call_timeout_the_link_is_renewed_and_the_session_comes_back(peer):
    assert asked(peer, 0.1) == [QUESTION]
    for _ in range(3):
        peer.pass_time(9.9)
        peer.say(PING)  # whatever the pings say
    assert peer.aborts == []
    peer.pass_time(0.4)
    assert [type(reason) for reason in peer.aborts] == [SessionUnanswered]
    peer.back(last=peer.session.buffer.next_id - 2, strays=1)
    assert peer.session.state is State.ATTACHED
    peer.bytes(peer.delivery(0))
    assert len(peer.session.consumers[0].buffer) == 1


def test_a_call_timeout_of_no_length_does_not_shake_a_slow_broker():
    peer = Peer(answer_timeout=0.01).begin()
    peer.consume()
    peer.back()
    patience = []
    for _ in range(2):
        patience.append(patience_of(peer))
        peer.back(last=peer.session.buffer.next_id - 2, strays=1)
    assert patience == [1, 2]


def test_a_late_answer_is_one_if_anything_came_within_the_time(peer):
    assert asked(peer, 0.1) == [QUESTION]
    peer.pass_time(29)
    peer.bytes(peer.delivery(0))
    peer.say(PING)
    peer.pass_time(5)
    assert peer.aborts == []


def test_a_refusal_is_an_answer(peer):
    assert asked(peer, 0.1) == [QUESTION]
    peer.say(p.ExceptionResponse(105, "not for you"))
    assert asked(peer, 0.5) == [QUESTION]
    assert peer.aborts == []


def test_without_a_call_timeout_nothing_is_asked():
    peer = Peer(ttl=None, check=None, answer_timeout=None).begin()
    peer.consume()
    peer.back()
    assert asked(peer, 1000) == []


# --- a request to reattach that may still be on its way -------------------------------------------------------------


def test_after_an_attempt_without_an_answer_the_patience_is_short_and_doubles():
    peer = Peer().begin()
    peer.consume()
    peer.lose()
    peer.connect()  # and the request to reattach is never answered
    peer.back()
    patience = []
    for _ in range(3):
        patience.append(patience_of(peer))
        assert peer.back(last=peer.session.buffer.next_id - 2, strays=1) == [QUESTION], "one question, not one a link"
    assert patience == [1, 2, 4]
    out = peer.say(peer.confirm(), p.NullResponse())
    while out:  # one barrier for each fence with a name
        out = peer.say(peer.confirm(), p.QueueQueryResponse(False, name=out[0].queue_name))
    assert asked(peer, 0.11) == [], "it has just answered"
    for doublings in range(1, 8):
        assert asked(peer, 0.1 * 2**doublings + 0.01) == [QUESTION]
        answer(peer)
    assert asked(peer, 26) == [QUESTION]
    peer.pass_time(20)
    assert len(peer.aborts) == 3, "nothing is on its way any more: the long patience"


def test_a_request_of_the_user_that_is_stuck_does_not_hide_it():
    peer = Peer().begin()
    peer.consume()
    peer.lose()
    peer.connect()
    peer.back()
    peer.request(p.QueueQuery("q"))
    peer.sent()
    assert asked(peer, 0.15) == []
    peer.pass_time(1)
    assert [type(reason) for reason in peer.aborts] == [SessionUnanswered]


def test_a_session_that_is_closed_is_not_asked(peer):
    peer.session.begin_closing(lambda request: None)
    peer.serve()
    peer.sent()
    assert asked(peer, 100) == []


# --- a sign of life before the sessions say hello -------------------------------------------------------------------


def kinds(packets):
    return [type(packet) for packet in packets]


def test_after_a_silence_the_sessions_wait_until_the_server_answers_pings():
    peer = Peer(ttl=6, check=3).begin()
    peer.pass_time(6)
    assert [type(reason) for reason in peer.aborts] == [HeartbeatMissed]
    assert kinds(peer.connect(alive=False)) == [p.Ping, p.SubscribeTopology]
    peer.pass_time(5)
    assert [type(reason) for reason in peer.aborts] == [HeartbeatMissed, HandshakeTimeout]
    peer.pass_time(1)
    peer.connect(alive=False)
    assert kinds(peer.say(PING)) == [p.ReattachSession]
    assert peer.session.life.check.unanswered == 0


def test_after_a_visible_loss_they_say_hello_at_once():
    peer = Peer().begin()
    peer.lose()
    assert kinds(peer.connect(alive=False)) == [p.Ping, p.SubscribeTopology, p.ReattachSession]


def test_after_a_hello_without_an_answer_they_wait():
    peer = Peer().begin()
    peer.lose()
    peer.connect(alive=False)
    peer.lose()
    peer.pass_time(1)
    assert kinds(peer.connect(alive=False)) == [p.Ping, p.SubscribeTopology]
    assert peer.session.life.check.unanswered == 1


def test_a_session_that_is_made_meanwhile_waits_with_them():
    peer = Peer(ttl=6, check=3).begin()
    peer.pass_time(6)
    peer.connect(alive=False)
    peer.engine.create_session(SessionConfig(window=1000), peer.now)
    peer.serve()
    assert peer.sent() == []
    assert p.CreateSession in kinds(peer.say(PING))


def test_the_link_after_the_next_visible_loss_is_quick_again():
    peer = Peer(ttl=6, check=3).begin()
    peer.pass_time(6)
    peer.back()
    peer.lose()
    assert p.ReattachSession in kinds(peer.connect(alive=False))
