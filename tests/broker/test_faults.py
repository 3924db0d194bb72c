"""Faults: what each rule does to packets, and that it is the same every time."""

from __future__ import annotations

import pytest

from activeclient.broker.rules import Line, Rule
from activeclient.errors import ConfigError
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage, encode_send
from activeclient.wire.versions import NEWEST
from tests.broker.peer import Peer, World


def bodies_in_queue(peer: Peer) -> list[bytes]:
    queue = peer.world.post.find("q")
    assert queue is not None
    return [ref.message.body for ref in queue.browse()]


def put(peer: Peer, count: int) -> None:
    for number in range(count):
        peer.post(b"%d" % number)


# --- packets to the broker --------------------------------------------------------------------------------------------


def test_a_dropped_packet_never_arrives(peer: Peer) -> None:
    peer.world.server.faults.drop("Send", nth=2, times=2)
    put(peer, 5)
    assert bodies_in_queue(peer) == [b"0", b"3", b"4"]


def test_a_rule_without_end_meets_all(peer: Peer) -> None:
    peer.world.server.faults.drop(p.Send, nth=2, times=None)
    put(peer, 4)
    assert bodies_in_queue(peer) == [b"0"]


def test_a_duplicated_packet_arrives_twice(peer: Peer) -> None:
    peer.world.server.faults.duplicate("Send", nth=2)
    put(peer, 3)
    assert bodies_in_queue(peer) == [b"0", b"1", b"1", b"2"]


def test_a_reordered_packet_is_overtaken_by_one(peer: Peer) -> None:
    peer.world.server.faults.reorder("Send", nth=2)
    put(peer, 4)
    assert bodies_in_queue(peer) == [b"0", b"2", b"1", b"3"]


def test_a_reordered_packet_without_a_follower_passes_in_the_end(peer: Peer) -> None:
    peer.world.server.faults.reorder("Send", seconds=0.5)
    put(peer, 1)
    assert bodies_in_queue(peer) == []
    peer.world.advance(0.6)
    assert bodies_in_queue(peer) == [b"0"]


def test_a_delayed_packet_holds_up_what_is_behind_it(peer: Peer) -> None:
    peer.world.server.faults.delay("Send", 0.5, nth=2)
    put(peer, 3)
    assert bodies_in_queue(peer) == [b"0"]
    peer.world.advance(0.4)
    assert bodies_in_queue(peer) == [b"0"]
    peer.world.advance(0.2)
    assert bodies_in_queue(peer) == [b"0", b"1", b"2"]


@pytest.mark.parametrize(("after", "arrived"), [(False, [b"0"]), (True, [b"0", b"1"])])
def test_a_cut_comes_before_the_packet_or_right_after_it(peer: Peer, after: bool, arrived: list[bytes]) -> None:
    peer.world.server.faults.cut("Send", nth=2, after=after)
    put(peer, 3)
    assert peer.connection.aborted
    assert bodies_in_queue(peer) == arrived


# --- packets to the client --------------------------------------------------------------------------------------------


def test_answers_can_be_lost(peer: Peer) -> None:
    peer.take_all()
    peer.world.server.faults.drop("NullResponse")
    peer.send(p.SessionStop())
    peer.take(p.PacketsConfirmed)


def test_answers_can_be_late(peer: Peer) -> None:
    peer.world.server.faults.delay("QueueQueryResponse", 0.5)
    peer.send(p.QueueQuery("q"))
    peer.take(p.PacketsConfirmed)
    peer.world.advance(0.6)
    peer.take(p.QueueQueryResponse)


def test_a_cut_of_an_answer_closes_the_connection_behind_what_was_before_it(peer: Peer) -> None:
    peer.take_all()
    peer.world.server.faults.cut("NullResponse")
    peer.send(p.SessionStop())
    peer.take(p.PacketsConfirmed)
    assert peer.connection.closing


def test_a_packet_that_goes_both_ways_can_be_met_one_way_only(peer: Peer) -> None:
    peer.world.server.faults.drop("Ping", direction="to_client", times=None)
    peer.send(p.Ping(500), 0)
    assert peer.take_all() == []
    assert peer.connection.ttl == 0.5


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_a_cut_after_bytes_leaves_half_a_packet(peer: Peer) -> None:
    peer.world.server.faults.cut_after(20)
    put(peer, 2)
    assert peer.connection.aborted
    assert bodies_in_queue(peer) == []


def test_a_cut_after_bytes_to_the_client_is_exact(peer: Peer) -> None:
    peer.take_all()
    peer.world.server.faults.cut_after(5, "to_client")
    peer.send(p.SessionStop())
    data = b"".join(peer.connection.data_to_send(0.0))
    assert len(data) == 5
    assert peer.connection.closing


def test_the_next_connections_can_be_cut_at_a_byte() -> None:
    world = World()
    world.server.faults.cut_next_at(10, times=2)
    for left in (False, False, True):
        peer = Peer(world)
        peer.send(p.Ping(500), 0)
        assert peer.connection.aborted is not left
        assert [type(each) for each in peer.take_all()] == [p.Ping] * left


# --- sessions, storage ------------------------------------------------------------------------------------------------


def test_a_forgotten_session_is_not_reattached_and_gave_its_messages_back(peer: Peer) -> None:
    put(peer, 1)
    peer.consume()
    peer.take_all()
    assert peer.world.server.faults.forget_sessions("nobody") == 0
    assert peer.world.server.faults.forget_sessions() == 1
    again = peer.world.connect()
    again.send(p.ReattachSession("session", 0), 1)
    assert not again.take(p.ReattachSessionResponse).reattached
    again.session()
    again.consume()
    assert again.bodies() == [b"0"]


def test_reattachments_are_refused_as_often_as_was_said(peer: Peer) -> None:
    peer.world.server.faults.refuse_reattachment(2)
    for reattached in (False, False, True):
        again = peer.world.connect()
        again.send(p.ReattachSession("session", 0), 1)
        assert again.take_all()[-1].reattached is reattached  # type: ignore[attr-defined]


def test_what_a_refused_session_had_stays_with_it_until_its_time_to_live_is_over(peer: Peer) -> None:
    """As on a released Artemis 2.57, so a client that makes another session waits for it."""
    peer.send(p.Ping(4000), 0)
    peer.consume()
    put(peer, 3)
    taken = [each for each in peer.take_all() if isinstance(each, p.ReceiveMessage)]
    peer.send(p.Acknowledge(0, taken[0].message.message_id, False))
    peer.world.server.faults.refuse_reattachment(1)
    peer.connection.connection_lost()
    again = peer.world.connect()
    again.send(p.ReattachSession("session", 0), 1)
    assert again.take(p.ReattachSessionResponse) == p.ReattachSessionResponse(-1, False)
    again.session("anew")
    again.consume()
    peer.world.advance(3.9)
    assert again.messages() == []
    peer.world.advance(2.2)
    found = [each for each in again.take_all() if isinstance(each, p.ReceiveMessage)]
    assert [(each.message.body, each.delivery_count) for each in found] == [(b"1", 2), (b"2", 2)]


def test_held_storage_holds_confirmations_and_deliveries_of_what_is_durable(peer: Peer) -> None:
    faults = peer.world.server.faults
    peer.consume()
    peer.take_all()
    faults.hold_storage()
    put(peer, 2)
    assert peer.take_all() == []
    faults.release_storage()
    found = peer.take_all()
    assert [each.message.body for each in found if isinstance(each, p.ReceiveMessage)] == [b"0", b"1"]
    assert any(isinstance(each, p.PacketsConfirmed) for each in found)


def test_slow_storage_takes_its_time(peer: Peer) -> None:
    peer.take_all()
    peer.world.server.faults.delay_storage(0.5)
    put(peer, 1)
    assert peer.take_all() == []
    peer.world.advance(0.6)
    peer.take(p.PacketsConfirmed)


def test_a_frozen_connection_neither_reads_nor_writes_and_thaws(peer: Peer) -> None:
    faults = peer.world.server.faults
    peer.take_all()
    faults.freeze()
    assert not peer.connection.wants_read
    peer.connection.send(p.CheckForFailoverReply(True))
    assert peer.take_all() == []
    faults.unfreeze()
    assert peer.connection.wants_read
    peer.take(p.CheckForFailoverReply)


def test_clearing_lets_everything_go_on(peer: Peer) -> None:
    faults = peer.world.server.faults
    faults.delay("Send", 1000)
    faults.drop("SessionStop", times=None)
    faults.refuse_reattachment()
    faults.hold_storage()
    faults.freeze()
    put(peer, 2)
    faults.clear()
    assert not faults.watching
    assert bodies_in_queue(peer) == [b"0", b"1"]
    peer.ask(p.SessionStop(), p.NullResponse)


# --- chance -----------------------------------------------------------------------------------------------------------


def run_at_random(seed: int, piece: int) -> tuple[list[bytes], list[str]]:
    """What arrives of 60 messages, given to the broker in pieces of so many bytes."""
    world = World()
    world.server.faults.seed = seed
    peer = world.connect()
    peer.session()
    peer.queue()
    world.server.faults.random(drop=0.2, duplicate=0.2, reorder=0.2, packets=["Send"])
    data = b"".join(encode_send(CoreMessage(b"%d" % n, 4, "q"), 10, NEWEST) for n in range(60))
    for at in range(0, len(data), piece):
        peer.bytes(data[at : at + piece])
    return bodies_in_queue(peer), list(world.server.faults.history)


def test_chance_depends_on_the_seed_and_on_nothing_else() -> None:
    arrived, history = run_at_random(7, 10_000)
    assert (arrived, history) == run_at_random(7, 33)
    assert (arrived, history) != run_at_random(8, 10_000)
    assert len(history) > 10


@pytest.mark.parametrize(("key", "value"), [("drop", -0.1), ("cut", 1.5)])
def test_probabilities_are_checked(peer: Peer, key: str, value: float) -> None:
    with pytest.raises(ConfigError, match="probabilities"):
        peer.world.server.faults.random(**{key: value})  # type: ignore[arg-type]


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("drop", "Sent", 1, 1, None), "did you mean Send"),
        (("drop", "Send", 0, 1, None), "counts from 1"),
        (("drop", "Send", 1, 0, None), "at least 1"),
        (("drop", "Send", 1, 1, "to_client"), "goes to_broker only"),
        (("delay", "Send", 1, 1, None, -1.0), "must not be negative"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(arguments: tuple[object, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Rule(*arguments)  # type: ignore[arg-type]


def test_bytes_and_directions_are_checked(peer: Peer) -> None:
    with pytest.raises(ConfigError, match="negative"):
        peer.world.server.faults.cut_after(-1)
    with pytest.raises(ConfigError, match="to_broker or to_client"):
        peer.world.server.faults.cut_next_at(1, "up")  # type: ignore[arg-type]


def test_a_line_keeps_its_order_when_one_is_set_aside_behind_another() -> None:
    line = Line("to_broker")
    line.set_aside(b"1", 5.0)
    line.set_aside(b"2", 6.0)
    passed = line.take(b"3", 0.0) + line.release(10.0)
    assert passed == [b"1", b"3", b"2"]


def test_without_a_thread_that_could_do_it_a_restart_is_refused(peer: Peer) -> None:
    with pytest.raises(ConfigError, match="nobody"):
        peer.world.server.faults.restart()
    with pytest.raises(ConfigError, match="clock"):
        peer.world.server.faults.skew_clock(1)
