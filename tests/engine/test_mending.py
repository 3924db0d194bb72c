"""An interrupt at every place of what a consumer does: afterwards nothing is lost, counted twice, or owed for ever."""

from __future__ import annotations

import pytest

from activeclient.errors import ConnectionLost
from activeclient.wire import packets as p
from activeclient.wire.packet import decode
from integration.interrupts import interrupt
from tests.engine.peer import Peer

MESSAGES = 6


def consuming(ack_batch):
    peer = Peer().begin()
    consumer = peer.consume(ack_batch=ack_batch)
    for number in range(1, MESSAGES + 1):
        peer.bytes(peer.delivery(number))
    peer.sent()
    return peer, consumer


def unconfirmed(peer):
    """The acknowledgements among the unconfirmed commands."""
    return [
        frame
        for frame in peer.session.buffer.frames()
        if frame[4] in (p.Acknowledge.KIND, p.IndividualAcknowledge.KIND)
    ]


def confirm_all(peer, consumer):
    """The link comes back, what is acknowledged is sent, and the server confirms it; the ids of what it was told of."""
    peer.lose(ConnectionLost("a call was interrupted"))
    consumer.flush_acknowledgements()
    told = set()
    for frame in unconfirmed(peer):
        packet = decode(frame, peer.engine.version)
        told |= set(range(1, packet.message_id + 1)) if isinstance(packet, p.Acknowledge) else {packet.message_id}
    peer.back()
    peer.say(p.PacketsConfirmed(peer.session.buffer.next_id - 1))
    return told


def acknowledge_one_by_one(peer, consumer):
    for _ in range(3):
        consumer.acknowledge(consumer.take())


def acknowledge_three(peer, consumer):
    consumer.take()
    consumer.take()
    consumer.acknowledge(consumer.take())


def acknowledge_individually(peer, consumer):
    messages = [consumer.take() for _ in range(3)]
    for message in reversed(messages):
        consumer.individual_acknowledge(message)


def hear_of_it(peer, consumer):
    peer.engine.receive_data(peer.frame(p.PacketsConfirmed(peer.session.buffer.next_id - 1)), peer.now)


@pytest.mark.parametrize("ack_batch", [0, 1 << 20], ids=["each at once", "in batches"])
@pytest.mark.parametrize(
    "work",
    [acknowledge_one_by_one, acknowledge_three, acknowledge_individually, hear_of_it],
    ids=lambda work: work.__name__,
)
def test_what_is_owed_is_what_the_server_has_not_confirmed(work, ack_batch):
    at = 0
    while True:
        at += 1
        peer, consumer = consuming(ack_batch)
        if work is hear_of_it:
            acknowledge_one_by_one(peer, consumer)
            peer.serve()
        before = set(range(1, 4)) if work is hear_of_it else set()
        outcome = interrupt(lambda peer=peer, consumer=consumer: work(peer, consumer), at)
        consumer.restore_kept()
        acknowledged = confirm_all(peer, consumer)
        there = {entry[0] for entry in consumer.taken} | {message.message_id for message in consumer.buffer}
        assert before | acknowledged | there == set(range(1, MESSAGES + 1)), f"after an interrupt at place {at}"
        assert unconfirmed(peer) == []
        assert consumer.acknowledgements_owed == 0, f"after an interrupt at place {at}"
        if not outcome.interrupted:
            break
    assert at > 10
