"""A reattached session that is answered and gets no messages any more is made anew."""

from __future__ import annotations

import pytest

from activeclient.engine.session import State
from activeclient.errors import DeliveryStopped
from activeclient.wire import packets as p
from tests.engine.peer import PING, Peer


@pytest.fixture
def peer() -> Peer:
    """Its session has a consumer that waits, and was reattached."""
    peer = Peer().begin()
    peer.session.started = True
    peer.consume()
    peer.back()
    return peer


def asked(peer, seconds):
    """Queues that the client asks for within so many seconds."""
    end = peer.now + seconds
    names = []
    while peer.now < end:
        peer.pass_time(min(0.25, end - peer.now))
        out = peer.sent() + peer.say(PING)
        while out:
            packet = out.pop(0)
            if isinstance(packet, p.QueueQuery):
                names.append(packet.queue_name)
            elif isinstance(packet, p.AddCountedMetadata):
                out += peer.say(peer.confirm(), p.NullResponse())
    return names


def tell(peer, messages, consumers=1):
    return peer.say(peer.confirm(), p.QueueQueryResponse(True, True, False, consumers, messages))


def test_a_queue_with_messages_that_nobody_gets_ends_the_session(peer):
    assert asked(peer, 1.1) == ["q"]
    tell(peer, 7)
    assert asked(peer, 1.9) == []
    assert asked(peer, 0.3) == ["q"]
    tell(peer, 7)
    assert peer.session.state is State.RECREATING
    assert isinstance(peer.session.recovery.reason, DeliveryStopped)
    assert peer.session.life.delivery.due is None


def test_an_empty_queue_is_asked_for_after_pauses_that_grow(peer):
    times = []
    began = peer.now
    while len(times) < 7:
        if asked(peer, 0.25):
            times.append(peer.now - began)
            tell(peer, 0)
    assert times == pytest.approx([1, 3, 7, 15, 31, 61, 91], abs=2.5)
    assert peer.session.state is State.ATTACHED


def test_a_message_proves_that_all_is_well(peer):
    peer.bytes(peer.delivery(1))
    peer.session.consumers[0].take()
    assert asked(peer, 200) == []


def test_the_next_reattachment_begins_anew_until_a_message_came(peer):
    assert asked(peer, 1.1) == ["q"]
    tell(peer, 7)
    peer.back()
    assert asked(peer, 1.1) == ["q"]
    tell(peer, 7)
    assert peer.session.state is State.ATTACHED
    peer.bytes(peer.delivery(1))
    assert asked(peer, 3) == []
    peer.session.consumers[0].take()
    peer.back()
    assert asked(peer, 200) == []


@pytest.mark.parametrize(("messages", "consumers"), [(0, 1), (7, 2)], ids=["none", "others consume too"])
def test_it_goes_on_where_the_messages_may_be_elsewhere(peer, messages, consumers):
    for pause in (1.1, 2.1, 4.1):
        assert asked(peer, pause) == ["q"]
        tell(peer, messages, consumers)
    assert peer.session.state is State.ATTACHED


def test_what_the_application_has_not_taken_or_not_acknowledged_is_not_missing(peer):
    peer = Peer().begin()
    peer.session.started = True
    consumer = peer.consume()
    peer.bytes(peer.delivery(1))
    peer.back()
    assert asked(peer, 10) == []
    assert consumer.take() is not None
    assert peer.session.state is State.ATTACHED


def test_a_session_that_is_not_started_is_not_asked_about():
    peer = Peer().begin()
    peer.consume()
    peer.back()
    assert asked(peer, 100) == []


def test_messages_that_come_behind_the_answer_are_enough(peer):
    assert asked(peer, 1.1) == ["q"]
    tell(peer, 7)
    assert asked(peer, 2.2) == ["q"]
    peer.bytes(peer.delivery(1))
    tell(peer, 7)
    assert peer.session.state is State.ATTACHED
