"""An interrupt at every place of a recreation: afterwards everything that was in flight still ends in one way."""

from __future__ import annotations

from pathlib import Path

import pytest

import activeclient.engine
from activeclient.engine.session_life import State
from activeclient.errors import CallInterrupted, OutcomeUnknown, TransactionRolledBackError
from activeclient.wire import packets as p
from integration.interrupts import interrupt
from tests.engine.answering import Server
from tests.engine.peer import Peer

ENGINE = str(Path(activeclient.engine.__file__).parent)


class Struck:
    """The engine of a peer, interrupted at one place from `arm` on; that costs the link, as `Pump.repair` has it."""

    def __init__(self, peer):
        self.peer = peer
        self.left = 0
        self.hit = False
        for name in ("connection_made", "receive_data", "handle_timeout"):
            setattr(peer.engine, name, self._struck(getattr(peer.engine, name)))

    def arm(self, place):
        """Interrupt at the `place`-th place from now on."""
        self.left = place

    def _struck(self, call):
        def struck(*arguments):
            if not self.left:
                call(*arguments)
                return
            outcome = interrupt(lambda: call(*arguments), self.left, ENGINE)
            self.left = max(1, self.left - outcome.points)
            if outcome.interrupted:
                self.left = 0
                self.hit = True
                self.peer.engine.connection_lost(CallInterrupted("a call was interrupted"), self.peer.now)

        return struck


def every_place(run, stride=1):
    """Call `run(place)` for each place, until it returns False: there are no more."""
    place = 1
    while run(place):
        place += stride
    assert place > 100


def recreated_at(place, scene, **config):
    """A scene whose connection is lost, and that is interrupted amid the recreation; the server, and what it made."""
    peer = Peer().begin(**config)
    server = Server(peer)
    struck = Struck(peer)
    made = scene(peer)
    peer.frames = []
    peer.lose()
    struck.arm(place)
    server.run(30.0)
    assert peer.session.state is State.ATTACHED
    return server, made, struck.hit


def stored(server):
    """The bodies that were carried out in later sessions, without the copies that prove them."""
    return [packet.message.body for _, packet in server.log if isinstance(packet, p.Send) and packet.message.body]


@pytest.mark.parametrize("window", [-1, 100_000])
def test_sends_with_an_id_are_repeated_and_the_others_are_unknown(window):
    told = []

    def scene(peer):
        def handler(body, error):
            told.append((body, error))

        sends = [peer.send(b"%d" % number, duplicate_id=b"%d" % number, handler=handler) for number in range(3)]
        return [*sends, peer.send(b"without", handler=handler)]

    def run(place):
        told.clear()
        server, sends, hit = recreated_at(place, scene, window=window)
        context = f"interrupted at place {place}"
        assert all(token.done for token in sends), context
        assert [token.error for token in sends[:3]] == [None] * 3, context
        assert isinstance(sends[3].error, OutcomeUnknown), context
        assert sorted(set(stored(server))) == [b"0", b"1", b"2"], context
        assert sorted(body for body, _ in told) == [b"0", b"1", b"2", b"without"], context
        return hit

    every_place(run, 3)


def test_requests_are_made_again_and_end_once():
    def scene(peer):
        return [
            peer.request(p.QueueQuery("a")),
            peer.request(p.CreateQueue(address="b", queue_name="b", requires_response=True)),
            peer.request(p.QueueQuery("c")),
        ]

    def run(place):
        server, requests, hit = recreated_at(place, scene)
        assert [(request.done, request.error) for request in requests] == [(True, None)] * 3, place
        asked = [packet.queue_name for _, packet in server.log if isinstance(packet, p.QueueQuery | p.CreateQueue)]
        names = [name for name in asked if name in "abc"]
        assert (set(names), names) == ({"a", "b", "c"}, sorted(names)), place
        return hit

    every_place(run, 3)


def test_a_transaction_is_rolled_back_with_its_session():
    def scene(peer):
        peer.send(b"1")
        return peer.request(p.Commit(0), correlated=True)

    def run(place):
        server, commit, hit = recreated_at(place, scene, auto_commit_sends=False, auto_commit_acks=False)
        assert commit.done, place
        assert commit.error is not None, f"a commit of a lost transaction is called done, interrupted at {place}"
        assert stored(server) == [], place
        return hit

    every_place(run, 3)


def test_a_commit_that_was_not_sent_is_rolled_back():
    def scene(peer):
        peer.send(b"1")
        peer.request(p.QueueQuery("first"))
        return peer.request(p.Commit(0), correlated=True)

    def run(place):
        _, commit, hit = recreated_at(place, scene, auto_commit_sends=False, auto_commit_acks=False)
        assert isinstance(commit.error, TransactionRolledBackError), place
        return hit

    every_place(run, 3)


def deliver(peer, consumer, count):
    for number in range(1, count + 1):
        peer.bytes(peer.delivery(number, consumer.id))


def test_what_was_acknowledged_is_expected_again_and_what_nobody_got_is_not():
    """Also what an interrupted call had acknowledged and given back: the server has no other copy of it."""

    def scene(peer):
        peer.session.started = True
        consumer = peer.consume()
        deliver(peer, consumer, 4)
        consumer.acknowledge(consumer.take())
        message = consumer.take()
        consumer.acknowledge(message)
        consumer.kept.append(message)  # an interrupt came before `receive` returned it
        return consumer

    def run(place):
        _, consumer, hit = recreated_at(place, scene)
        consumer.restore_kept()
        assert [message.message_id for message in consumer.buffer] == [2], f"interrupted at place {place}"
        assert consumer.acknowledged.lost.of.keys() == {1, 2}, f"interrupted at place {place}"
        return hit

    every_place(run, 3)


def test_what_the_application_holds_is_recognised_in_the_next_session():
    def scene(peer):
        peer.session.started = True
        consumer = peer.consume()
        deliver(peer, consumer, 5)
        messages = [consumer.take() for _ in range(4)]
        peer.session.transaction.acked()
        consumer.individual_acknowledge(messages[1])
        return consumer

    def run(place):
        _, consumer, hit = recreated_at(place, scene, auto_commit_acks=False)
        held = {message_id: entry.acknowledged for message_id, entry in consumer.absorbing.items()}
        assert held == {1: False, 2: True, 3: False, 4: False}, f"interrupted at place {place}"
        assert list(consumer.absorbing) == [2, 1, 3, 4], f"interrupted at place {place}"
        return hit

    every_place(run, 3)


def test_the_end_tells_everybody_whatever_interrupts_it():
    """The attempts are over while an interrupt comes into telling so."""

    def run(place):
        told = []
        peer = Peer(attempts=0).begin()
        sends = [peer.send(b"1", handler=lambda body, error: told.append(error)), peer.send(b"2")]
        requests = [peer.request(p.QueueQuery("a")), peer.request(p.QueueQuery("b"))]
        outcome = interrupt(lambda: peer.engine.connection_lost(CallInterrupted("x"), peer.now), place, ENGINE)
        if outcome.interrupted:
            peer.engine.connection_lost(CallInterrupted("again"), peer.now)
        peer.serve()
        assert peer.engine.gave_up is not None, place
        assert all(each.done and each.error is not None for each in [*sends, *requests]), f"interrupted at {place}"
        assert len(told) == 1, f"interrupted at {place}"
        assert not peer.engine.sessions, f"interrupted at {place}"
        return outcome.interrupted

    every_place(run)
