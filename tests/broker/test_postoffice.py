from __future__ import annotations

import pytest

from activeclient.broker.configuration import AddressSettings, FullPolicy, User
from activeclient.broker.large import LargeBody
from activeclient.broker.message import StoredMessage
from activeclient.broker.postoffice import RoutingResult
from activeclient.broker.store import MemoryStore
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import DuplicateIDError, JMSSecurityError, ResourceAllocationError
from activeclient.wire.message import CoreMessage, encode_send_large_header
from activeclient.wire.properties import Byte
from activeclient.wire.versions import NEWEST
from tests.broker.office import START_MS, Office, message


@pytest.fixture
def office() -> Office:
    return Office()


def routed(office: Office, *arguments: object, tx: object = None, **options: object) -> RoutingResult:
    return office.post.route(message(*arguments, **options), tx)


# --- who ------------------------------------------------------------------------------------------------------------


def test_anybody_may_connect_when_no_user_is_configured(office):
    assert office.post.authenticate("me", "x").name == "me"
    assert office.post.authenticate(None, None).name == ""


@pytest.mark.parametrize(("user", "password"), [("ada", "wrong"), ("ada", None), ("bob", ""), (None, None), ("", "")])
def test_a_user_needs_the_right_password(user, password):
    office = Office(users=(User("ada", "secret-7"),))
    assert office.post.authenticate("ada", "secret-7").name == "ada"
    with pytest.raises(JMSSecurityError, match="Unable to validate user") as caught:
        office.post.authenticate(user, password)
    assert caught.value.code == 105
    assert "secret-7" not in repr(office.configuration) + str(caught.value)


# --- where to -------------------------------------------------------------------------------------------------------


def test_of_anycast_queues_one_gets_a_message_in_turn(office):
    office.queue("one", address="a")
    office.queue("two", address="a")
    office.send("1", "2", "3", address="a")
    assert (office.waiting("one"), office.waiting("two")) == (["1", "3"], ["2"])


def test_of_multicast_queues_all_get_it(office):
    office.queue("one", MULTICAST, address="a")
    office.queue("two", MULTICAST, address="a")
    assert routed(office, "1", "a") is RoutingResult.ROUTED
    assert office.waiting("one") == office.waiting("two") == ["1"]


def test_a_message_for_one_kind_of_queue_goes_to_no_other(office):
    office.queue("any", ANYCAST, address="a")
    office.queue("multi", MULTICAST, address="a")
    routed(office, "both", "a")
    routed(office, "any", "a", _AMQ_ROUTING_TYPE=Byte(ANYCAST))
    routed(office, "multi", "a", _AMQ_ROUTING_TYPE=Byte(MULTICAST))
    assert (office.waiting("any"), office.waiting("multi")) == (["both", "any"], ["both", "multi"])
    office.queue("only", ANYCAST, address="b")
    assert routed(office, "x", "b", _AMQ_ROUTING_TYPE=Byte(MULTICAST)) is RoutingResult.UNROUTED


def test_a_queue_takes_what_its_filter_lets_through(office):
    office.queue("red", MULTICAST, address="a", filter_string="colour = 'red'")
    office.queue("blue", ANYCAST, address="a", filter_string="colour = 'blue'")
    office.queue("green", ANYCAST, address="a", filter_string="colour = 'green'")
    for colour in ("red", "green", "blue", "green"):
        routed(office, colour, "a", colour=colour)
    assert [office.waiting(name) for name in ("red", "green", "blue")] == [["red"], ["green", "green"], ["blue"]]
    assert routed(office, "", "a", colour="pink") is RoutingResult.UNROUTED


def test_a_queue_can_be_named_behind_its_address(office):
    office.queue("one", address="a")
    office.queue("two", address="a")
    assert routed(office, "x", "a::two") is RoutingResult.ROUTED
    assert (office.waiting("one"), office.waiting("two")) == ([], ["x"])
    assert routed(office, "x", "b::two") is RoutingResult.UNROUTED
    office.queue("any", address="#")
    assert routed(office, "y", "c::any") is RoutingResult.ROUTED
    assert office.waiting("any") == ["y"]


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("news.*", "news.uk", True),
        ("news.*", "news", False),
        ("news.*", "news.uk.london", False),
        ("news.#", "news", True),
        ("news.#", "news.uk.london", True),
        ("news.#.x", "news.uk.x", True),
        ("#", "anything.at.all", True),
        ("news.uk", "news.us", False),
    ],
)
def test_an_address_with_wildcards_gets_what_is_sent_to_those_it_stands_for(office, pattern, address, fits):
    office.queue("sub", MULTICAST, address=pattern)
    expected = RoutingResult.ROUTED if fits else RoutingResult.UNROUTED
    assert routed(office, "x", address) is expected
    assert office.waiting("sub") == (["x"] if fits else [])


def test_wildcards_count_for_addresses_that_are_made_later_and_no_more_when_gone(office):
    assert routed(office, "0", "news.uk") is RoutingResult.UNROUTED
    office.queue("sub", MULTICAST, address="news.#")
    office.queue("own", MULTICAST, address="news.uk")
    routed(office, "1", "news.uk")
    assert office.waiting("sub") == office.waiting("own") == ["1"]
    office.post.delete_queue("sub")
    routed(office, "2", "news.uk")
    assert office.waiting("own") == ["1", "2"]


def test_a_message_for_nobody_is_no_error(office):
    assert routed(office, "x", "nowhere") is RoutingResult.UNROUTED
    assert office.post.addresses.memory.size == 0
    assert office.post.query_address("nowhere").exists is False


def test_what_nobody_wants_may_go_to_the_dead_letters():
    office = Office(settings=AddressSettings(dead_letter_address="DLQ", send_to_dla_on_no_route=True))
    office.queue("DLQ")
    routed(office, "x", "nowhere")
    (ref,) = office.post.find("DLQ").browse()
    assert ref.message.properties["_AMQ_ORIG_ADDRESS"] == "nowhere"


# --- repeats --------------------------------------------------------------------------------------------------------


def test_a_repeat_is_dropped_without_a_word(office):
    office.queue()
    assert routed(office, "1", _AMQ_DUPL_ID=b"id") is RoutingResult.ROUTED
    assert routed(office, "2", _AMQ_DUPL_ID=b"id") is RoutingResult.DUPLICATE
    assert office.waiting() == ["1"]
    assert office.post.find("q").message_count == 1


def test_a_text_is_the_same_id_as_its_utf_16le_bytes_and_no_other(office):
    office.queue()
    routed(office, "1", _AMQ_DUPL_ID="idé")
    assert routed(office, "2", _AMQ_DUPL_ID="idé".encode("utf-16-le")) is RoutingResult.DUPLICATE
    assert routed(office, "3", _AMQ_DUPL_ID="idé".encode()) is RoutingResult.ROUTED
    assert routed(office, "4", _AMQ_DUPL_ID=7) is RoutingResult.ROUTED
    assert routed(office, "5", _AMQ_DUPL_ID=7) is RoutingResult.DUPLICATE


def test_each_address_remembers_its_own_ids_also_of_what_went_nowhere(office):
    office.queue("a")
    assert routed(office, "1", "nowhere", _AMQ_DUPL_ID=b"id") is RoutingResult.UNROUTED
    office.queue("nowhere")
    assert routed(office, "2", "nowhere", _AMQ_DUPL_ID=b"id") is RoutingResult.DUPLICATE
    assert routed(office, "3", "a", _AMQ_DUPL_ID=b"id") is RoutingResult.ROUTED
    assert routed(office, "3", "a::a", _AMQ_DUPL_ID=b"id") is RoutingResult.DUPLICATE


def test_the_oldest_ids_are_forgotten():
    office = Office(settings=AddressSettings(id_cache_size=2))
    office.queue()
    for number in (b"1", b"2", b"3"):
        assert routed(office, "x", _AMQ_DUPL_ID=number) is RoutingResult.ROUTED
    assert routed(office, "x", _AMQ_DUPL_ID=b"3") is RoutingResult.DUPLICATE
    assert routed(office, "x", _AMQ_DUPL_ID=b"1") is RoutingResult.ROUTED


def test_an_address_may_remember_nothing():
    office = Office(settings=AddressSettings(id_cache_size=0))
    office.queue()
    for _ in range(2):
        assert routed(office, "x", _AMQ_DUPL_ID=b"1") is RoutingResult.ROUTED


def test_a_repeat_inside_a_transaction_makes_the_commit_fail_and_all_of_it_void(office):
    office.queue()
    routed(office, "1", _AMQ_DUPL_ID=b"id")
    taker = office.consume()
    tx = office.post.begin()
    routed(office, "2", tx=tx)
    assert routed(office, "3", _AMQ_DUPL_ID=b"id", tx=tx) is RoutingResult.DUPLICATE
    tx.acknowledge(taker.held[0])
    with pytest.raises(DuplicateIDError) as caught:
        tx.commit()
    assert caught.value.code == 113
    assert taker.taken == [(b"1", 1), (b"1", 2)]
    assert office.post.find("q").message_count == 1


def test_an_id_in_a_transaction_counts_when_that_commits(office):
    office.queue()
    undone, done = office.post.begin(), office.post.begin()
    routed(office, "1", _AMQ_DUPL_ID=b"id", tx=undone)
    undone.rollback()
    assert routed(office, "2", _AMQ_DUPL_ID=b"id", tx=done) is RoutingResult.ROUTED
    done.commit()
    assert routed(office, "3", _AMQ_DUPL_ID=b"id") is RoutingResult.DUPLICATE
    assert office.waiting() == ["2"]


# --- room -----------------------------------------------------------------------------------------------------------


def full_office(policy: FullPolicy, **options: object) -> Office:
    office = Office(settings=AddressSettings(max_size_messages=2, address_full_policy=policy), **options)
    office.queue()
    office.send("1", "2")
    return office


def test_an_address_that_fails_its_senders_raises_and_takes_again_when_there_is_room():
    office = full_office(FullPolicy.FAIL)
    with pytest.raises(ResourceAllocationError, match="is full") as caught:
        office.send("3")
    assert caught.value.code == 210
    assert office.post.when_room("q", lambda: None) is False
    tx = office.post.begin()
    with pytest.raises(ResourceAllocationError):
        office.send("3", tx=tx)
    with pytest.raises(ResourceAllocationError):
        tx.commit()
    office.consume().acknowledge(1)
    office.send("4")


def test_an_address_that_drops_drops():
    office = full_office(FullPolicy.DROP)
    assert routed(office, "3") is RoutingResult.DROPPED
    assert office.waiting() == ["1", "2"]
    ran = []
    assert office.post.when_room("q", lambda: ran.append(1))
    assert ran == [1]


def test_an_address_that_blocks_gives_room_in_turn_and_takes_what_is_sent_all_the_same():
    office = full_office(FullPolicy.BLOCK)
    office.send("3")
    ran: list[int] = []
    for number in (1, 2, 3):
        assert office.post.when_room("q", lambda number=number: ran.append(number))
    taker = office.consume()
    assert ran == []
    taker.acknowledge(1)
    assert ran == []
    taker.acknowledge(1)
    assert ran == [1, 2, 3]


def test_whoever_waits_is_called_one_by_one_while_there_is_room():
    office = full_office(FullPolicy.BLOCK)
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        office.send("3")

    office.post.when_room("q", first)
    office.post.when_room("q", lambda: ran.append("second"))
    office.consume().acknowledge(1)
    assert ran == ["first"]


def test_the_memory_of_all_addresses_together_has_a_bound_too():
    office = Office(global_max_size=3000)
    office.queue("a")
    office.queue("b")
    office.send("x" * 3000, address="a")
    ran = []
    office.post.when_room("b", lambda: ran.append(1))
    assert ran == []
    office.consume("a").acknowledge()
    assert ran == [1]


def test_a_size_in_bytes_bounds_an_address():
    office = Office(settings={"small.#": AddressSettings(max_size_bytes=100, address_full_policy=FullPolicy.FAIL)})
    office.queue("small.q")
    office.queue("large.q")
    office.send("1", address="small.q")
    with pytest.raises(ResourceAllocationError):
        office.send("2", address="small.q")
    office.send("1", "2", address="large.q")


def test_a_transaction_that_is_rolled_back_gives_its_room_back():
    office = Office(settings=AddressSettings(max_size_messages=1, address_full_policy=FullPolicy.FAIL))
    office.queue()
    tx = office.post.begin()
    office.send("1", tx=tx)
    with pytest.raises(ResourceAllocationError):
        office.send("2")
    tx.rollback()
    office.send("2")
    assert office.waiting() == ["2"]


# --- what the settings add ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        ({"expiry_delay": 500}, 0, 500),
        ({"expiry_delay": 500}, 900, 900),
        ({"min_expiry_delay": 100}, 50, 100),
        ({"min_expiry_delay": 100, "max_expiry_delay": 300}, 0, 300),
        ({"max_expiry_delay": 300}, 900, 300),
        ({"max_expiry_delay": 300}, 200, 200),
    ],
)
def test_settings_may_say_when_messages_expire(settings, given, expected):
    office = Office(settings=AddressSettings(**settings))
    office.queue()
    office.send("a", expiration=given and START_MS + given)
    (ref,) = office.post.find("q").browse()
    assert ref.message.expiration == START_MS + expected


def test_the_time_of_arrival_may_be_added():
    office = Office(settings=AddressSettings(enable_ingress_timestamp=True))
    office.queue()
    office.send("a", colour="red")
    (ref,) = office.post.find("q").browse()
    assert ref.message.properties == {"colour": "red", "_AMQ_INGRESS_TIMESTAMP": START_MS}


# --- a store that takes its time ------------------------------------------------------------------------------------


def test_a_durable_message_is_delivered_when_the_store_is_done_and_nothing_overtakes_it():
    store = MemoryStore()
    office = Office(store)
    office.queue()
    taker = office.consume()
    store.hold()
    office.send("durable")
    office.send("not durable", durable=False)
    assert taker.bodies() == []
    store.release()
    office.send("later", durable=False)
    assert taker.bodies() == ["durable", "not durable", "later"]


def test_callers_hear_of_completion_in_order_and_not_before():
    store = MemoryStore()
    office = Office(store)
    office.queue()
    office.send("a")
    taker = office.consume()
    store.hold()
    heard: list[str] = []
    office.send("b")
    store.when_complete(lambda: heard.append("send"))
    office.post.find("q").acknowledge(taker.held[0], done=lambda: heard.append("acknowledge"))
    tx = office.post.begin()
    office.send("c", tx=tx)
    tx.commit(lambda: heard.append("commit"))
    assert heard == []
    store.release()
    assert heard == ["send", "acknowledge", "commit"]
    assert taker.bodies() == ["a", "b", "c"]


def test_a_queue_that_goes_while_the_store_works_keeps_no_memory():
    store = MemoryStore()
    office = Office(store)
    office.queue()
    store.hold()
    office.send("a")
    office.post.delete_queue("q")
    store.release()
    assert office.post.addresses.memory.size == 0


# --- large ----------------------------------------------------------------------------------------------------------


def large_message(pieces: list[bytes], limit: int = 100, **options: object) -> StoredMessage:
    header = encode_send_large_header(CoreMessage(b"", 4, "q", **options), 10, NEWEST)
    body = LargeBody(limit)
    made = StoredMessage.from_send_large(header, body)
    for piece in pieces:
        body.append(piece)
    return made


def test_a_large_message_keeps_its_body_apart_and_moves_with_it():
    office = Office(settings=AddressSettings(dead_letter_address="DLQ", max_delivery_attempts=1))
    office.queue()
    office.queue("DLQ")
    office.post.route(large_message([b"x" * 60, b"y" * 60]))
    taker = office.consume(room=1)
    body = taker.held[0].message.large
    assert (body.size, body.memory, body.read(58, 4)) == (120, 0, b"xxyy")
    taker.give_back()
    other = office.consume("DLQ")
    assert other.held[0].message.large.read(0, 200) == b"x" * 60 + b"y" * 60
    other.acknowledge()
    assert office.post.addresses.memory.size == 0
    with pytest.raises(ValueError, match="released"):
        body.read(0, 1)


def test_a_large_body_in_memory_counts():
    office = Office()
    office.queue()
    office.post.route(large_message([b"x" * 5000], limit=10_000))
    assert office.post.addresses.memory.size > 5000
    office.consume().acknowledge()
    assert office.post.addresses.memory.size == 0


def test_a_large_message_that_is_refused_leaves_no_file():
    office = Office()
    office.queue()
    office.post.route(large_message([b"x"], properties={"_AMQ_DUPL_ID": b"1"}))
    repeat = large_message([b"x"], properties={"_AMQ_DUPL_ID": b"1"})
    assert office.post.route(repeat) is RoutingResult.DUPLICATE
    with pytest.raises(ValueError, match="released"):
        repeat.large.read(0, 1)


# --- time -----------------------------------------------------------------------------------------------------------


def test_the_next_timeout_is_that_of_the_first_scheduled_message_whatever_the_wall_says(office):
    office.queue()
    office.send("a", _AMQ_SCHED_DELIVERY=START_MS + 5000)
    assert office.post.next_timeout() == pytest.approx(1005.0)
    office.clock.skew_ms = 4000
    assert office.post.next_timeout() == pytest.approx(1001.0)
    office.clock.skew_ms = -60_000
    office.advance(2)
    assert office.waiting() == []


def test_nothing_is_due_without_scans_and_schedules():
    office = Office(message_expiry_scan_period=-1, address_queue_scan_period=-1)
    assert office.post.next_timeout() is None
