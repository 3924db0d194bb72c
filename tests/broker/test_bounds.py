"""What clients can make the broker hold: each bound, and what happens at it."""

from __future__ import annotations

import gc
import os

import pytest

from activeclient.broker import limits as bounds
from activeclient.broker import spill
from activeclient.broker.configuration import AddressSettings, BrokerConfiguration, FullPolicy
from activeclient.broker.duplicates import DuplicateIds
from activeclient.broker.groups import Groups
from activeclient.broker.large import LargeBody
from activeclient.broker.limits import Limits
from activeclient.broker.spill import SLOT, SpillFile
from activeclient.errors import (
    InvalidDestinationError,
    InvalidSelectorError,
    JMSError,
    ResourceAllocationError,
    XAError,
)
from activeclient.wire import packets as p
from activeclient.wire.fields import Xid
from activeclient.wire.frames import FRAME
from activeclient.wire.login import Login
from activeclient.wire.message import CoreMessage, encode_send_large_header
from activeclient.wire.versions import NEWEST
from tests.broker.office import Office, message
from tests.broker.peer import Peer, World, create_session

MIB = 1 << 20

# --- strangers --------------------------------------------------------------------------------------------------------


def ping_for(world: World, peer: Peer, seconds: float) -> None:
    for _ in range(round(seconds)):
        peer.send(p.Ping(-1), 0)
        peer.take_all()
        world.advance(1)


def test_a_stranger_who_pings_is_sent_away() -> None:
    """A time to live of -1 is no way to stay without a session either."""
    world = World()
    peer = world.connect()
    ping_for(world, peer, 9)
    assert not peer.connection.aborted
    ping_for(world, peer, 4)
    assert peer.connection.aborted


def test_a_client_whose_session_was_closed_stays() -> None:
    world = World()
    peer = world.connect()
    peer.session()
    peer.send(p.SessionClose())
    ping_for(world, peer, 30)
    assert not peer.connection.aborted


def test_a_client_that_has_logged_in_stays() -> None:
    world = World()
    peer = world.connect()
    peer.ask(p.CheckForFailover(None, Login.plain(NEWEST, None, None)), p.CheckForFailoverReply, 1)
    ping_for(world, peer, 30)
    assert not peer.connection.aborted


def test_the_sessions_of_a_client_that_left_are_not_kept_for_as_long_as_it_likes() -> None:
    world = World(limits=Limits(longest_detached=100.0))
    peer = world.connect()
    peer.session()
    peer.send(p.Ping(1 << 60), 0)
    peer.connection.connection_lost()
    world.advance(99)
    assert "session" in world.server.sessions
    world.advance(4)
    assert world.server.sessions == {}


def test_strangers_do_not_keep_places_from_newcomers() -> None:
    world = World(limits=Limits(max_connections=3))
    client = world.connect()
    client.session()
    first, second = world.connect(), world.connect()
    third = world.connect()
    assert (first.connection.aborted, second.connection.aborted) == (True, False)
    third.session("third")
    assert not client.connection.aborted


def half_frame(peer: Peer, size: int, announced: int) -> None:
    peer.bytes(FRAME.pack(announced, p.Ping.KIND, 0) + bytes(size - FRAME.size))


def test_half_sent_frames_of_strangers_have_one_budget() -> None:
    world = World(limits=Limits(half_sent_by_strangers=100_000))
    client = world.connect()
    client.session()
    half_frame(client, 90_000, 1_000_000)
    strangers = [world.connect() for _ in range(10)]
    for number, stranger in enumerate(strangers):
        half_frame(stranger, 20_000 + number, 60_000)
    assert world.server.strangers_hold <= 100_000
    assert [stranger.connection.aborted for stranger in strangers].count(True) == 6
    assert not client.connection.aborted


def test_half_sent_frames_of_all_connections_have_one_budget() -> None:
    world = World(limits=Limits(half_sent=1_000_000))
    clients = [world.connect() for _ in range(5)]
    for number, client in enumerate(clients):
        client.session(f"session {number}")
        half_frame(client, 300_000 + number, 10_000_000)
    assert [client.connection.aborted for client in clients] == [False, False, False, True, True]
    assert world.server.frames_hold <= 1_000_000


def test_what_a_frame_held_is_free_when_it_is_complete_or_its_connection_gone() -> None:
    world = World()
    one, other = world.connect(), world.connect()
    half_frame(one, 500, 1000)
    half_frame(other, 500, 1000)
    assert world.server.strangers_hold == world.server.frames_hold == 1000
    other.connection.connection_lost()
    assert world.server.strangers_hold == world.server.frames_hold == 500
    one.bytes(bytes(504))
    one.session()
    assert world.server.frames_hold == world.server.strangers_hold == 0


# --- messages without credits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address_bound", [-1, MIB])
def test_a_client_that_ignores_its_credits_is_stopped(address_bound: int) -> None:
    """An address that blocks gives no credits when it is full; whoever sends all the same is refused in the end."""
    settings = {"#": AddressSettings(max_size_bytes=address_bound)}
    world = World(BrokerConfiguration(global_max_size=MIB, settings=settings))
    peer = world.connect()
    peer.session()
    peer.queue()
    body = bytes(100_000)
    refused = 0
    for number in range(400):
        peer.post(body, asked=True, correlation_id=number)
        (answer,) = [each for each in peer.take_all() if not isinstance(each, p.PacketsConfirmed)]
        if isinstance(answer, p.ExceptionResponse):
            assert answer.code == 210
            refused += 1
    memory = world.post.addresses.memory
    assert refused > 200
    assert memory.size < MIB + bounds.OVERDRAFT_BYTES + 2 * len(body)
    # Room comes back with the messages that go.
    peer.consume()
    taken = peer.take_all()
    last = [each.message.message_id for each in taken if isinstance(each, p.ReceiveMessage)][-1]
    peer.send(p.Acknowledge(0, last, False))
    assert memory.size < MIB
    peer.take_all()
    peer.post(body, asked=True)
    assert not any(isinstance(each, p.ExceptionResponse) for each in peer.take_all())


def test_messages_that_are_dropped_without_an_answer_are_reported_with_their_number() -> None:
    world = World(BrokerConfiguration(global_max_size=1000))
    peer = world.connect()
    peer.session()
    peer.queue()
    for _ in range(bounds.OVERDRAFT_BYTES // 1_000_000 + 5):
        peer.post(bytes(1_000_000))
    world.advance(3)
    (text,) = [each for each in world.reports if "without credits" in each]
    assert text.startswith("peer: 4 messages dropped ResourceAllocationError")


def test_a_count_of_messages_is_a_bound_too() -> None:
    office = Office(settings=AddressSettings(max_size_messages=10))
    office.queue()
    for _ in range(bounds.OVERDRAFT_MESSAGES + 10):
        office.post.route(message(b""))
    with pytest.raises(ResourceAllocationError, match="is full"):
        office.post.route(message(b""))


def test_a_transaction_beyond_the_bound_does_not_commit() -> None:
    office = Office(global_max_size=1000)
    office.queue()
    tx = office.post.begin()
    for _ in range(17):
        office.post.route(message(bytes(1_000_000)), tx)
    with pytest.raises(ResourceAllocationError):
        office.post.route(message(bytes(1_000_000)), tx)
    with pytest.raises(ResourceAllocationError):
        tx.commit()
    assert office.post.addresses.memory.size == 0


@pytest.mark.parametrize("policy", [FullPolicy.FAIL, FullPolicy.DROP])
def test_other_policies_have_no_overdraft(policy: FullPolicy) -> None:
    office = Office(settings=AddressSettings(max_size_bytes=1000, address_full_policy=policy))
    queue = office.queue()
    for _ in range(10):
        try:
            office.post.route(message(bytes(600)))
        except ResourceAllocationError:
            assert policy is FullPolicy.FAIL
    assert queue.message_count == 1


# --- all together -----------------------------------------------------------------------------------------------------


def test_what_all_clients_do_not_take_has_a_bound() -> None:
    world = World(limits=Limits(all_outgoing=100_000, outgoing_high=1 << 30))
    readers = [world.connect() for _ in range(3)]
    for number, reader in enumerate(readers):
        reader.session(f"session {number}")
        for _ in range(1000 * (number + 1)):
            reader.send(p.Ping(60_000), 0)
    world.advance(3)
    assert [reader.connection.aborted for reader in readers] == [False, False, True]


def test_what_all_sessions_do_not_confirm_has_a_bound() -> None:
    world = World(limits=Limits(all_unconfirmed=150_000))
    readers = [world.connect() for _ in range(3)]
    for number, reader in enumerate(readers):
        reader.session(f"session {number}")
        reader.queue(f"q{number}")
        reader.consume(f"q{number}")
        for _ in range(number + 1):
            reader.post(bytes(40_000), f"q{number}")
        reader.take_all()
    world.advance(3)
    assert [reader.connection.aborted for reader in readers] == [False, False, True]
    assert "session 2" not in world.server.sessions


def test_sessions_of_all_connections_have_a_bound() -> None:
    world = World(limits=Limits(max_all_sessions=2))
    one, other = world.connect(), world.connect()
    one.session("1")
    other.session("2")
    assert other.ask(create_session("3", 11), p.ExceptionResponse, 1).code == 112


def test_consumers_and_browsers_of_a_connection_have_bounds() -> None:
    peer = World(limits=Limits(max_connection_consumers=3, max_browsers=1)).connect()
    peer.session()
    peer.session("other", 11)
    peer.queue()
    peer.ask(p.CreateConsumer(0, "q", browse_only=True), p.QueueQueryResponse)
    assert peer.ask(p.CreateConsumer(1, "q", browse_only=True), p.ExceptionResponse, 11).code == 104
    peer.ask(p.CreateConsumer(1, "q"), p.QueueQueryResponse, 11)
    peer.ask(p.CreateConsumer(2, "q"), p.QueueQueryResponse, 11)
    assert peer.ask(p.CreateConsumer(3, "q"), p.ExceptionResponse).code == 104


def test_a_connection_that_opens_and_closes_sessions_keeps_none_of_them() -> None:
    peer = World().connect()
    peer.session()
    peer.queue()
    for number in range(20):
        peer.session(f"session {number}", 11)
        peer.send(p.SessionClose(), 11)
        peer.take_all()
    server = peer.world.server
    assert server._owners == {}
    # One that left a temporary queue is kept, for the queue to go with the connection.
    peer.session("last", 11)
    peer.queue("temporary", 11, temporary=True)
    peer.send(p.SessionClose(), 11)
    assert len(server._owners) == 1
    peer.connection.connection_lost()
    world = peer.world
    world.advance(120)
    assert world.post.find("temporary") is None


# --- names, texts, lists ----------------------------------------------------------------------------------------------


LONG = "n" * (bounds.MAX_NAME + 1)


def test_names_have_a_bound(peer: Peer) -> None:
    queue = p.CreateQueue("q", LONG, routing_type=1, requires_response=True)
    assert peer.ask(queue, p.ExceptionResponse).code == 100
    assert peer.ask(p.CreateAddress(LONG, (1,), requires_response=True), p.ExceptionResponse).code == 100
    assert peer.ask(create_session(LONG, 11), p.ExceptionResponse, 1).code == 112
    assert peer.ask(create_session("s", 11, username=LONG), p.ExceptionResponse, 1).code == 112
    assert peer.ask(create_session("s", 11, client_id=LONG), p.ExceptionResponse, 1).code == 112
    peer.post(b"", LONG * 3, asked=True)
    assert peer.take(p.ExceptionResponse).code == 106


def test_metadata_have_a_bound_together() -> None:
    peer = World(limits=Limits(max_metadata_size=100)).connect()
    peer.session()
    peer.ask(p.AddCountedMetadata("key", "x" * 90, True), p.NullResponse)
    assert peer.ask(p.AddCountedMetadata("other", "x", True), p.NullResponse)
    assert peer.ask(p.AddCountedMetadata("more", "x", True), p.ExceptionResponse).code == 104
    peer.ask(p.AddCountedMetadata("key", "y", True), p.NullResponse)


def test_selectors_have_a_bound(peer: Peer) -> None:
    selector = f"a = '{'x' * bounds.MAX_SELECTOR}'"
    assert peer.ask(p.CreateConsumer(0, "q", selector), p.ExceptionResponse).code == 103
    with pytest.raises(InvalidSelectorError, match="65536 are allowed"):
        peer.world.server.compiled(selector)


def test_queues_and_addresses_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activeclient.broker.registry.MAX_QUEUES", 2)
    office = Office()
    office.queue("a")
    office.queue("b")
    with pytest.raises(ResourceAllocationError, match="2 queues"):
        office.queue("c")
    with pytest.raises(ResourceAllocationError, match="2 addresses"):
        office.post.create_address("c", (1,))


def test_lists_of_the_management_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activeclient.broker.queue_control.MAX_LISTED", 3)
    office = Office()
    office.queue()
    for number in range(4):
        office.post.route(message(b"x", n=number))
    manage = office.post.management
    with pytest.raises(JMSError, match="name a filter"):
        manage.invoke("queue.q", "listMessages")
    rows = manage.invoke("queue.q", "listMessages", "n = 2")
    assert isinstance(rows, list)
    assert len(rows) == 1


def test_a_management_answer_that_finds_no_room_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(settings=AddressSettings(max_size_bytes=1, address_full_policy=FullPolicy.FAIL))
    office.queue("answers")
    office.queue("activemq.management.other")
    question = {"_AMQ_ResourceName": "broker", "_AMQ_Attribute": "Version", "JMSReplyTo": "queue://answers"}
    for _ in range(3):
        office.post.route(message(b"", "activemq.management", **question))
    assert office.post.find("answers").message_count == 1  # type: ignore[union-attr]


def test_a_producer_of_too_long_a_name_takes_no_memory(peer: Peer) -> None:
    peer.send(p.CreateProducer(1, LONG))
    (session,) = peer.world.server.sessions.values()
    assert session.producers == {}


def test_credits_for_ever_more_addresses_are_refused() -> None:
    world = World(BrokerConfiguration(global_max_size=1), limits=Limits(max_consumers=3))
    peer = world.connect()
    peer.session()
    peer.queue()
    peer.post(b"x")
    for number in range(3):
        peer.send(p.RequestProducerCredits(100, f"address {number}"))
    peer.take_all()
    peer.send(p.RequestProducerCredits(100, "one more"))
    peer.send(p.RequestProducerCredits(100, LONG))
    (session,) = world.server.sessions.values()
    assert len(session.wanted_credits) == 3


# --- transactions and ids ---------------------------------------------------------------------------------------------


def test_branches_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activeclient.broker.xa.MAX_BRANCHES", 2)
    xa = Office().post.xa
    for number in range(2):
        xid = Xid(1, b"%d" % number, b"b")
        xa.end(xid, xa.start(xid))
    with pytest.raises(XAError, match="2 branches"):
        xa.start(Xid(1, b"one more", b"b"))
    xa.rollback(Xid(1, b"0", b"b"))
    xa.start(Xid(1, b"one more", b"b"))


def test_ids_in_open_transactions_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activeclient.broker.postoffice.MAX_HELD_IDS", 3)
    office = Office()
    one, other = office.post.begin(), office.post.begin()
    for number in range(2):
        office.post.route(message(b"", "nowhere", _AMQ_DUPL_ID=f"{number}"), one)
    for number in range(2):
        office.post.route(message(b"", "nowhere", _AMQ_DUPL_ID=f"other {number}"), other)
    assert office.post.held_ids == 3
    with pytest.raises(ResourceAllocationError, match="too many duplicate ids"):
        other.commit()
    one.commit()
    assert office.post.held_ids == 0


def test_duplicate_ids_of_all_addresses_have_a_bound() -> None:
    forgotten: list[str] = []
    ids = DuplicateIds(forgotten.append, most=160)
    for number in range(40):
        for value in range(10):
            ids.record(f"address {number}", b"%d" % value, 20)
    assert 24 <= len(forgotten) < 40
    assert forgotten[0] == "address 0"
    assert ("address 39", b"5") in ids
    assert ("address 0", b"5") not in ids


def test_addresses_whose_ids_are_forgotten_leave_the_store_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activeclient.broker.duplicates.ADDRESSES", 2)
    office = Office()
    for number in range(3):
        office.post.route(message(b"", f"nowhere {number}", _AMQ_DUPL_ID="1"))
    assert sorted(office.store._duplicates) == ["nowhere 1", "nowhere 2"]
    office.restart()


def test_long_ids_and_groups_are_remembered_by_their_hash() -> None:
    ids = DuplicateIds()
    for end in (b"1", b"2"):
        ids.record("q", bytes(1_000_000) + end, 10)
    assert ("q", bytes(1_000_000) + b"1") in ids
    assert ("q", bytes(1_000_000) + b"3") not in ids
    assert max(map(len, ids.of("q"))) <= bounds.LONG_KEY
    groups = Groups(-1, 10)
    keys = {groups.key(message(b"", _AMQ_GROUP_ID="g" * 100_000 + end)) for end in ("1", "2", "1")}
    assert len(keys) == 2
    assert all(len(str(key)) <= bounds.LONG_KEY for key in keys)


def test_properties_of_much_memory_are_not_kept_decoded() -> None:
    small, large = message(b"", n=1), message(b"", text="x" * bounds.KEPT_PROPERTIES)
    for each in (small, large):
        assert each.property("n" if each is small else "text") is not None
    assert small._properties is not None
    assert large._properties is None


def test_a_queue_that_waits_to_dispatch_is_not_kept_when_it_is_deleted() -> None:
    office = Office()
    queue = office.queue("q", consumers_before_dispatch=2, delay_before_dispatch=1 << 40)
    office.consume(queue).close()
    office.post.delete_queue("q")
    waiting = [entry for entry in office.post._timers if entry[0] > 1e9]
    assert len(waiting) == 1
    del queue
    gc.collect()
    (start,) = [entry[2] for entry in waiting]
    start()  # nobody is there any more


# --- large bodies -----------------------------------------------------------------------------------------------------


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_large_bodies_share_one_file_which_goes_with_the_last() -> None:
    before = descriptors()
    file = SpillFile()
    contents = [bytes([number]) * (SLOT + number) for number in range(50)]
    bodies = []
    for content in contents:
        body = LargeBody(0, file)
        for at in range(0, len(content), 100_000):
            body.append(content[at : at + 100_000])
        bodies.append(body)
    assert descriptors() == before + 1
    for body, content in zip(bodies, contents, strict=True):
        assert body.read(0, len(content)) == content
        assert body.read(SLOT - 5, 10) == content[SLOT - 5 : SLOT + 5]
        assert body.read(len(content), 10) == b""
    used = file.used
    bodies[10].release()
    again = LargeBody(0, file)
    again.append(b"in the place of another")
    assert file.used == used - 1 + (len(contents[10]) <= SLOT)
    assert again.read(0, 100) == b"in the place of another"
    for body in [again, *bodies[:10], *bodies[11:]]:
        body.release()
    assert file.used == 0
    assert descriptors() == before


def test_large_bodies_in_memory_have_a_bound_together() -> None:
    file = SpillFile(memory_limit=2500)
    bodies = [LargeBody(1000, file) for _ in range(5)]
    for body in bodies:
        body.append(bytes(900))
    assert sum(body.memory for body in bodies) == file.memory == 1800
    for body in bodies:
        assert body.read(0, 1000) == bytes(900)
        body.release()
    assert file.memory == file.used == 0


def send_large(peer: Peer, pieces: int) -> None:
    peer.bytes(encode_send_large_header(CoreMessage(b"", 4, "q"), 10, NEWEST))
    for number in range(pieces):
        last = number == pieces - 1
        peer.send(p.SendContinuation(bytes(300_000), not last, -1, requires_response=last, correlation_id=7))


def test_a_body_for_which_the_disk_has_no_room_is_refused(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.world.post.spill.memory_limit = 0
    monkeypatch.setattr(spill, "LEAST_FREE_DISK", 1 << 62)
    monkeypatch.setattr(spill, "LEAST_FREE_SHARE", 2.0)
    before = descriptors()
    send_large(peer, 3)
    (answer,) = [each for each in peer.take_all() if isinstance(each, p.ExceptionResponse)]
    assert (answer.code, answer.correlation_id) == (210, 7)
    assert "must be left" in str(answer.message)
    assert descriptors() == before
    monkeypatch.undo()
    send_large(peer, 3)
    assert not any(isinstance(each, p.ExceptionResponse) for each in peer.take_all())
    assert peer.world.post.find("q").message_count == 1  # type: ignore[union-attr]
    peer.world.post.find("q").purge()  # type: ignore[union-attr]
    assert descriptors() == before


def test_a_body_that_cannot_be_read_ends_its_connection_and_not_the_broker(peer: Peer) -> None:
    peer.world.post.spill.memory_limit = 0
    send_large(peer, 2)
    (ref,) = peer.world.post.find("q").waiting()  # type: ignore[union-attr]

    def failing(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    body = ref.message.large
    assert body is not None
    slots, body._slots = body._slots, [1 << 40]
    peer.take_all()
    peer.consume()
    body._slots = slots
    assert peer.connection.aborted
    peer.world.advance(3)
    assert peer.world.post.find("q").message_count == 1  # type: ignore[union-attr]
    peer.world.post.find("q").purge()  # type: ignore[union-attr]


def test_an_unknown_name_is_no_reason_to_keep_it(peer: Peer) -> None:
    with pytest.raises(InvalidDestinationError):
        peer.world.post.addresses.plan("x" * (2 * bounds.MAX_NAME + 1))


def test_credits_for_too_long_a_name_are_refused_and_not_left_unanswered() -> None:
    peer = World().connect()
    peer.send(create_session("s", 10), 1)
    name = "x" * (bounds.MAX_NAME + 1)
    peer.send(p.RequestProducerCredits(5, name), 10)
    assert p.ProducerFailCredits(5, name) in peer.take_all()
