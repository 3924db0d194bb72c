"""Consumers: credits, markers, acknowledgements, browsing, and what becomes of deliveries."""

from __future__ import annotations

import pytest

from activeclient.broker.configuration import AddressSettings, BrokerConfiguration
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage, encode_send_large_header, forced_delivery_sequence
from tests.broker.peer import Peer, World


def put(peer: Peer, count: int) -> None:
    for number in range(count):
        peer.post(b"%d" % number)


def count(peer: Peer, queue: str = "q") -> int:
    found = peer.world.post.find(queue)
    assert found is not None
    return found.message_count


# --- delivery ---------------------------------------------------------------------------------------------------------


def test_nothing_comes_before_the_session_is_started(peer: Peer) -> None:
    put(peer, 1)
    peer.ask(p.CreateConsumer(0, "q"), p.QueueQueryResponse)
    peer.send(p.FlowToken(0, -1))
    assert peer.messages() == []
    peer.send(p.SessionStart())
    assert len(peer.messages()) == 1


def test_nothing_comes_without_credits(peer: Peer) -> None:
    put(peer, 1)
    peer.ask(p.CreateConsumer(0, "q"), p.QueueQueryResponse)
    peer.send(p.SessionStart())
    assert peer.messages() == []


def test_the_last_message_may_overdraw_and_must_be_paid_for(peer: Peer) -> None:
    put(peer, 2)
    peer.consume(credits=1)
    (first,) = peer.messages()
    peer.send(p.FlowToken(0, first.frame_size - 1))
    assert peer.messages() == []
    peer.send(p.FlowToken(0, 1))
    assert len(peer.messages()) == 1


def test_credits_can_be_taken_back(peer: Peer) -> None:
    peer.consume(credits=100_000)
    peer.send(p.FlowToken(0, 0))
    put(peer, 1)
    assert peer.messages() == []


def test_a_stopped_session_gets_nothing_until_it_is_started(peer: Peer) -> None:
    peer.consume()
    peer.ask(p.SessionStop(), p.NullResponse)
    put(peer, 2)
    assert peer.messages() == []
    peer.send(p.SessionStart())
    assert peer.bodies() == [b"0", b"1"]


def test_a_marker_stands_behind_everything_that_can_be_delivered(peer: Peer) -> None:
    put(peer, 2)
    peer.consume()
    peer.send(p.ForceDelivery(0, 5))
    found = peer.messages()
    assert [forced_delivery_sequence(each) for each in found] == [None, None, 5]
    assert found[-1].body == b"\0\0\0\0"


def test_a_marker_needs_no_credits(peer: Peer) -> None:
    put(peer, 1)
    peer.consume(credits=0)
    peer.send(p.ForceDelivery(0, 1))
    (marker,) = peer.messages()
    assert forced_delivery_sequence(marker) == 1


def test_two_consumers_share_a_queue_in_turn(peer: Peer) -> None:
    peer.consume(consumer_id=0)
    peer.consume(consumer_id=1)
    put(peer, 4)
    assert [message.consumer_id for message in peer.messages()] == [0, 1, 0, 1]


def test_a_consumer_of_a_higher_priority_is_served_first(peer: Peer) -> None:
    peer.consume(consumer_id=0)
    peer.consume(consumer_id=1, priority=5)
    put(peer, 3)
    assert [message.consumer_id for message in peer.messages()] == [1, 1, 1]


def test_a_consumer_gets_what_its_filter_wants(peer: Peer) -> None:
    peer.consume(filter_string="color = 'red'")
    peer.post(b"red", properties={"color": "red"})
    peer.post(b"blue", properties={"color": "blue"})
    assert peer.bodies() == [b"red"]


def test_a_filter_that_cannot_be_read_is_refused(peer: Peer) -> None:
    assert peer.ask(p.CreateConsumer(0, "q", "color ="), p.ExceptionResponse).code == 103


def test_a_consumer_of_no_queue_is_refused(peer: Peer) -> None:
    answer = peer.ask(p.CreateConsumer(0, "nothing"), p.ExceptionResponse)
    assert answer.code == 100
    assert "nothing" in (answer.message or "")


def test_a_consumer_beyond_the_limit_of_the_queue_is_refused(peer: Peer) -> None:
    peer.queue("one", max_consumers=1)
    peer.consume("one")
    assert peer.ask(p.CreateConsumer(1, "one"), p.ExceptionResponse).code == 214


def test_a_used_consumer_id_is_refused(peer: Peer) -> None:
    peer.consume()
    assert peer.ask(p.CreateConsumer(0, "q"), p.ExceptionResponse).code == 104


def test_the_consumer_of_a_deleted_queue_is_told(peer: Peer) -> None:
    peer.consume()
    peer.world.post.delete_queue("q", check_consumers=False)
    assert peer.take_all()[-1] == p.DisconnectConsumer(0)


# --- acknowledgements -------------------------------------------------------------------------------------------------


def test_an_acknowledgement_settles_everything_up_to_it(peer: Peer) -> None:
    put(peer, 3)
    peer.consume()
    found = peer.messages()
    peer.send(p.Acknowledge(0, found[1].message_id, False))
    assert count(peer) == 1


def test_an_individual_acknowledgement_settles_one(peer: Peer) -> None:
    put(peer, 3)
    peer.consume()
    found = peer.messages()
    peer.ask(p.IndividualAcknowledge(0, found[1].message_id, True), p.NullResponse)
    assert count(peer) == 2
    peer.send(p.ConsumerClose(0))
    peer.consume(consumer_id=1)
    assert peer.bodies() == [b"0", b"2"]


@pytest.mark.parametrize("kind", [p.Acknowledge, p.IndividualAcknowledge])
def test_an_acknowledgement_of_nothing_is_refused(peer: Peer, kind: type[p.Acknowledge]) -> None:
    peer.consume()
    assert peer.ask(kind(0, 99, True), p.ExceptionResponse).code == 104
    assert peer.ask(kind(5, 99, True), p.ExceptionResponse).code == 104


def test_a_session_that_acknowledges_before_leaves_nothing_behind() -> None:
    peer = World().connect()
    peer.session(pre_acknowledge=True)
    peer.queue()
    put(peer, 2)
    peer.consume()
    assert len(peer.messages()) == 2
    assert count(peer) == 0


def test_an_expired_message_is_gone(peer: Peer) -> None:
    put(peer, 1)
    peer.consume()
    (message,) = peer.messages()
    peer.send(p.Expired(0, message.message_id))
    assert count(peer) == 0


def test_what_a_closed_consumer_had_comes_again_uncounted_and_in_order(peer: Peer) -> None:
    put(peer, 3)
    peer.consume()
    peer.take_all()
    peer.ask(p.ConsumerClose(0), p.NullResponse)
    peer.consume(consumer_id=1)
    found = peer.messages()
    assert [message.body for message in found] == [b"0", b"1", b"2"]
    assert {message.delivery_count for message in found} == {1}


def test_closing_an_unknown_consumer_is_no_error(peer: Peer) -> None:
    peer.ask(p.ConsumerClose(9), p.NullResponse)


# --- transactions -----------------------------------------------------------------------------------------------------


def transacted() -> Peer:
    peer = World().connect()
    peer.session(auto_commit_sends=False, auto_commit_acks=False)
    peer.queue()
    return peer


def test_nothing_that_was_sent_is_seen_before_the_commit() -> None:
    peer = transacted()
    put(peer, 2)
    peer.consume()
    assert peer.messages() == []
    peer.send(p.Commit(1))
    assert peer.bodies() == [b"0", b"1"]


def test_a_rollback_drops_what_was_sent_and_repeats_what_was_acknowledged() -> None:
    peer = transacted()
    put(peer, 3)
    peer.send(p.Commit(1))
    peer.consume()
    found = peer.messages()
    peer.send(p.Acknowledge(0, found[0].message_id, False))
    peer.post(b"never")
    peer.send(p.Rollback(False))
    found = peer.messages()
    assert [(message.body, message.delivery_count) for message in found] == [(b"0", 2), (b"1", 1), (b"2", 1)]


def test_a_rollback_may_count_the_oldest_delivery() -> None:
    peer = transacted()
    put(peer, 2)
    peer.send(p.Commit(1))
    peer.consume()
    peer.take_all()
    peer.send(p.Rollback(True))
    assert [message.delivery_count for message in peer.messages()] == [2, 1]


def test_whatever_fails_in_a_transaction_makes_its_commit_fail() -> None:
    peer = transacted()
    put(peer, 1)
    assert peer.ask(p.DeleteQueue("nothing"), p.ExceptionResponse).code == 100
    answer = peer.ask(p.Commit(3), p.ExceptionResponse)
    assert (answer.code, answer.correlation_id) == (100, 3)
    assert count(peer) == 0


def test_a_repeated_duplicate_id_makes_the_commit_fail() -> None:
    peer = transacted()
    for _ in range(2):
        peer.post(properties={"_AMQ_DUPL_ID": "same"})
        peer.send(p.Commit(1))
    answers = [each for each in peer.take_all() if isinstance(each, (p.NullResponse, p.ExceptionResponse))]
    assert [getattr(each, "code", None) for each in answers] == [None, 113]
    assert count(peer) == 1


# --- browsing ---------------------------------------------------------------------------------------------------------


def test_a_browser_sees_everything_and_takes_nothing(peer: Peer) -> None:
    put(peer, 2)
    peer.consume(browse_only=True)
    peer.send(p.ForceDelivery(0, 1))
    found = peer.messages()
    assert [message.body for message in found[:-1]] == [b"0", b"1"]
    assert forced_delivery_sequence(found[-1]) == 1
    peer.send(p.Acknowledge(0, found[0].message_id, False))
    peer.ask(p.ConsumerClose(0), p.NullResponse)
    assert count(peer) == 2


def test_a_browser_does_not_wait_for_its_session_to_be_started(peer: Peer) -> None:
    put(peer, 2)
    peer.send(p.SessionStop())
    peer.ask(p.CreateConsumer(0, "q", browse_only=True), p.QueueQueryResponse)
    peer.send(p.FlowToken(0, -1))
    assert peer.bodies() == [b"0", b"1"]


def test_a_browser_goes_on_when_it_has_credits_again(peer: Peer) -> None:
    put(peer, 3)
    peer.consume(browse_only=True, credits=1)
    assert peer.bodies() == [b"0"]
    peer.send(p.FlowToken(0, 10_000))
    assert peer.bodies() == [b"1", b"2"]


def test_a_browser_is_no_consumer_of_the_queue(peer: Peer) -> None:
    peer.consume(browse_only=True)
    assert peer.ask(p.QueueQuery("q"), p.QueueQueryResponse).consumer_count == 0


# --- large messages ---------------------------------------------------------------------------------------------------


def send_large(peer: Peer, body: bytes, piece: int = 1024, *, asked: bool = False) -> None:
    peer.bytes(encode_send_large_header(CoreMessage(b"", 4, "q"), 10, peer.version))
    for at in range(0, len(body), piece):
        last = at + piece >= len(body)
        peer.send(p.SendContinuation(body[at : at + piece], not last, len(body), last and asked, 77))


def read_large(packets: list[object]) -> tuple[p.ReceiveLarge, bytes]:
    opening = next(each for each in packets if isinstance(each, p.ReceiveLarge))
    pieces = [each for each in packets if isinstance(each, p.ReceiveContinuation)]
    assert [each.continues for each in pieces] == [True] * (len(pieces) - 1) + [False]
    return opening, b"".join(each.body for each in pieces)


BODY = bytes(range(256)) * 20


def test_a_large_message_comes_in_the_pieces_of_the_session(peer: Peer) -> None:
    send_large(peer, BODY, 700)
    peer.consume()
    found = peer.take_all()
    opening, body = read_large(list(found))
    assert body == BODY
    assert opening.large_message_size == len(BODY)
    assert opening.message.properties == {"_AMQ_LARGE_SIZE": len(BODY)}
    assert {len(each.body) for each in found if isinstance(each, p.ReceiveContinuation)} == {1024}


def test_the_last_piece_is_answered(peer: Peer) -> None:
    send_large(peer, BODY, asked=True)
    assert [each for each in peer.take_all() if isinstance(each, p.NullResponse)] == [p.NullResponse(77)]


def test_pieces_wait_for_credits(peer: Peer) -> None:
    send_large(peer, BODY)
    put(peer, 1)
    peer.consume(credits=1)
    assert [type(each) for each in peer.take_all() if not isinstance(each, p.PacketsConfirmed)][-1] is p.ReceiveLarge
    peer.send(p.FlowToken(0, 1200))
    first = peer.take_all()
    assert 1 <= sum(isinstance(each, p.ReceiveContinuation) for each in first) < 5
    peer.send(p.FlowToken(0, 100_000))
    last = peer.take_all()
    assert sum(isinstance(each, p.ReceiveContinuation) for each in first + last) == 5
    assert isinstance(last[-2], p.ReceiveMessage)  # and then the confirmation


def test_a_large_message_that_was_cut_comes_again_with_the_same_bytes(peer: Peer) -> None:
    send_large(peer, BODY)
    peer.consume(credits=2000)
    peer.take_all()
    peer.connection.connection_lost()
    again = peer.world.connect()
    again.send(p.ReattachSession("session", 1), 1)
    again.send(p.FlowToken(0, -1))
    assert read_large(list(again.take_all()))[1] == BODY


def test_a_repeat_that_was_cut_too_goes_on_behind_what_the_client_has(peer: Peer) -> None:
    send_large(peer, BODY)
    peer.consume()
    peer.take_all()
    counted = [frame for frame in peer.frames if frame[4] != p.PacketsConfirmed.KIND and frame[12] == 10]
    before = peer
    for has in (2, 4, 6):
        before.connection.connection_lost()
        again = peer.world.connect()
        again.frames.clear()
        again.send(p.ReattachSession("session", has), 1)
        assert again.take_all()[-1].reattached  # type: ignore[attr-defined]
        assert again.frames[:-1] == counted[has + 1 :]
        before = again


def test_a_large_message_that_was_not_finished_is_dropped_with_its_session(peer: Peer) -> None:
    peer.bytes(encode_send_large_header(CoreMessage(b"", 4, "q"), 10, peer.version))
    peer.send(p.SendContinuation(b"x", True, 0, False, 0))
    peer.ask(p.SessionClose(), p.NullResponse)
    assert count(peer) == 0


def test_a_piece_without_its_beginning_is_refused(peer: Peer) -> None:
    peer.send(p.SendContinuation(b"x", False, 1, True, 3))
    answer = peer.take(p.ExceptionResponse)
    assert (answer.code, answer.correlation_id) == (104, 3)


def test_a_large_message_is_rolled_back_whole() -> None:
    peer = transacted()
    send_large(peer, BODY)
    peer.send(p.Commit(1))
    peer.consume(credits=1500)
    peer.take_all()
    peer.send(p.Rollback(False))
    peer.send(p.FlowToken(0, -1))
    assert read_large(list(peer.take_all()))[1] == BODY


# --- temporary queues and settings ------------------------------------------------------------------------------------


def test_temporary_queues_end_with_their_connection_and_not_with_their_session(peer: Peer) -> None:
    peer.session("other", 11)
    peer.queue("temporary", 11, temporary=True, durable=False)
    peer.ask(p.SessionClose(), p.NullResponse, 11)
    assert peer.ask(p.QueueQuery("temporary"), p.QueueQueryResponse).exists
    peer.ask(p.SessionClose(), p.NullResponse)
    peer.connection.connection_lost()
    assert peer.world.post.find("temporary") is None
    assert peer.world.post.find("q") is not None


def test_temporary_queues_move_with_the_connection_that_replaces_theirs(peer: Peer) -> None:
    peer.session("other", 11)
    peer.queue("temporary", 11, temporary=True, durable=False)
    peer.ask(p.SessionClose(), p.NullResponse, 11)
    peer.connection.connection_lost()
    again = peer.world.connect()
    again.send(p.ReattachSession("session", 0), 1)
    assert peer.world.post.find("temporary") is not None
    again.ask(p.SessionClose(), p.NullResponse)
    again.connection.connection_lost()
    assert peer.world.post.find("temporary") is None


def test_a_failed_client_used_up_an_attempt() -> None:
    settings = {"q": AddressSettings(max_delivery_attempts=2, dead_letter_address="dead")}
    world = World(BrokerConfiguration(settings=settings))
    for attempt in (1, 2):
        peer = world.connect()
        peer.session(f"session-{attempt}")
        if attempt == 1:
            peer.queue()
            peer.queue("dead")
            put(peer, 1)
        peer.consume()
        assert [message.delivery_count for message in peer.messages()] == [attempt]
        world.server.fail(peer.connection)
    last = world.connect()
    last.session()
    last.consume("dead")
    assert last.bodies() == [b"0"]
