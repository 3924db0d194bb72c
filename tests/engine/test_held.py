"""What the application holds when its session is lost, in CLIENT and INDIVIDUAL mode, frame by frame."""

from __future__ import annotations

import pytest

from activeclient.engine.gate import SHORTEST_REST, STORAGE_REST
from activeclient.engine.held import PATIENCE
from activeclient.engine.session import State
from activeclient.errors import OutcomeUnknown, TransactionRolledBackError
from activeclient.events import SessionRecreated, StaleAcknowledgement
from activeclient.wire import packets as p
from activeclient.wire.message import FORCED_DELIVERY, CoreMessage, encode_receive
from tests.engine.peer import Peer

DEFINED = p.QueueQueryResponse(True, durable=True, name="q", address="q")


def holding(messages=3, *, consumers=1, **options):
    """A peer whose application holds messages 1 to `messages` of the first of its consumers; the consumers."""
    peer = Peer().begin(window=-1, auto_commit_acks=False)
    made = [peer.consume(**options) for _ in range(consumers)]
    peer.session.started = True
    for number in range(1, messages + 1):
        peer.bytes(peer.delivery(number, made[0].id))
    held = [made[0].take() for _ in range(messages)]
    peer.sent()
    return peer, made, held


def acknowledge(peer, *messages, individual=False):
    """As a message's `acknowledge()`: the commit."""
    for message in messages:
        peer.session.transaction.acked()
        if individual:
            message.origin.consumer.individual_acknowledge(message)
        else:
            message.origin.consumer.acknowledge(message)
    return peer.request(p.Commit(0), correlated=True)


def rebuild(peer):
    """Lose the session, and have it made anew with its consumers; what was written when it stood."""
    out = peer.recreate()
    while not peer.session.usable:
        own = DEFINED if isinstance(out[-1], p.CreateConsumer) else p.NullResponse(-1)
        out = peer.say(own)
    return out


def deliver(peer, *numbers, consumer=0, count=2):
    """Deliveries again; what was written."""
    return peer.say(*(peer.delivery(number, consumer, count=count) for number in numbers))


def marker(peer, consumer=0):
    """The server has delivered all that it can; what was written."""
    sequence = peer.session.consumers[consumer].forced_asked
    marked = CoreMessage(b"\0\0\0\0", properties={FORCED_DELIVERY: sequence})
    return peer.say(encode_receive(marked, consumer, 0, peer.session.channel_id))


def alone(out):
    """Ids of what was acknowledged one by one."""
    return [packet.message_id for packet in out if isinstance(packet, p.IndividualAcknowledge)]


def kinds(out):
    return [type(packet) for packet in out]


# --- acknowledged after the loss --------------------------------------------------------------------------------------


def test_what_is_held_is_not_handed_out_again_and_is_acknowledged_when_the_application_does():
    peer, (consumer,), held = holding()
    rebuild(peer)
    assert deliver(peer, 1, 2, 3, 4) == []
    assert consumer.take().message_id == 4
    assert consumer.take() is None
    request = acknowledge(peer, held[2])
    out = peer.sent()
    assert alone(out) == [1, 2, 3]
    assert kinds(out)[-1] is p.Commit
    peer.say(p.NullResponse(out[-1].correlation_id))
    assert (request.done, request.error) == (True, None)
    assert not peer.told(StaleAcknowledgement)
    assert not peer.told(SessionRecreated)[0].rolled_back


def test_an_acknowledgement_of_one_message_leaves_the_others_held():
    peer, (consumer,), held = holding()
    rebuild(peer)
    deliver(peer, 1, 2, 3)
    acknowledge(peer, held[1], individual=True)
    out = peer.sent()
    assert alone(out) == [2]
    peer.say(p.NullResponse(out[-1].correlation_id))
    rebuild(peer)
    assert deliver(peer, 1, 3) == []
    assert consumer.take() is None
    acknowledge(peer, held[0], held[2], individual=True)
    assert alone(peer.sent()) == [1, 3]


@pytest.mark.parametrize("individual", [False, True])
def test_the_commit_waits_until_what_it_acknowledges_is_back(individual):
    peer, _, held = holding(2)
    rebuild(peer)
    request = acknowledge(peer, *held, individual=individual)
    assert kinds(peer.sent()) == [p.ForceDelivery]
    out = deliver(peer, 1)
    assert alone(out) == [1]
    assert p.Commit not in kinds(out)
    out = deliver(peer, 2)
    assert alone(out) == [2]
    assert isinstance(out[-1], p.Commit)
    peer.say(p.NullResponse(out[-1].correlation_id))
    assert request.error is None


def test_what_was_acknowledged_before_the_loss_is_acknowledged_again_as_it_comes():
    peer, (consumer,), held = holding()
    peer.session.transaction.acked()
    consumer.acknowledge(held[1])
    peer.serve()
    rebuild(peer)
    assert alone(deliver(peer, 1, 2, 3)) == [1, 2]
    assert consumer.take() is None
    acknowledge(peer, held[2])
    assert kinds(peer.sent()) == [p.IndividualAcknowledge, p.Commit]


def test_a_second_loss_in_between_changes_nothing():
    peer, (consumer,), held = holding()
    rebuild(peer)
    deliver(peer, 1)
    rebuild(peer)
    deliver(peer, 1, 2)
    rebuild(peer)
    acknowledge(peer, held[2])
    assert alone(deliver(peer, 1, 2, 3)) == [1, 2, 3]
    assert consumer.take() is None


def test_another_message_with_the_same_id_is_handed_out():
    """The broker was replaced: its ids begin anew."""
    peer, (consumer,), held = holding(1)
    rebuild(peer)
    peer.say(peer.delivery(1, timestamp=77))
    assert consumer.take().timestamp == 77
    request = acknowledge(peer, held[0])
    marker(peer)
    assert isinstance(request.error, TransactionRolledBackError)


def test_a_sibling_of_the_session_may_get_it_again():
    peer, (first, second), held = holding(3, consumers=2)
    rebuild(peer)
    deliver(peer, 1, 3)
    deliver(peer, 2, consumer=second.id)
    assert second.take() is None
    assert first.take() is None
    acknowledge(peer, held[1], individual=True)
    (acknowledged, _) = peer.sent()
    assert (acknowledged.consumer_id, acknowledged.message_id) == (second.id, 2)


def test_a_stopped_session_is_started_on_the_server_for_what_it_holds():
    peer, _, held = holding(1)
    peer.session.started = False
    assert p.SessionStart in kinds(rebuild(peer))
    peer.request(p.SessionStop())
    peer.say(p.NullResponse(-1))
    acknowledge(peer, held[0])
    assert kinds(peer.sent()) == [p.SessionStart, p.ForceDelivery]


def test_a_rollback_lets_everything_be_handed_out_again():
    peer, (consumer,), _ = holding(2)
    rebuild(peer)
    deliver(peer, 1)
    consumer.rolled_back()
    deliver(peer, 1, 2, count=3)
    assert [consumer.take().message_id, consumer.take().message_id] == [1, 2]


# --- a commit amid the loss -------------------------------------------------------------------------------------------


def test_a_commit_that_did_not_take_effect_is_made_again():
    peer, (consumer,), held = holding(2)
    request = acknowledge(peer, held[1])
    rebuild(peer)
    assert not request.done
    assert peer.session.state is State.ATTACHED
    out = deliver(peer, 1, 2)
    assert alone(out) == [1, 2]
    peer.say(p.NullResponse(out[-1].correlation_id))
    assert (request.done, request.error) == (True, None)
    assert consumer.take() is None


def test_a_commit_of_which_nothing_comes_again_took_effect():
    peer, (consumer,), held = holding(2)
    request = acknowledge(peer, held[1])
    out = rebuild(peer)
    assert kinds(out)[-1] is p.ForceDelivery
    deliver(peer, 3, count=1)
    assert marker(peer) == []
    assert (request.done, request.error) == (True, None)
    assert consumer.take().message_id == 3
    assert alone(deliver(peer, 1)) == [1]  # too late, and for nobody
    assert consumer.take() is None


def test_a_commit_of_which_a_part_comes_again_did_not_take_effect_and_cannot():
    peer, (consumer,), held = holding(3)
    request = acknowledge(peer, held[2])
    rebuild(peer)
    deliver(peer, 2)
    assert kinds(marker(peer)) == [p.ForceDelivery]  # something came since: once more
    marker(peer)
    assert isinstance(request.error, TransactionRolledBackError)
    assert "2 of the messages" in str(request.error)
    assert peer.session.held.partly_acknowledged
    assert consumer.take() is None


def test_what_was_found_not_to_have_taken_effect_stays_so_in_the_next_session():
    peer, _, held = holding(2)
    request = acknowledge(peer, held[1])
    rebuild(peer)
    deliver(peer, 1)
    rebuild(peer)
    marker(peer)
    assert isinstance(request.error, TransactionRolledBackError)


def test_a_commit_that_no_link_has_taken_is_sent_when_its_messages_are_back():
    peer, _, held = holding(1)
    peer.lose()
    request = acknowledge(peer, held[0])
    rebuild(peer)
    out = deliver(peer, 1)
    assert kinds(out) == [p.IndividualAcknowledge, p.Commit]
    peer.say(p.NullResponse(out[-1].correlation_id))
    assert request.error is None


def test_a_message_that_went_to_another_consumer_fails_its_own_acknowledgement_alone():
    peer, (consumer,), held = holding(2)
    rebuild(peer)
    deliver(peer, 2)
    lost = acknowledge(peer, held[0], individual=True)
    marker(peer)
    assert isinstance(lost.error, TransactionRolledBackError)
    assert not peer.session.held.partly_acknowledged
    assert not consumer.holds(held[0])
    assert consumer.holds(held[1])
    acknowledge(peer, held[1], individual=True)
    assert kinds(peer.sent()) == [p.IndividualAcknowledge, p.Commit]


def test_an_acknowledgement_that_is_waited_for_is_made_again_with_its_commit():
    peer, (consumer,), held = holding(1)
    peer.session.transaction.acked()
    assert consumer.settle_taken(held[0], cumulative=True, told=True)
    waiting = peer.request(p.Acknowledge(consumer.id, 1, True))
    rebuild(peer)
    assert (waiting.done, waiting.error) == (True, None)
    peer.request(p.Commit(0), correlated=True)
    assert kinds(peer.sent()) == [p.ForceDelivery]
    assert kinds(deliver(peer, 1)) == [p.IndividualAcknowledge, p.Commit]


# --- consumers that are closed ----------------------------------------------------------------------------------------


def close(peer, consumer):
    peer.session.close_consumer(consumer)
    peer.serve()
    peer.say(p.NullResponse(-1))


def test_another_consumer_of_the_queue_gets_again_what_a_closed_one_had_acknowledged():
    peer, (first, second), held = holding(1, consumers=2)
    peer.session.transaction.acked()
    first.acknowledge(held[0])
    close(peer, first)
    peer.sent()
    rebuild(peer)
    assert alone(deliver(peer, 1, consumer=second.id)) == [1]
    assert second.take() is None
    peer.request(p.Commit(0), correlated=True)
    assert kinds(peer.sent()) == [p.Commit]


def test_without_a_consumer_nothing_tells_what_became_of_the_commit():
    peer, (consumer,), held = holding(1)
    peer.session.transaction.acked()
    consumer.acknowledge(held[0])
    close(peer, consumer)
    request = peer.request(p.Commit(0), correlated=True)
    rebuild(peer)
    assert type(request.error) is OutcomeUnknown


def test_what_a_closed_consumer_had_acknowledged_cannot_be_committed_after_the_loss_without_another_one():
    peer, (consumer,), held = holding(1)
    peer.session.transaction.acked()
    consumer.acknowledge(held[0])
    close(peer, consumer)
    rebuild(peer)
    request = peer.request(p.Commit(0), correlated=True)
    assert isinstance(request.error, TransactionRolledBackError)


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_large_message_that_is_held_is_swallowed_with_its_body():
    peer, (consumer,), _ = holding(0)
    header = p.ReceiveLarge(consumer.id, 1, 20, CoreMessage(address="q", message_id=9))
    pieces = [p.ReceiveContinuation(b"x" * 10, True, consumer.id), p.ReceiveContinuation(b"y" * 10, False, consumer.id)]
    peer.say(header, *pieces)
    message = consumer.take()
    while message.stream.take() is not None:
        pass
    rebuild(peer)
    peer.say(header, *pieces)
    assert consumer.take() is None
    acknowledge(peer, message)
    assert kinds(peer.sent()) == [p.IndividualAcknowledge, p.Commit]


def test_a_body_that_broke_off_is_handed_out_again():
    peer, (consumer,), _ = holding(0)
    header = p.ReceiveLarge(consumer.id, 1, 20, CoreMessage(address="q", message_id=9))
    peer.say(header, p.ReceiveContinuation(b"x" * 10, True, consumer.id))
    message = consumer.take()
    rebuild(peer)
    assert message.stream.error is not None
    peer.say(header)
    assert consumer.take().message_id == 9


def test_one_that_is_too_old_when_it_is_looked_at_is_not_acknowledged():
    peer, (consumer,), held = holding(1)
    rebuild(peer)
    assert not consumer.settle_taken(held[0], cumulative=False, told=True, acknowledges=False)
    deliver(peer, 1)
    again = consumer.take()
    assert consumer.settle_taken(again, cumulative=False, told=True, acknowledges=False)
    assert not consumer.uncommitted


# --- while the transaction of the session before is rolled back -------------------------------------------------------


def gated(*, in_doubt):
    """A peer with one message acknowledged whose commit was, or was not, on its way when the session was lost."""
    peer = Peer().begin(window=-1, auto_commit_acks=False, gate=True)
    peer.say(p.NullResponse(-1))
    consumer = peer.consume()
    peer.session.started = True
    peer.bytes(peer.delivery(1))
    message = consumer.take()
    peer.sent()
    request = acknowledge(peer, message) if in_doubt else None
    out = peer.recreate()
    assert kinds(out) == [p.UniqueAddMetadata]
    out = peer.rest(peer.say(p.NullResponse(-1)), seconds=STORAGE_REST if in_doubt else SHORTEST_REST)
    assert kinds(out) == [p.CreateConsumer]
    peer.say(DEFINED)
    return peer, request or acknowledge(peer, message)


def markers(peer, seconds):
    """The server says for so long, as often as it is asked, that it has nothing."""
    until = peer.now + seconds
    while peer.now < until:
        marker(peer)
        peer.pass_time(0.01)


def test_a_commit_in_doubt_is_done_when_nothing_comes_once_its_messages_could_be_back():
    peer, request = gated(in_doubt=True)
    assert not request.done
    marker(peer)
    assert (request.done, request.error) == (True, None)


def test_messages_that_are_back_a_little_later_are_not_taken_for_those_of_others():
    peer, request = gated(in_doubt=False)
    markers(peer, 0.3)
    assert not request.done
    out = deliver(peer, 1)
    assert alone(out) == [1]
    peer.say(p.NullResponse(out[-1].correlation_id))
    assert (request.done, request.error) == (True, None)


def test_messages_that_do_not_come_are_not_waited_for_long():
    peer, request = gated(in_doubt=False)
    markers(peer, PATIENCE + 0.1)
    assert isinstance(request.error, TransactionRolledBackError)
