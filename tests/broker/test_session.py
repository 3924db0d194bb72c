"""Sessions: what is counted, confirmed and answered, and how one moves to another connection."""

from __future__ import annotations

import pytest

from activeclient.broker.configuration import AddressSettings, BrokerConfiguration, FullPolicy
from activeclient.broker.limits import Limits
from activeclient.broker.store import MemoryStore
from activeclient.wire import packets as p
from activeclient.wire.packet import encode
from activeclient.wire.versions import NEWEST
from tests.broker.peer import Peer, World, confirmed, create_session


def reattach(world: World, last: int, name: str = "session") -> tuple[Peer, p.ReattachSessionResponse]:
    again = world.connect()
    again.send(p.ReattachSession(name, last), 1)
    found = again.take_all()
    # What comes behind the answer, such as deliveries that waited, is left in the inbox too.
    (answer,) = [each for each in found if isinstance(each, p.ReattachSessionResponse)]
    again.inbox = [(10, each) for each in found if each is not answer]
    return again, answer


# --- counting ---------------------------------------------------------------------------------------------------------


def test_every_command_is_confirmed_when_the_window_is_one(peer: Peer) -> None:
    peer.post()
    assert peer.take(p.PacketsConfirmed).command_id == 1  # the queue was 0


def test_commands_of_one_piece_of_bytes_are_confirmed_once(peer: Peer) -> None:
    peer.bytes(encode(p.SessionStart(), 10, NEWEST) * 5)
    assert peer.take(p.PacketsConfirmed).command_id == 5


def test_a_window_confirms_when_so_many_bytes_were_handled() -> None:
    peer = World().connect()
    peer.session(window=3 * 13)
    for _ in range(2):
        peer.send(p.SessionStart())
    assert peer.take_all() == []
    peer.send(p.SessionStart())
    assert peer.take(p.PacketsConfirmed).command_id == 2


def test_a_window_of_minus_one_confirms_nothing() -> None:
    world = World()
    peer = world.connect()
    peer.session(window=-1)
    peer.send(p.SessionStart())
    world.advance(5)
    assert peer.take_all() == []


def test_what_does_not_fill_the_window_is_confirmed_after_two_seconds() -> None:
    world = World()
    peer = world.connect()
    peer.session(window=10_000)
    peer.send(p.SessionStart())
    world.advance(2)
    assert peer.take(p.PacketsConfirmed).command_id == 0


def test_a_confirmation_comes_before_the_answer_of_its_command(peer: Peer) -> None:
    peer.send(p.SessionStop())
    first, second = peer.take_all()
    assert isinstance(first, p.PacketsConfirmed)
    assert first.command_id == 1
    assert isinstance(second, p.NullResponse)


def test_a_command_that_is_refused_with_an_answer_is_not_counted(peer: Peer) -> None:
    peer.send(p.DeleteQueue("nothing"))
    assert peer.take(p.ExceptionResponse).code == 100
    peer.send(p.SessionStart())
    assert peer.take(p.PacketsConfirmed).command_id == 1


def test_a_command_that_fails_without_having_asked_is_counted(peer: Peer) -> None:
    peer.send(p.Acknowledge(7, 1, False))
    assert peer.take(p.PacketsConfirmed).command_id == 1


def test_metadata_of_the_first_form_is_answered_and_not_counted(peer: Peer) -> None:
    peer.send(p.AddMetadata("key", "value"))
    assert peer.take(p.NullResponse).correlation_id == -1


def test_a_durable_message_counts_and_is_answered_when_it_is_stored() -> None:
    store = MemoryStore()
    world = World(store=store)
    peer = world.connect()
    peer.session()
    peer.queue()
    store.hold()
    peer.post(asked=True, correlation_id=7)
    peer.send(p.SessionStop())
    assert peer.take_all() == []
    store.release()
    found = peer.take_all()
    assert confirmed(found) == 2
    assert [each.correlation_id for each in found if isinstance(each, p.NullResponse)] == [7, -1]


def test_a_client_too_far_ahead_of_the_storage_is_read_again_when_half_is_stored() -> None:
    store = MemoryStore()
    peer = World(store=store, limits=Limits(pending_commands=4)).connect()
    peer.session()
    peer.queue()
    store.hold()
    for _ in range(3):
        peer.post()
    assert peer.connection.wants_read
    peer.post()
    assert not peer.connection.wants_read
    peer.take_all()
    store.release()
    assert peer.connection.wants_read
    assert peer.connection.dirty  # the driver looks again
    assert confirmed(peer.take_all()) == 4


@pytest.mark.parametrize("correlation_id", [1, -2, 2**40])
def test_a_send_is_answered_with_its_own_id(peer: Peer, correlation_id: int) -> None:
    peer.post(asked=True, correlation_id=correlation_id)
    assert [each for each in peer.take_all() if isinstance(each, p.NullResponse)] == [p.NullResponse(correlation_id)]


def test_a_commit_is_answered_with_its_own_id(peer: Peer) -> None:
    assert peer.ask(p.Commit(42), p.NullResponse).correlation_id == 42
    assert peer.ask(p.Commit(), p.NullResponse).correlation_id == -1


def test_the_close_confirms_everything_and_ends_the_channel() -> None:
    peer = World().connect()
    peer.session(window=10_000)
    peer.send(p.SessionStart())
    peer.send(p.SessionClose())
    first, second = peer.take_all()
    assert isinstance(first, p.PacketsConfirmed)
    assert first.command_id == 1
    assert isinstance(second, p.NullResponse)
    peer.send(p.SessionStop())
    assert peer.take_all() == []


# --- creation ---------------------------------------------------------------------------------------------------------


def test_a_used_name_goes_to_whoever_asks_last(peer: Peer) -> None:
    peer.post()
    peer.consume()
    assert len(peer.messages()) == 1
    other = peer.world.connect()
    other.session()
    other.consume()
    assert [message.delivery_count for message in other.messages()] == [2]
    assert len(peer.world.server.sessions) == 1


def test_a_used_channel_goes_to_whoever_asks_last(peer: Peer) -> None:
    peer.session("other", 10)
    assert list(peer.world.server.sessions) == ["other"]


@pytest.mark.parametrize("channel", [0, 1, -3])
def test_a_channel_that_is_not_for_sessions_is_refused(peer: Peer, channel: int) -> None:
    assert peer.ask(create_session("other", channel), p.ExceptionResponse, 1).code == 104


# --- reattaching ------------------------------------------------------------------------------------------------------


def test_a_session_survives_its_socket_and_tells_what_it_counted(peer: Peer) -> None:
    peer.post()
    peer.connection.connection_lost()
    again, answer = reattach(peer.world, 0)
    assert answer == p.ReattachSessionResponse(1, True)
    again.consume()
    assert again.bodies() == [b"body"]


def test_what_the_client_did_not_confirm_is_sent_again_byte_for_byte_before_the_answer(peer: Peer) -> None:
    for number in range(3):
        peer.post(b"%d" % number)
    peer.consume()
    peer.take_all()
    sent = [frame for frame in peer.frames if frame[4] not in (22, 31) and frame[12] == 10]
    peer.connection.connection_lost()
    again = peer.world.connect()
    again.frames.clear()
    again.send(p.ReattachSession("session", 1), 1)
    again.take_all()
    assert again.frames[:-1] == sent[2:]


def test_an_unknown_session_is_not_reattached() -> None:
    _, answer = reattach(World(), -1, "nobody")
    assert answer == p.ReattachSessionResponse(-1, False)


def test_a_closed_session_is_not_reattached(peer: Peer) -> None:
    peer.send(p.SessionClose())
    _, answer = reattach(peer.world, -1)
    assert not answer.reattached


def test_a_session_without_a_window_is_lost_with_its_socket() -> None:
    for window in (-1, 0):
        peer = World().connect()
        peer.session(window=window)
        peer.connection.connection_lost()
        _, answer = reattach(peer.world, -1)
        assert answer == p.ReattachSessionResponse(-1, False)


def test_a_session_is_taken_over_while_its_connection_is_alive(peer: Peer) -> None:
    again, answer = reattach(peer.world, 0)
    assert answer.reattached
    peer.post(b"too late")
    peer.connection.connection_lost()
    peer.world.advance(120)
    assert "session" not in peer.world.server.sessions  # the new connection fell silent too
    assert peer.world.post.query_queue("q").message_count == 0
    assert again.connection.aborted


def test_the_end_of_the_old_connection_does_not_touch_a_session_that_moved(peer: Peer) -> None:
    again, _ = reattach(peer.world, 0)
    peer.connection.connection_lost()
    assert again.ask(p.QueueQuery("q"), p.QueueQueryResponse).exists


def test_a_session_ends_when_its_connection_was_silent_for_too_long(peer: Peer) -> None:
    peer.post()
    peer.consume()
    peer.send(p.Ping(4000), 0)
    peer.connection.connection_lost()
    peer.world.advance(3.9)
    assert "session" in peer.world.server.sessions
    peer.world.advance(2.2)
    assert peer.world.server.sessions == {}
    other = peer.world.connect()
    other.session()
    other.consume()
    assert [message.delivery_count for message in other.messages()] == [2]


def test_a_reattachment_waits_until_the_storage_is_complete_and_so_does_what_follows_it() -> None:
    store = MemoryStore()
    world = World(store=store)
    peer = world.connect()
    peer.session()
    peer.queue()
    store.hold()
    peer.post()
    peer.connection.connection_lost()
    again = world.connect()
    again.send(p.ReattachSession("session", 0), 1)
    again.send(p.AddMetadata("fence", "1"))
    assert again.take_all() == []
    store.release()
    response, fence = again.take_all()
    assert response == p.ReattachSessionResponse(1, True)
    assert isinstance(fence, p.NullResponse)


def test_a_second_reattachment_wins_over_one_that_still_waits() -> None:
    store = MemoryStore()
    world = World(store=store)
    peer = world.connect()
    peer.session()
    peer.queue()
    store.hold()
    peer.post()
    first, second = world.connect(), world.connect()
    first.send(p.ReattachSession("session", 0), 1)
    second.send(p.ReattachSession("session", 0), 1)
    store.release()
    assert first.take(p.ReattachSessionResponse) == p.ReattachSessionResponse(-1, False)
    assert second.take(p.ReattachSessionResponse) == p.ReattachSessionResponse(1, True)
    assert second.ask(p.QueueQuery("q"), p.QueueQueryResponse).exists


def test_a_reattachment_may_be_repeated_on_the_same_connection(peer: Peer) -> None:
    again, _ = reattach(peer.world, 0)
    again.send(p.ReattachSession("session", 0), 1)
    assert again.take(p.ReattachSessionResponse) == p.ReattachSessionResponse(0, True)


def test_a_client_that_has_more_than_was_sent_is_not_reattached(peer: Peer) -> None:
    _, answer = reattach(peer.world, 99)
    assert not answer.reattached


def test_an_error_that_was_lost_with_its_socket_comes_again(peer: Peer) -> None:
    peer.send(p.DeleteQueue("nothing"))
    peer.connection.connection_lost()
    again, answer = reattach(peer.world, 0)
    assert answer == p.ReattachSessionResponse(0, True)
    assert again.take(p.ExceptionResponse).code == 100


def test_nothing_is_handed_out_while_there_is_no_connection(peer: Peer) -> None:
    peer.consume()
    peer.take_all()
    peer.connection.connection_lost()
    other = peer.world.connect()
    other.session("other", 11)
    other.post(channel=11)
    assert peer.world.post.query_queue("q").message_count == 1
    again, _ = reattach(peer.world, 1)
    assert again.bodies() == [b"body"]


def test_a_local_transaction_survives_its_socket() -> None:
    world = World()
    peer = world.connect()
    peer.session(auto_commit_sends=False)
    peer.queue()
    peer.post(b"before")
    peer.connection.connection_lost()
    again, _ = reattach(world, 0)
    again.post(b"after")
    again.ask(p.Commit(), p.NullResponse)
    again.consume()
    assert again.bodies() == [b"before", b"after"]


def test_a_confirmation_of_what_was_never_sent_ends_the_connection(peer: Peer) -> None:
    peer.send(p.PacketsConfirmed(1000))
    assert peer.connection.aborted


# --- producers --------------------------------------------------------------------------------------------------------


def test_producers_get_the_credits_that_they_ask_for(peer: Peer) -> None:
    assert peer.ask(p.RequestProducerCredits(1000, "q"), p.ProducerCredits) == p.ProducerCredits(1000, "q")


def full(policy: FullPolicy) -> Peer:
    settings = {"q": AddressSettings(max_size_bytes=1000, address_full_policy=policy)}
    peer = World(BrokerConfiguration(settings=settings)).connect()
    peer.session()
    peer.queue()
    peer.post(b"x" * 1000)
    return peer


def test_producers_of_a_full_address_wait_for_their_credits() -> None:
    peer = full(FullPolicy.BLOCK)
    peer.take_all()
    peer.send(p.RequestProducerCredits(1000, "q"))
    peer.send(p.RequestProducerCredits(500, "q"))
    assert not any(isinstance(each, p.ProducerCredits) for each in peer.take_all())
    peer.consume()
    (message,) = peer.messages()
    peer.send(p.Acknowledge(0, message.message_id, False))
    assert p.ProducerCredits(1500, "q") in peer.take_all()


def test_producers_of_an_address_that_fails_are_told() -> None:
    peer = full(FullPolicy.FAIL)
    peer.ask(p.RequestProducerCredits(1000, "q"), p.ProducerFailCredits)
    peer.post(b"x", asked=True, correlation_id=5)
    answer = peer.take(p.ExceptionResponse)
    assert (answer.code, answer.correlation_id) == (210, 5)


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_a_unique_pair_is_refused_while_another_session_has_it(peer: Peer) -> None:
    peer.session("other", 11)
    peer.ask(p.UniqueAddMetadata("client", "a", True), p.NullResponse)
    answer = peer.ask(p.UniqueAddMetadata("client", "a", False), p.ExceptionResponse, 11)
    assert answer.code == 114
    assert "client=a" in (answer.message or "")
    peer.ask(p.UniqueAddMetadata("client", "a", True), p.NullResponse)
    peer.ask(p.SessionClose(), p.NullResponse)
    peer.ask(p.UniqueAddMetadata("client", "a", True), p.NullResponse, 11)


def test_metadata_of_the_second_form_is_answered_only_if_asked(peer: Peer) -> None:
    peer.send(p.AddCountedMetadata("a", "b", False))
    assert peer.take_all() == []
    peer.ask(p.AddCountedMetadata("a", "b", True), p.NullResponse)
