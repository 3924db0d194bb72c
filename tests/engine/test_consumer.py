"""Deliveries, credits and acknowledgements of one consumer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.engine.buffer_bounds import ByBytes
from activeclient.engine.consumer import SLACK
from activeclient.engine.session_life import BARRIER_QUEUE
from activeclient.errors import ConnectionLost, RemoteProtocolError
from activeclient.events import ConsumerLost, LargeMessageDamaged, StaleAcknowledgement
from activeclient.wire import packets as p
from activeclient.wire.message import FORCED_DELIVERY, CoreMessage
from tests.engine.peer import Peer

DEFINED = p.QueueQueryResponse(True, durable=True, name="q", address="q")


def ids(messages):
    return [message.message_id for message in messages]


def credits(packets):
    return [packet.credits for packet in packets if isinstance(packet, p.FlowToken)]


def acks(packets):
    """(kind, message id) of what was acknowledged."""
    return [
        ("up to" if isinstance(packet, p.Acknowledge) else "one", packet.message_id)
        for packet in packets
        if isinstance(packet, (p.Acknowledge, p.IndividualAcknowledge))
    ]


def consuming(messages=0, *, session=None, **options):
    """A peer and a consumer to which messages 1 to `messages` were delivered; what was written so far is dropped."""
    peer = Peer().begin(**(session or {}))
    consumer = peer.consume(**options)
    for number in range(1, messages + 1):
        peer.bytes(peer.delivery(number))
    peer.sent()
    return peer, consumer


def wrote(peer):
    peer.serve()
    return peer.sent()


def large(peer, consumer, message_id, body, *, pieces=None, size=None):
    """Frames of a large message: header and (all or the given) pieces."""
    message = CoreMessage(address="q", message_id=message_id)
    size = len(body) if size is None else size
    yield p.ReceiveLarge(consumer.id, 1, size, message)
    chunks = [body[at : at + 10] for at in range(0, len(body), 10)]
    for number, chunk in enumerate(chunks[:pieces]):
        yield p.ReceiveContinuation(chunk, number < len(chunks) - 1, consumer.id)


def read(consumer_message):
    out = b""
    while (taken := consumer_message.stream.take()) is not None:
        out += taken[0]
    return out


# --- credits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "granted"), [(1000, [1000]), (-1, [-1]), (0, [])])
def test_a_new_consumer_grants_its_window(window, granted):
    peer = Peer().begin()
    session = peer.session
    consumer = peer.consume(window=window)
    peer.frames = []
    consumer.grant_window()
    assert credits(wrote(peer)) == granted
    assert session.consumers[consumer.id] is consumer


@given(st.integers(1, 4000), st.lists(st.tuples(st.booleans(), st.integers(0, 700)), max_size=40))
def test_what_the_server_may_send_is_never_more_than_the_window(window, steps):
    peer, consumer = consuming(window=window)
    allowed, number, waiting = window, 0, 0
    for deliver, size in steps:
        if deliver and allowed > 0:
            number += 1
            frame = peer.delivery(number, body=b"x" * size)
            allowed -= len(frame)
            waiting += len(frame)
            allowed += sum(credits(peer.say(frame)))
        elif not deliver and (message := consumer.take()) is not None:
            waiting -= message.frame_size
            allowed += sum(credits(wrote(peer)))
        assert allowed + waiting <= window
        if not waiting:
            assert allowed > 0, "nothing is left to consume, and nothing more may come"
    assert consumer.held == waiting


def test_an_unlimited_consumer_never_grants_again():
    peer, consumer = consuming(20, window=-1)
    while consumer.take() is not None:
        pass
    assert credits(wrote(peer)) == []


def test_without_prefetch_each_message_is_asked_for_by_itself():
    peer, consumer = consuming(window=0)
    consumer.ask_for_one()
    consumer.ask_for_one()
    assert credits(wrote(peer)) == [1]
    frame = peer.delivery(1)
    assert peer.say(frame) == []
    assert consumer.take().message_id == 1
    assert credits(wrote(peer)) == []
    consumer.ask_for_one()
    assert credits(wrote(peer)) == [len(frame)]  # what the message overdrew, so that 1 is left


def test_without_prefetch_a_grant_for_which_nothing_came_is_taken_back():
    peer, consumer = consuming(window=0)
    assert consumer.withdraw() is None
    consumer.ask_for_one()
    wrote(peer)
    withdrawn = consumer.withdraw()
    assert consumer.withdraw() is None
    written = wrote(peer)
    assert credits(written) == [0]
    assert [packet.sequence for packet in written if isinstance(packet, p.ForceDelivery)] == [withdrawn]
    peer.say(marker(peer, withdrawn))
    consumer.ask_for_one()
    assert credits(wrote(peer)) == [1]


def test_without_prefetch_a_message_that_crosses_the_withdrawal_leaves_no_doubt_about_the_grants():
    peer, consumer = consuming(window=0)
    consumer.ask_for_one()
    withdrawn = consumer.withdraw()
    wrote(peer)
    peer.say(peer.delivery(1))
    consumer.ask_for_one()  # before the marker came: the server may charge the message yet
    assert credits(wrote(peer)) == [0, 1]
    peer.say(peer.delivery(2))
    peer.say(marker(peer, withdrawn))
    assert [consumer.take().message_id for _ in range(2)] == [1, 2]
    consumer.ask_for_one()
    assert credits(wrote(peer)) == [0, 1]
    frame = peer.delivery(3)
    peer.say(frame)
    consumer.ask_for_one()
    assert credits(wrote(peer)) == [len(frame)]


def test_without_prefetch_a_withdrawn_grant_is_not_repeated_after_a_recreation():
    peer, consumer = consuming(window=0)
    consumer.ask_for_one()
    consumer.withdraw()
    peer.recreate()
    assert credits(peer.say(peer.confirm(), DEFINED)) == []


def test_without_prefetch_a_recreated_session_is_asked_again_for_whom_waits():
    peer, consumer = consuming(window=0)
    consumer.ask_for_one()
    peer.recreate()
    assert credits(peer.say(peer.confirm(), DEFINED)) == [1]


def test_a_full_command_buffer_holds_grants_back_until_it_has_room():
    peer, consumer = consuming(2, window=200)
    while not peer.session.buffer.full:
        peer.send(b"x" * 20_000)
    peer.sent()
    consumer.take()
    consumer.take()
    assert credits(wrote(peer)) == []
    assert credits(peer.say(peer.confirm())) == [sum(len(peer.delivery(number)) for number in (1, 2))]


def test_a_server_that_heeds_no_credits_loses_its_link():
    peer, consumer = consuming(window=1000)
    big = b"x" * 300_000
    for number in range(1, 20):
        peer.bytes(peer.delivery(number, body=big))
        if peer.aborts:
            break
    assert "without credits" in str(peer.aborts[-1])
    assert isinstance(peer.aborts[-1], RemoteProtocolError)
    assert consumer.held <= 2000 + SLACK + len(big) + 1000


def test_large_bodies_are_limited_too():
    peer, consumer = consuming(window=1000)
    peer.say(*large(peer, consumer, 1, b"", size=100_000_000))
    for _ in range(10):
        peer.bytes(peer.frame(p.ReceiveContinuation(b"x" * 300_000, True, consumer.id)))
        if peer.aborts:
            break
    assert "without credits" in str(peer.aborts[-1])


# --- deliveries -------------------------------------------------------------------------------------------------------


def test_deliveries_are_taken_in_their_order():
    _, consumer = consuming(3)
    assert [consumer.take().message_id for _ in range(3)] == [1, 2, 3]
    assert consumer.take() is None


def test_the_marker_of_a_forced_delivery_is_no_message():
    peer, consumer = consuming()
    assert consumer.force_delivery() == 1
    assert [packet.sequence for packet in wrote(peer) if isinstance(packet, p.ForceDelivery)] == [1]
    peer.say(peer.delivery(7, count=0), peer.delivery(0, count=0, properties={FORCED_DELIVERY: 1}))
    assert ids(consumer.buffer) == [7]  # a browser's messages have count 0, too
    assert consumer.forced_seen == 1


def test_a_new_session_is_asked_for_its_marker_when_it_delivers_not_before():
    """Else the marker would say that there is nothing."""
    peer, consumer = consuming()
    peer.session.started = True
    consumer.force_delivery()
    peer.recreate()
    out = [type(packet) for packet in peer.say(peer.confirm(), DEFINED)]
    assert out.index(p.SessionStart) < out.index(p.ForceDelivery)


def test_behind_a_body_it_is_known_that_the_next_marker_may_come_too_early():
    peer, consumer = consuming(1)
    assert not consumer.body_came
    came = list(large(peer, consumer, 2, bytes(95)))
    peer.say(*came[:3])
    consumer.force_delivery()
    assert consumer.body_came, "it is still coming in"
    peer.say(*came[3:])
    consumer.force_delivery()
    assert not consumer.body_came


def test_a_delivery_for_a_consumer_that_is_gone_is_ignored_and_counted():
    peer, _ = consuming()
    before = peer.session.received
    peer.say(peer.delivery(1, consumer=99))
    assert peer.session.received == before + 1
    assert peer.aborts == []


def test_a_listener_is_woken_once_for_a_burst():
    peer, consumer = consuming()
    consumer.has_listener = True
    peer.engine.receive_data(peer.delivery(1) + peer.delivery(2), peer.now)
    assert [type(event).__name__ for event in peer.engine.events] == ["Work"]


def test_a_delivery_that_is_too_short_ends_the_link():
    peer, _ = consuming()
    peer.bytes(b"\0\0\0\x0a\x4b" + peer.session.channel_id.to_bytes(8, "big") + b"\0")
    assert "too short" in str(peer.aborts[-1])


# --- acknowledging ----------------------------------------------------------------------------------------------------


def test_acknowledgements_gather_until_the_batch_is_full():
    size = len(Peer().begin().delivery(1))
    peer, consumer = consuming(5, window=-1, ack_batch=2 * size)
    for expected in ([], [("up to", 2)], [], [("up to", 4)], []):
        assert consumer.acknowledge(consumer.take())
        assert acks(wrote(peer)) == expected
    consumer.flush_acknowledgements()
    assert acks(wrote(peer)) == [("up to", 5)]
    consumer.flush_acknowledgements()
    assert wrote(peer) == []


def test_an_individual_acknowledgement_goes_at_once_and_leaves_the_others():
    peer, consumer = consuming(3, window=-1)
    messages = [consumer.take() for _ in range(3)]
    assert consumer.individual_acknowledge(messages[1])
    assert acks(wrote(peer)) == [("one", 2)]
    assert [entry[0] for entry in consumer.taken] == [1, 3]
    assert consumer.acknowledge(messages[2])
    assert not consumer.taken


def test_an_acknowledgement_while_detached_is_replayed():
    peer, consumer = consuming(1)
    message = consumer.take()
    peer.lose()
    consumer.acknowledge(message)
    assert acks(peer.back(last=-1 + peer.session.buffer.first)) == [("up to", 1)]


def test_a_message_of_an_earlier_session_is_never_acknowledged_in_the_new_one():
    peer, consumer = consuming(2)
    message, other = consumer.take(), consumer.take()
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    assert not consumer.acknowledge(message)
    assert not consumer.individual_acknowledge(other)
    assert acks(wrote(peer)) == []
    assert len(peer.told(StaleAcknowledgement)) == 2


def test_a_late_acknowledgement_settles_the_next_delivery_of_its_message():
    peer, consumer = consuming(2)
    message = consumer.take()
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    consumer.acknowledge(message)
    assert acks(peer.say(peer.delivery(1, count=2), peer.delivery(2, count=2))) == [("one", 1)]
    assert consumer.take().message_id == 2


def test_a_late_acknowledgement_settles_a_delivery_that_waits_already():
    peer, consumer = consuming(2)
    message = consumer.take()
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    peer.say(peer.delivery(1, count=2), peer.delivery(2, count=2))
    consumer.acknowledge(message)
    assert acks(wrote(peer)) == [("one", 1)]
    assert consumer.take().message_id == 2


def test_work_for_a_stale_message_makes_its_transaction_roll_back():
    peer, consumer = consuming(1, session={"auto_commit_acks": False, "auto_commit_sends": False})
    message = consumer.take()
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    assert not peer.session.transaction.rollback_only
    consumer.acknowledge(message)
    assert peer.session.transaction.rollback_only


def test_what_lay_in_the_buffer_of_a_lost_session_is_dropped():
    peer, consumer = consuming(3)
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    assert consumer.take() is None
    assert consumer.held == 0
    peer.say(peer.delivery(1, count=2))
    assert consumer.take().message_id == 1


def test_a_batch_that_was_not_sent_is_forgotten_with_its_session():
    peer, consumer = consuming(1, ack_batch=10**6)
    consumer.acknowledge(consumer.take())
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    consumer.flush_acknowledgements()
    assert acks(wrote(peer)) == []


def test_a_browser_holds_nothing():
    _, consumer = consuming(2, browse_only=True)
    consumer.take()
    assert not consumer.taken


def test_a_rollback_drops_everything_and_grants_its_bytes_again():
    peer, consumer = consuming(4, window=400)
    consumer.take()
    consumer.rolled_back()
    assert not consumer.buffer
    assert consumer.held == 0
    assert not consumer.taken
    total = sum(len(peer.delivery(number)) for number in range(1, 5))
    assert sum(credits(wrote(peer))) + consumer.credits == total


# --- large messages ---------------------------------------------------------------------------------------------------


def cost(peer, packets):
    """The bytes of credits that these deliveries take."""
    return sum(len(peer.frame(packet)) for packet in packets)


def test_a_rollback_ends_the_body_that_streams_in_and_grants_what_lay_there():
    peer, consumer = consuming(window=1000)
    came = list(large(peer, consumer, 1, bytes(95), pieces=4))
    granted = credits(peer.say(*came))
    message = consumer.take()
    consumer.rolled_back()
    assert "rolled back" in str(message.stream.error)
    assert message.stream.take() is None
    assert sum(granted + credits(wrote(peer))) + consumer.credits == cost(peer, came)


@pytest.mark.parametrize("window", [1000, 90, -1])
@pytest.mark.parametrize("pieces", [None, 4], ids=["whole", "streaming"])
@pytest.mark.parametrize("by", ["asking", "taking", "acknowledging"])
def test_a_body_that_is_not_read_keeps_no_part_of_the_window(by, pieces, window):
    peer, consumer = consuming(window=window)
    deliveries = list(large(peer, consumer, 1, bytes(95)))
    first, rest = (deliveries, []) if pieces is None else (deliveries[: pieces + 1], deliveries[pieces + 1 :])
    granted = credits(peer.say(*first))
    message = consumer.take()
    if by == "asking":
        consumer.reading.go_on()
    elif by == "taking":
        granted += credits(peer.say(*rest, peer.delivery(2)))
        rest = []
        assert consumer.take().message_id == 2
    else:
        consumer.acknowledge(message)
    granted += credits(wrote(peer)) + credits(peer.say(*rest))
    taken = cost(peer, deliveries) + (len(peer.delivery(2)) if by == "taking" else 0)
    assert window < 0 or sum(granted) + consumer.credits == taken
    later = list(iter(message.stream.take, None))
    kept = pieces is None or by == "taking" or (by == "asking" and window != 90)
    assert b"".join(piece for piece, _ in later) == (bytes(95) if kept else b"")
    assert sum(size for _, size in later) == 0, "it was granted before"


def test_a_streaming_body_is_read_while_it_comes_and_returns_its_credits():
    peer, consumer = consuming(window=-1)
    body = bytes(range(95))
    peer.say(*large(peer, consumer, 1, body, pieces=4))
    message = consumer.take()
    assert read(message) == body[:40]
    for at in range(40, 95, 10):
        peer.say(p.ReceiveContinuation(body[at : at + 10], at < 90, consumer.id))
    assert read(message) == body[40:]
    assert message.stream.complete
    assert consumer.large is None


def test_who_goes_on_to_the_next_message_drops_the_rest_of_the_body():
    peer, consumer = consuming(window=-1)
    peer.say(*large(peer, consumer, 1, bytes(95), pieces=4))
    message = consumer.take()
    assert consumer.take() is None
    peer.say(p.ReceiveContinuation(bytes(55), False, consumer.id), peer.delivery(2))
    assert consumer.take().message_id == 2
    assert message.stream.complete


def cut_while_streaming(*, renewed=True):
    """Message 1 is taken and held, 2 streams and is taken, 3 waits; a replay damages 2; the consumer is renewed."""
    peer, consumer = consuming(1, window=-1)
    first = consumer.take()
    body = bytes(range(95))
    peer.say(*large(peer, consumer, 2, body, pieces=4))
    second = consumer.take()
    assert read(second) == body[:40]
    peer.lose()
    peer.connect()
    channel = peer.session.channel_id
    out = peer.say(p.ReceiveContinuation(b"?" * 10, True, consumer.id), channel=channel)
    last = peer.session.buffer.next_id - 1
    out = peer.say(p.ReattachSessionResponse(last, True))
    out = peer.say(p.NullResponse())
    assert [type(packet) for packet in out] == [p.ConsumerClose]
    assert len(peer.told(LargeMessageDamaged)) == 1
    assert consumer.ignoring
    peer.say(peer.delivery(3))  # what the old one still sends is not looked at
    assert not consumer.buffer
    if renewed:
        out = peer.say(peer.confirm())
        assert [type(packet) for packet in out] == [p.CreateConsumer]
        out = peer.say(peer.confirm(), DEFINED)
        assert credits(out) == [-1]
    return peer, consumer, first, second, body


def test_a_body_that_a_replay_damaged_goes_on_behind_what_was_read():
    peer, consumer, _, second, body = cut_while_streaming()
    peer.say(peer.delivery(1, count=2), *large(peer, consumer, 2, body), peer.delivery(3))
    assert read(second) == body[40:]
    assert second.stream.complete
    assert second.stream.error is None
    assert consumer.take().message_id == 3  # neither 1 nor 2 is given a second time
    assert [entry[0] for entry in consumer.taken] == [1, 2, 3]


def test_what_is_acknowledged_before_it_is_back_is_acknowledged_when_it_comes():
    peer, consumer, first, second, body = cut_while_streaming()
    assert not consumer.acknowledge(first)
    assert acks(wrote(peer)) == []
    assert acks(peer.say(peer.delivery(1, count=2))) == [("one", 1)]
    peer.say(*large(peer, consumer, 2, body))
    assert read(second) == body[40:]
    consumer.acknowledge(second)
    assert acks(wrote(peer)) == [("one", 2)]
    assert not consumer.absorbing
    assert not consumer.taken


def test_a_cumulative_acknowledgement_covers_what_is_back_and_what_is_not():
    peer, consumer, _, second, body = cut_while_streaming()
    peer.say(peer.delivery(1, count=2))
    consumer.acknowledge(second)
    assert acks(wrote(peer)) == [("one", 1)]
    assert acks(peer.say(*large(peer, consumer, 2, body))) == [("one", 2)]


def test_an_individual_acknowledgement_covers_one():
    peer, consumer, first, second, body = cut_while_streaming()
    consumer.individual_acknowledge(second)
    peer.say(peer.delivery(1, count=2))
    assert acks(peer.say(*large(peer, consumer, 2, body))) == [("one", 2)]
    consumer.individual_acknowledge(first)
    assert acks(wrote(peer)) == [("one", 1)]


def test_a_body_that_nobody_reads_any_more_is_swallowed_when_it_comes_again():
    peer, consumer, _, second, body = cut_while_streaming()
    second.stream.discard()
    peer.say(peer.delivery(1, count=2), *large(peer, consumer, 2, body), peer.delivery(3))
    assert read(second) == b""
    assert consumer.take().message_id == 3


def test_a_renewal_that_is_refused_ends_the_consumer():
    peer, consumer, *_ = cut_while_streaming(renewed=False)
    peer.say(peer.confirm())
    peer.say(p.ExceptionResponse(100, "deleted"))
    assert consumer.closed
    assert len(peer.told(ConsumerLost)) == 1


def test_a_recreation_in_the_midst_of_a_renewal_makes_the_consumer_once():
    peer, consumer, first, *_ = cut_while_streaming(renewed=False)
    out = peer.recreate()
    assert [type(packet) for packet in out] == [p.CreateConsumer]
    out = peer.say(peer.confirm(), DEFINED)
    assert [type(packet) for packet in out] == [p.FlowToken, p.QueueQuery]
    assert out[1].queue_name == BARRIER_QUEUE
    assert not consumer.refreshing
    assert not consumer.absorbing
    assert not consumer.acknowledge(first)


def test_the_second_step_of_a_renewal_that_waits_for_room_is_over_with_its_session():
    peer, consumer, *_ = cut_while_streaming(renewed=False)
    buffer = peer.session.buffer
    close = buffer.next_id - 1
    buffer.bind(ByBytes(50))
    peer.send(b"x" * 100, duplicate_id=b"d")
    peer.sent()
    assert peer.say(peer.confirm(close)) == []  # no room for the CreateConsumer
    buffer.bind(ByBytes(100_000))
    out = peer.recreate()
    assert [type(packet) for packet in out] == [p.CreateConsumer]
    out = peer.say(peer.confirm(), DEFINED)
    assert p.CreateConsumer not in map(type, out)
    assert consumer.id in peer.session.consumers


@pytest.mark.parametrize("reached", [True, False])
def test_a_consumer_that_is_closed_amid_its_renewal_is_not_made_in_a_new_session(reached):
    """As its user closes it: it is forgotten at once, and closed on the server when its turn comes."""
    peer, consumer, *_ = cut_while_streaming(renewed=False)
    if reached:
        peer.say(peer.confirm())  # the CreateConsumer is on its way
    consumer.closed = True
    peer.session.consumers.pop(consumer.id)
    close = peer.request(p.ConsumerClose(consumer.id))
    out = peer.recreate()
    assert not {p.CreateConsumer, p.FlowToken} & set(map(type, out))
    assert close.done


def test_a_body_that_streams_when_its_session_is_lost_ends_with_an_error():
    peer, consumer = consuming(window=-1)
    peer.say(*large(peer, consumer, 1, bytes(95), pieces=4))
    message = consumer.take()
    consumer.reading.fail(ConnectionLost("gone"))
    assert str(message.stream.error) == "gone"
    assert consumer.reading.message is None


def test_the_first_answer_after_a_reattachment_needs_no_renewal_without_a_damaged_body():
    peer, consumer = consuming(window=-1)
    body = bytes(range(95))
    peer.say(*large(peer, consumer, 1, body, pieces=4))
    message = consumer.take()
    out = peer.back()
    assert out == []
    for at in range(40, 95, 10):
        peer.say(p.ReceiveContinuation(body[at : at + 10], at < 90, consumer.id))
    assert read(message) == body
    assert not peer.told(LargeMessageDamaged)


# --- a body that streams when its session is lost --------------------------------------------------------------------

LOST_BODY = bytes(range(95))


def interrupted(*, window=1000, before=0, **options):
    """The application has read 20 bytes of message 10, 40 have come; its session is lost, and another one is there.

    Args:
        before: So many small messages came first; the application holds them too.
    """
    peer, consumer = consuming(before, window=window, session=options)
    for _ in range(before):
        consumer.take()
    peer.say(*large(peer, consumer, 10, LOST_BODY, pieces=4))
    message = consumer.take()
    assert b"".join(message.stream.take()[0] for _ in range(2)) == LOST_BODY[:20]
    peer.recreate()
    out = peer.say(peer.confirm(), DEFINED)
    return peer, consumer, message, out


def marker(peer, sequence=1):
    """All that the server could deliver has been delivered."""
    return peer.delivery(0, count=0, properties={FORCED_DELIVERY: sequence})


@pytest.mark.parametrize("window", [1000, -1, 0])
def test_a_body_goes_on_when_a_new_session_delivers_it_again(window):
    peer, consumer, message, out = interrupted(window=window)
    assert not message.stream.ready
    granted = credits(out)
    assert granted == [window or 1]
    assert [packet.sequence for packet in out if isinstance(packet, p.ForceDelivery)] == [1]
    again = list(large(peer, consumer, 10, LOST_BODY))
    granted += credits(peer.say(*again, marker(peer)))
    rest = b""
    while (taken := message.stream.take()) is not None:
        rest += taken[0]
        consumer.consumed(taken[1])
    assert LOST_BODY[:20] + rest == LOST_BODY
    assert message.stream.read
    granted += credits(wrote(peer))
    if window > 0:
        assert sum(granted) + consumer.credits == window + cost(peer, again), "nothing of the old session is granted"
    assert consumer.take() is None
    assert consumer.acknowledge(message)
    assert acks(wrote(peer)) == [("up to", 10)]


def test_a_body_goes_on_over_any_number_of_recreations():
    peer, consumer, message, _ = interrupted()
    for pieces in (None, 0, 3, 5):
        if pieces is not None:
            peer.say(*large(peer, consumer, 10, LOST_BODY, pieces=pieces))
        peer.recreate()
        peer.say(peer.confirm(), DEFINED)
        assert len(consumer.taken) == 0
    peer.say(*large(peer, consumer, 10, LOST_BODY))
    assert read(message) == LOST_BODY[20:]
    assert not peer.told(StaleAcknowledgement)


def test_a_body_that_nobody_delivers_again_ends_with_an_error():
    peer, consumer, message, _ = interrupted()
    peer.say(marker(peer))
    assert "its session was lost" in str(message.stream.error)
    assert message.stream.ready
    peer.say(*large(peer, consumer, 10, LOST_BODY))  # later: a message like any other
    assert ids(consumer.buffer) == [10]
    assert consumer.take() is not message


def test_an_older_marker_says_nothing_of_what_resumes():
    peer, consumer = consuming()
    peer.say(*large(peer, consumer, 10, LOST_BODY, pieces=4))
    message = consumer.take()
    asked = consumer.force_delivery()
    peer.recreate()
    out = peer.say(peer.confirm(), DEFINED)
    assert [packet.sequence for packet in out if isinstance(packet, p.ForceDelivery)] == [asked + 1]
    peer.say(marker(peer, asked), *large(peer, consumer, 10, LOST_BODY), marker(peer, asked + 1))
    assert read(message) == LOST_BODY
    assert consumer.forced_seen == asked + 1


def test_a_body_does_not_go_on_behind_another_message():
    """Its acknowledgement would cover that one as well."""
    peer, consumer, message, _ = interrupted()
    peer.say(peer.delivery(5), *large(peer, consumer, 10, LOST_BODY))
    assert message.stream.error is not None
    assert ids(consumer.buffer) == [5, 10]


def test_a_body_does_not_go_on_with_that_of_another_message():
    peer, consumer, message, _ = interrupted()
    peer.say(*large(peer, consumer, 10, LOST_BODY[:-1]))
    assert message.stream.error is not None
    assert ids(consumer.buffer) == [10]


@pytest.mark.parametrize("options", [{"before": 1}, {"auto_commit_acks": False}], ids=["holds another", "transacted"])
def test_a_body_whose_message_has_to_come_again_as_one_ends_at_once(options):
    peer, consumer, message, _ = interrupted(**options)
    assert message.stream.error is not None
    peer.say(*large(peer, consumer, 10, LOST_BODY))
    assert ids(consumer.buffer) == [10]


@pytest.mark.parametrize("way", ["put back", "taken another"])
def test_a_body_that_nobody_waits_for_comes_again_as_a_message(way):
    peer, consumer, message, _ = interrupted()
    if way == "put back":
        consumer.put_back(message)
    else:
        peer.say(peer.delivery(5))
        assert consumer.take().message_id == 5
    assert message.stream.discarded
    peer.say(*large(peer, consumer, 10, LOST_BODY), marker(peer))
    assert read(consumer.take()) == LOST_BODY


@pytest.mark.parametrize("window", [1000, 90])
def test_who_asks_for_the_next_message_meanwhile_keeps_a_body_that_fits(window):
    peer, consumer, message, _ = interrupted(window=window)
    consumer.reading.go_on()
    peer.say(*large(peer, consumer, 10, LOST_BODY), peer.delivery(11))
    if window == 90:
        assert read(consumer.take()) == LOST_BODY
    assert consumer.take().message_id == 11
    assert read(message) == (LOST_BODY[20:] if window == 1000 else b"")


def test_a_body_of_unknown_size_does_not_fit_into_a_window():
    peer, consumer = consuming(window=1000)
    peer.say(*large(peer, consumer, 1, LOST_BODY, pieces=4, size=-1))
    message = consumer.take()
    consumer.reading.go_on()
    assert message.stream.discarded


def test_a_message_that_is_acknowledged_before_its_body_goes_on_is_not_seen_again():
    peer, consumer, message, _ = interrupted()
    assert not consumer.acknowledge(message)
    assert acks(wrote(peer)) == []
    assert len(peer.told(StaleAcknowledgement)) == 1
    out = peer.say(*large(peer, consumer, 10, LOST_BODY), marker(peer))
    assert acks(out) == [("one", 10)]
    assert consumer.take() is None
    assert message.stream.discarded


def test_a_closed_consumer_ends_the_body_that_would_go_on():
    _, consumer, message, _ = interrupted()
    consumer.reading.fail(ConnectionLost("gone"))
    assert str(message.stream.error) == "gone"
    assert not consumer.reading.resuming


def test_a_body_that_a_replay_damaged_goes_on_in_a_new_session_too():
    peer, consumer = consuming(window=-1)
    peer.say(*large(peer, consumer, 10, LOST_BODY, pieces=2))
    message = consumer.take()
    consumer.refresh()
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    peer.say(*large(peer, consumer, 10, LOST_BODY))
    assert read(message) == LOST_BODY


def test_what_was_acknowledged_amid_a_renewal_is_not_seen_again_in_a_new_session():
    peer, consumer, first, second, body = cut_while_streaming()
    consumer.acknowledge(second)
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    out = peer.say(peer.delivery(1, count=2), *large(peer, consumer, 2, body), peer.delivery(3))
    assert acks(out) == [("one", 1), ("one", 2)]
    assert ids(consumer.buffer) == [3]
    assert first.message_id == 1


# --- what comes again although it was acknowledged -------------------------------------------------------------------


def acknowledged_and_lost(way):
    """Message 1 was acknowledged, its acknowledgement lost with the session."""
    peer, consumer = consuming(1, window=-1)
    if way == "one":
        consumer.individual_acknowledge(consumer.take())
    else:
        consumer.acknowledge(consumer.take())
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    return peer, consumer


@pytest.mark.parametrize("way", ["one", "up to"])
def test_a_message_that_was_acknowledged_is_acknowledged_again_and_not_seen_twice(way):
    peer, consumer = acknowledged_and_lost(way)
    assert acks(peer.say(peer.delivery(1, count=2))) == [("one", 1)]
    assert consumer.take() is None
    peer.say(peer.delivery(1, count=2))  # somebody put it there once more: that is a message
    assert consumer.take().message_id == 1


def test_a_large_message_that_was_acknowledged_is_not_seen_twice_either():
    peer, consumer = consuming(window=1000)
    body = bytes(95)
    peer.say(*large(peer, consumer, 1, body))
    message = consumer.take()
    assert read(message) == body
    consumer.acknowledge(message)
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    out = peer.say(*large(peer, consumer, 1, body), *large(peer, consumer, 2, body, size=96))
    assert acks(out) == [("one", 1)]
    assert ids(consumer.buffer) == [2]


def test_a_large_message_that_is_acknowledged_after_it_came_again_leaves_the_buffer():
    peer, consumer = consuming(window=-1)
    body = bytes(95)
    peer.say(*large(peer, consumer, 1, body))
    message = consumer.take()
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    peer.say(*large(peer, consumer, 1, body))
    consumer.acknowledge(message)
    assert acks(wrote(peer)) == [("one", 1)]
    assert consumer.take() is None
    assert consumer.held == 0


def test_another_large_message_with_the_same_id_is_seen():
    peer, consumer = consuming(window=-1)
    peer.say(*large(peer, consumer, 1, bytes(95)))
    consumer.acknowledge(consumer.take())
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    peer.say(*large(peer, consumer, 1, bytes(94)))
    assert ids(consumer.buffer) == [1]


def test_another_message_with_the_same_id_is_seen():
    peer, consumer = acknowledged_and_lost("up to")
    peer.say(peer.delivery(1, timestamp=5))
    assert consumer.take().message_id == 1


@pytest.mark.parametrize("way", ["one", "up to"])
def test_a_message_whose_acknowledgement_was_confirmed_is_seen_when_it_comes_again(way):
    peer, consumer = consuming(2, window=-1)
    for _ in range(2):
        if way == "one":
            consumer.individual_acknowledge(consumer.take())
        else:
            consumer.acknowledge(consumer.take())
    peer.say(p.PacketsConfirmed(peer.session.buffer.next_id - 2))
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    peer.say(peer.delivery(1, count=2), peer.delivery(2, count=2))
    assert ids(consumer.buffer) == [1]


def test_in_a_transaction_everything_comes_again():
    peer, consumer = consuming(1, window=-1, session={"auto_commit_acks": False, "auto_commit_sends": False})
    consumer.acknowledge(consumer.take())
    peer.recreate()
    peer.say(peer.confirm(), DEFINED)
    peer.say(peer.delivery(1, count=2))
    assert consumer.take().message_id == 1


# --- put back, and acknowledged before -------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1000, -1, 0])
def test_what_is_put_back_is_the_next_again_and_costs_its_credits_once(window):
    peer, consumer = consuming(2, window=window)
    first = consumer.take()
    for _ in range(20):
        consumer.put_back(first)
        assert consumer.take() is first
    assert consumer.acknowledge(first)
    assert consumer.take().message_id == 2
    assert acks(wrote(peer)) == [("up to", 1)]
    assert consumer.held == 0


def test_credits_do_not_grow_by_putting_back():
    peer, consumer = consuming(1, window=1000)
    size = consumer.buffer[0].frame_size
    first = consumer.take()
    for _ in range(50):
        consumer.put_back(first)
        first = consumer.take()
    assert sum(credits(wrote(peer))) + consumer.credits == size


def test_what_a_lost_session_delivered_cannot_be_put_back():
    _, consumer = consuming(1)
    first = consumer.take()
    consumer.session.epoch += 1
    consumer.new_generation()
    consumer.put_back(first)
    assert not consumer.buffer


def test_a_closed_consumer_takes_nothing_back():
    _, consumer = consuming(1)
    first = consumer.take()
    consumer.closed = True
    consumer.put_back(first)
    assert not consumer.buffer


@pytest.mark.parametrize("how", ["acknowledge", "individual_acknowledge"])
def test_what_the_server_acknowledged_before_it_delivered_is_not_acknowledged_again(how):
    peer, consumer = consuming(1, session={"pre_acknowledge": True, "auto_commit_acks": False})
    first = consumer.take()
    assert getattr(consumer, how)(first) is False
    consumer.flush_acknowledgements()
    assert acks(wrote(peer)) == []
    assert not consumer.session.transacted_acks


@pytest.mark.parametrize("how", ["acknowledge", "individual_acknowledge"])
def test_acknowledging_a_second_time_settles_nothing_that_was_taken_since(how):
    peer, consumer = consuming(3)
    first, second = consumer.take(), consumer.take()
    assert consumer.acknowledge(second)
    third = consumer.take()
    for message in (first, second):
        assert getattr(consumer, how)(message) is False
    assert [entry[0] for entry in consumer.taken] == [third.message_id]
    consumer.acknowledged.session_lost()
    assert not consumer.acknowledged.comes_again(third)
    consumer.flush_acknowledgements()
    assert {message_id for _, message_id in acks(wrote(peer))} == {2}
