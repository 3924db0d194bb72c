"""Closing consumers and sessions while something is under way: what is settled first, and what is reported as lost."""

from __future__ import annotations

import pytest

from activeclient.engine.unsettled import Unsettled, is_unsettled
from activeclient.errors import ClosedError, NotSent, Outcome, OutcomeUnknown
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage, encode_send
from tests.engine.peer import Peer
from tests.engine.test_recovery import kinds, rebuild

WINDOWS = pytest.mark.parametrize("window", [-1, 10_000])


def acknowledged(peer, *ids, consumer=None, **options):
    """A consumer whose application has acknowledged these messages; the server has not confirmed it."""
    consumer = consumer or peer.consume(**options)
    for message_id in ids:
        peer.say(peer.delivery(message_id, consumer.id))
        assert consumer.acknowledge(consumer.take())
    return consumer


def closed(peer, consumer):
    request = peer.session.close_consumer(consumer)
    peer.serve()
    return request


def again(out):
    """The messages that were acknowledged one by one."""
    return [packet.message_id for packet in out if isinstance(packet, p.IndividualAcknowledge)]


def marker(peer, consumer):
    """The server has delivered all that it can to this consumer."""
    return peer.delivery(0, consumer.id, count=0, properties={"_hornetq.forced.delivery.seq": consumer.forced_asked})


# --- a consumer -------------------------------------------------------------------------------------------------------


@WINDOWS
def test_a_closed_consumer_is_made_again_to_acknowledge_what_comes_again(window):
    peer = Peer().begin(window=window)
    consumer = acknowledged(peer, 7, 8)
    close = closed(peer, consumer)
    out = rebuild(peer, peer.recreate())
    assert p.CreateConsumer in kinds(out)
    assert p.ConsumerClose not in kinds(out)
    assert again(peer.say(peer.delivery(7, consumer.id, count=2))) == [7]
    out = peer.say(peer.delivery(8, consumer.id, count=2))
    assert again(out) == [8]
    assert kinds(out)[-1] is p.ConsumerClose  # behind the acknowledgements
    peer.say(peer.confirm(), *([] if window > 0 else [p.NullResponse()]))
    assert close.done
    assert close.error is None
    assert consumer.id not in peer.session.consumers


@WINDOWS
def test_what_does_not_come_again_is_not_waited_for(window):
    peer = Peer().begin(window=window)
    consumer = acknowledged(peer, 7, 8)
    closed(peer, consumer)
    rebuild(peer, peer.recreate())
    assert again(peer.say(peer.delivery(8, consumer.id, count=2))) == [8]
    assert kinds(peer.say(marker(peer, consumer))) == [p.ConsumerClose]


def test_what_a_closed_consumer_did_not_acknowledge_stays_with_the_server():
    peer = Peer().begin()
    consumer = acknowledged(peer, 7)
    closed(peer, consumer)
    rebuild(peer, peer.recreate())
    assert again(peer.say(peer.delivery(9, consumer.id))) == []
    assert consumer.take() is None
    assert again(peer.say(peer.delivery(7, consumer.id, count=2))) == [7]


def test_a_consumer_that_is_closed_after_the_loss_waits_for_what_comes_again():
    peer = Peer().begin()
    consumer = acknowledged(peer, 7)
    rebuild(peer, peer.recreate())
    closed(peer, consumer)
    out = peer.sent()
    assert p.ForceDelivery in kinds(out)
    assert p.ConsumerClose not in kinds(out)
    out = peer.say(peer.delivery(7, consumer.id, count=2))
    assert again(out) == [7]
    assert kinds(out)[-1] is p.ConsumerClose


def test_a_second_loss_amid_that_begins_it_again():
    peer = Peer().begin()
    consumer = acknowledged(peer, 7, 8)
    closed(peer, consumer)
    rebuild(peer, peer.recreate())
    peer.say(peer.delivery(7, consumer.id, count=2))
    out = rebuild(peer, peer.recreate())
    assert p.CreateConsumer in kinds(out)
    assert again(peer.say(peer.delivery(7, consumer.id, count=3), peer.delivery(8, consumer.id, count=3))) == [7, 8]


def test_a_consumer_whose_acknowledgements_are_confirmed_is_not_made_again():
    peer = Peer().begin()
    consumer = acknowledged(peer, 7)
    peer.say(peer.confirm())
    close = closed(peer, consumer)
    out = rebuild(peer, peer.recreate())
    assert p.CreateConsumer not in kinds(out)
    assert close.done


def test_without_confirmations_an_answer_says_that_what_came_before_it_was_done():
    peer = Peer().begin(window=-1)
    consumer = acknowledged(peer, 7)
    assert consumer.acknowledged.unconfirmed == 1
    peer.request(p.AddCountedMetadata("a", "b", True))
    acknowledged(peer, 8, consumer=consumer)
    peer.say(p.NullResponse())
    assert consumer.acknowledged.unconfirmed == 1
    peer.request(p.AddCountedMetadata("a", "b", True))
    peer.say(p.NullResponse())
    assert not is_unsettled(peer.session)


def test_in_a_stopped_session_it_has_what_comes_again_delivered():
    peer = Peer().begin()
    consumer = acknowledged(peer, 7)
    assert not peer.session.started
    closed(peer, consumer)
    out = rebuild(peer, peer.recreate())
    assert p.SessionStart in kinds(out)
    assert not peer.session.started


def test_without_prefetch_it_asks_for_each_that_comes_again():
    peer = Peer().begin()
    consumer = peer.consume(window=0)
    for message_id in (7, 8):
        consumer.ask_for_one()
        peer.say(peer.delivery(message_id, consumer.id))
        assert consumer.acknowledge(consumer.take())
    closed(peer, consumer)
    out = rebuild(peer, peer.recreate())
    assert p.FlowToken in kinds(out)
    out = peer.say(peer.delivery(7, consumer.id, count=2))
    assert again(out) == [7]
    assert p.FlowToken in kinds(out)
    assert again(peer.say(peer.delivery(8, consumer.id, count=2))) == [8]


def test_the_queue_of_a_closed_consumer_is_gone_after_the_loss():
    peer = Peer().begin()
    consumer = acknowledged(peer, 7)
    close = closed(peer, consumer)
    out = peer.recreate()
    while not any(isinstance(packet, p.CreateConsumer) for packet in out):
        out = peer.say(peer.confirm())
    peer.say(p.ExceptionResponse(100, "no such queue"))
    assert close.done
    assert close.error is None
    assert peer.session.consumers == {}


# --- a session --------------------------------------------------------------------------------------------------------


@WINDOWS
def test_a_session_is_closed_on_the_server_after_what_was_acknowledged_has_come_again(window):
    peer = Peer().begin(window=window)
    consumer = acknowledged(peer, 7)
    close = peer.session.begin_closing(lambda request: None)
    peer.serve()
    assert is_unsettled(peer.session)
    out = rebuild(peer, peer.recreate())
    assert p.CreateConsumer in kinds(out)
    assert p.SessionClose not in kinds(out)
    out = peer.say(peer.delivery(7, consumer.id, count=2))
    assert again(out) == [7]
    assert kinds(out)[-1] is p.SessionClose
    peer.say(peer.confirm(), *([] if window > 0 else [p.NullResponse()]))
    assert close.done
    assert not is_unsettled(peer.session)


def test_a_session_closed_in_an_outage_sends_first_what_was_not_sent():
    peer = Peer().begin()
    peer.lose()
    peer.send(b"late", duplicate_id=b"d")
    close = peer.session.begin_closing(lambda request: None)
    assert is_unsettled(peer.session)
    out = peer.back(last=peer.session.buffer.first - 1)
    assert kinds(out) == [p.Send, p.SessionClose]
    peer.say(peer.confirm())
    assert close.done
    assert not is_unsettled(peer.session)


def test_credits_and_producers_are_nothing_that_closing_waits_for():
    peer = Peer().begin()
    consumer = peer.consume()
    peer.session.producers[1] = "q"
    peer.session.command(peer.session.encode(p.CreateProducer(1, "q")))
    peer.session.command(peer.session.encode(p.FlowToken(consumer.id, 5)))
    assert len(peer.session.buffer) > 0
    assert not is_unsettled(peer.session)


def test_what_a_transaction_holds_is_rolled_back_and_nothing_to_wait_for():
    peer = Peer().begin(auto_commit_sends=False, auto_commit_acks=False)
    peer.send(b"x")
    acknowledged(peer, 7)
    assert not is_unsettled(peer.session)
    peer.session.life.end(ClosedError("closed"), peer.now)
    assert not peer.session.unsettled


def test_a_commit_under_way_is_waited_for_and_reported():
    peer = Peer().begin(auto_commit_sends=False)
    peer.send(b"x")
    peer.request(p.Commit(0))
    assert is_unsettled(peer.session)
    peer.session.life.end(ClosedError("closed"), peer.now)
    assert peer.session.unsettled == Unsettled(decisions=1)


# --- what is reported -------------------------------------------------------------------------------------------------


def test_what_was_sent_and_what_was_not_are_told_apart():
    peer = Peer().begin()
    told = []
    acknowledged(peer, 7)
    peer.send(b"1", duplicate_id=b"one")
    peer.send(b"2", duplicate_id=b"two", handler=lambda _, error: told.append(error))
    peer.lose()
    peer.send(b"3", duplicate_id=b"three", handler=lambda _, error: told.append(error))
    peer.session.begin_closing(lambda request: None)
    peer.session.life.end(ClosedError("closed"), peer.now)
    peer.serve()
    assert peer.session.unsettled == Unsettled(1, 2, 1, 0, (b"one", b"two"))
    assert [type(error) for error in told] == [OutcomeUnknown, NotSent]
    error = peer.session.unsettled.error("the session", None)
    assert error.outcome is Outcome.UNKNOWN
    assert (error.not_sent, error.unknown, error.acknowledgements, error.commits) == (1, 2, 1, 0)
    assert error.duplicate_ids == (b"one", b"two")
    assert "1 send that did not take effect (NOT_SENT)" in str(error)
    assert "2 sends that may have taken effect (UNKNOWN)" in str(error)
    assert b"one".hex() in str(error)


def test_after_a_give_up_only_those_count_that_nobody_was_told_of():
    peer = Peer().begin()
    peer.send(b"1", duplicate_id=b"one", handler=lambda _, error: None)
    frame = encode_send(CoreMessage(b"2", address="q"), peer.session.channel_id, peer.engine.version, True, 99)
    peer.session.send(frame, None, len(frame))
    peer.lose()
    peer.session.life.end(ClosedError("gave up"), peer.now)
    assert peer.session.unsettled.unknown == 1


def test_what_is_under_way_is_added_up():
    total = Unsettled(1, 2, 3, 4, (b"a", None)) + Unsettled(5, 6, 7, 8, (b"b",))
    assert total == Unsettled(6, 8, 10, 12, (b"a", None, b"b"))
    assert total
    assert not Unsettled()
    assert Unsettled(1).error("x", None).outcome is Outcome.NOT_SENT
