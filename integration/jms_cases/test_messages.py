"""Bodies: what each kind of message keeps, when it can be written and read, and what it refuses."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest

from activeclient import (
    BytesMessage,
    Connection,
    MapMessage,
    Message,
    ObjectMessage,
    Queue,
    Session,
    StreamMessage,
    TextMessage,
)
from activeclient.errors import (
    MessageEOFError,
    MessageFormatError,
    MessageNotReadableError,
    MessageNotWriteableError,
)
from integration.jms_cases.exchange import SOON, exchanged, sent_and_received
from tests.jms.theirs import Theirs

LENGTHS = [0, 1, 8, 9, 20, 4094, 4095, 10_000, 0xFFFF, 0x10000, 2 * 0xFFFF]
"""Characters of texts around each change of a form on the wire, the one to a large message included."""
WRITES: dict[str, object] = {
    "boolean": True, "byte": -7, "short": -300, "char": "c", "int": -70_000, "long": -(2**40), "float": 1.5,
    "double": -2.25, "bytes": b"\x00\xff",
}  # fmt: skip


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_of_any_length_arrives(session: Session, queue: Queue, length: int) -> None:
    assert exchanged(session, queue, TextMessage("é" * length)).text == "é" * length


def test_a_text_just_below_and_beyond_the_limit_of_one_frame_arrives(session: Session, queue: Queue) -> None:
    for length in (51_000, 51_190, 51_195, 51_196, 51_197, 51_198, 51_200, 51_300):
        assert exchanged(session, queue, TextMessage("x" * length)).text == "x" * length


def test_no_text_and_the_empty_text_differ(session: Session, queue: Queue) -> None:
    assert exchanged(session, queue, TextMessage(None)).text is None
    assert exchanged(session, queue, TextMessage("")).text == ""
    emptied = TextMessage("something")
    emptied.text = None
    assert exchanged(session, queue, emptied).text is None
    cleared = TextMessage("something")
    cleared.clear_body()
    assert exchanged(session, queue, cleared).text is None


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_bytes_are_read_in_the_order_in_which_they_were_written(session: Session, queue: Queue) -> None:
    message = session.create_bytes_message()
    for kind, value in WRITES.items():
        getattr(message, f"write_{kind}")(value)
    message.write_utf("é\U0001f600")
    arrived = exchanged(session, queue, message)
    for kind, value in WRITES.items():
        read = getattr(arrived, f"read_{kind}")
        assert (read(2) if kind == "bytes" else read()) == value
    assert arrived.read_utf() == "é\U0001f600"
    assert arrived.read_bytes() == b""
    with pytest.raises(MessageEOFError):
        arrived.read_byte()


def test_bytes_written_as_objects_are_those_of_their_types(session: Session, queue: Queue) -> None:
    message = session.create_bytes_message()
    for value in (True, 5, 2**40, 1.5, "text", b"raw"):
        message.write_object(value)
    arrived = exchanged(session, queue, message)
    assert arrived.read_boolean() is True
    assert (arrived.read_int(), arrived.read_long(), arrived.read_double()) == (5, 2**40, 1.5)
    assert (arrived.read_utf(), arrived.read_bytes()) == ("text", b"raw")


def test_unsigned_reads_see_the_same_bits(session: Session, queue: Queue) -> None:
    message = session.create_bytes_message()
    message.write_byte(-1)
    message.write_short(-1)
    arrived = exchanged(session, queue, message)
    assert (arrived.read_unsigned_byte(), arrived.read_unsigned_short()) == (255, 65535)


def test_a_written_body_is_not_read_and_a_reset_one_not_written(session: Session, queue: Queue) -> None:
    message = session.create_bytes_message()
    message.write_int(5)
    for read in (message.read_int, lambda: message.body_length):
        with pytest.raises(MessageNotReadableError):
            read()
    message.reset()
    assert message.body_length == 4
    assert message.read_int() == 5
    with pytest.raises(MessageNotWriteableError):
        message.write_int(6)
    message.clear_body()
    message.write_int(7)
    assert exchanged(session, queue, message).read_int() == 7


def test_a_sent_body_of_bytes_is_read_by_its_sender_and_the_send_again_is_whole(session: Session, queue: Queue) -> None:
    message = session.create_bytes_message(b"abc")
    exchanged(session, queue, message)
    assert message.read_bytes(2) == b"ab"
    assert exchanged(session, queue, message).data == b"abc"


def test_a_reset_of_a_received_body_reads_it_again(session: Session, queue: Queue) -> None:
    message = session.create_bytes_message()
    message.write_int(1)
    arrived = exchanged(session, queue, message)
    assert arrived.read_int() == 1
    arrived.reset()
    assert arrived.read_int() == 1
    assert arrived.body_length == 4


def test_the_bytes_of_several_subscribers_have_positions_of_their_own(connection: Connection, queue: Queue) -> None:
    with connection.create_session() as session:
        topic = session.create_temporary_topic()
        consumers = [connection.create_session().create_consumer(topic) for _ in range(3)]
        session.create_producer(topic).send(b"abcd")
        messages = [consumer.receive(SOON) for consumer in consumers]
        for size, message in enumerate(messages):
            assert isinstance(message, BytesMessage)
            assert message.read_bytes(size) == b"abcd"[:size]
        for message in messages:
            assert message is not None
            assert message.body == b"abcd"


# --- maps -------------------------------------------------------------------------------------------------------------

MAP_READS: dict[str, str] = {
    "boolean": "boolean string", "byte": "byte short int long string", "short": "short int long string",
    "char": "char string", "int": "int long string", "long": "long string", "float": "float double string",
    "double": "double string", "bytes": "bytes",
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITES)
def test_an_entry_is_read_as_the_table_says_and_no_other_way(session: Session, queue: Queue, kind: str) -> None:
    message = session.create_map_message()
    getattr(message, f"set_{kind}")("entry", WRITES[kind])
    arrived = exchanged(session, queue, message)
    assert arrived.get_object("entry") == WRITES[kind]
    for wanted in (*WRITES, "string"):
        get: Callable[[str], object] = getattr(arrived, f"get_{wanted}")
        if wanted not in MAP_READS[kind].split():
            with pytest.raises(MessageFormatError, match="map entry 'entry'"):
                get("entry")
        elif wanted != "string":
            assert get("entry") == WRITES[kind]
        else:
            assert isinstance(get("entry"), str)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("boolean", "TRUE", True), ("boolean", "yes", False), ("byte", "-128", -128), ("short", "32767", 32767),
        ("int", "+5", 5), ("long", "-9223372036854775808", -(2**63)), ("float", "1.5", 1.5), ("double", "1e3", 1000.0),
    ],
)  # fmt: skip
def test_a_text_entry_is_parsed(session: Session, queue: Queue, kind: str, text: str, value: object) -> None:
    arrived = exchanged(session, queue, MapMessage({"entry": text}))
    assert getattr(arrived, f"get_{kind}")("entry") == value


@pytest.mark.parametrize("kind", ["byte", "short", "int", "long", "float", "double"])
@pytest.mark.parametrize("text", ["", "five", "1x", "99999999999999999999999999999x"])
def test_a_text_entry_that_is_no_number_is_refused(kind: str, text: str) -> None:
    with pytest.raises(MessageFormatError):
        getattr(MapMessage({"entry": text}), f"get_{kind}")("entry")


def test_entries_are_listed_replaced_and_absent_ones_told_apart_from_none(session: Session, queue: Queue) -> None:
    message = MapMessage({"a": 1, "none": None})
    message.set_string("a", "replaced")
    arrived = exchanged(session, queue, message)
    assert sorted(arrived) == ["a", "none"]
    assert arrived["a"] == "replaced"
    assert "none" in arrived
    assert "absent" not in arrived
    assert arrived.get_string("none") is arrived.get_string("absent") is None
    with pytest.raises(MessageFormatError):
        arrived.get_int("absent")


def test_names_of_entries_are_never_empty() -> None:
    for name in (None, ""):
        for setter, value in (("set_string", "x"), ("set_int", 1), ("set_object", 1), ("set_bytes", b"")):
            with pytest.raises(MessageFormatError):
                getattr(MapMessage(), setter)(name, value)


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", LENGTHS)
def test_a_stream_with_a_text_of_any_length_arrives(session: Session, queue: Queue, length: int) -> None:
    arrived = exchanged(session, queue, StreamMessage(["é" * length, "after"]))
    assert (arrived.read_string(), arrived.read_string()) == ("é" * length, "after")


@pytest.mark.parametrize("kind", WRITES)
def test_an_element_is_read_as_the_table_says_and_a_refusal_moves_nothing(
    session: Session, queue: Queue, kind: str
) -> None:
    message = session.create_stream_message()
    getattr(message, f"write_{kind}")(WRITES[kind])
    arrived = exchanged(session, queue, message)
    for wanted in (*WRITES, "string"):
        read: Callable[[], object] = getattr(arrived, f"read_{wanted}")
        if wanted in MAP_READS[kind].split():
            assert read() == WRITES[kind] or wanted == "string"
            arrived.reset()
        else:
            with pytest.raises(MessageFormatError):
                read()
    assert arrived.read_object() == WRITES[kind]
    with pytest.raises(MessageEOFError):
        arrived.read_object()


def test_bytes_in_a_stream_are_read_in_pieces(session: Session, queue: Queue) -> None:
    arrived = exchanged(session, queue, StreamMessage([b"0123456789", b"", 7]))
    assert [arrived.read_bytes(4), arrived.read_bytes(4), arrived.read_bytes(4)] == [b"0123", b"4567", b"89"]
    assert arrived.read_bytes(4) == b""
    assert arrived.read_int() == 7


def test_a_stream_is_written_then_read_and_cleared(session: Session, queue: Queue) -> None:
    message = session.create_stream_message([1])
    with pytest.raises(MessageNotReadableError):
        message.read_int()
    arrived = exchanged(session, queue, message)
    with pytest.raises(MessageNotWriteableError):
        arrived.write_int(1)
    with pytest.raises(MessageNotWriteableError):
        message.write_int(1)
    message.clear_body()
    message.write_string("again")
    assert exchanged(session, queue, message).read_string() == "again"


# --- objects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["text", 5, 1.5, True, [1, [2]], {"a": {"b": None}}, "x" * 300_000], ids=lambda each: repr(each)[:20]
)
def test_an_object_arrives_and_what_becomes_of_it_later_does_not(session: Session, queue: Queue, value: object) -> None:
    message = session.create_object_message(value)
    expected = copy.deepcopy(value)
    if isinstance(value, list | dict):
        value.clear()
    assert exchanged(session, queue, message).object == expected


def test_no_object_arrives_as_none(session: Session, queue: Queue) -> None:
    assert exchanged(session, queue, ObjectMessage()).object is None
    message = ObjectMessage({"a": 1})
    message.object = None
    assert exchanged(session, queue, message).object is None


def test_one_received_object_is_read_by_several_threads(session: Session, queue: Queue) -> None:
    arrived = exchanged(session, queue, ObjectMessage(list(range(1000))))
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(arrived.object)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(1000))] * 4


# --- every kind -------------------------------------------------------------------------------------------------------

BODIES: list[tuple[object, type]] = [
    ("text", str), (b"bytes", bytes), ({"a": 1}, dict), (None, object),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind"), BODIES, ids=lambda each: getattr(each, "__name__", type(each).__name__))
def test_a_body_is_asked_for_by_its_type(session: Session, queue: Queue, body: object, kind: type) -> None:
    arrived = sent_and_received(session, queue, body)
    assert arrived.is_body_assignable_to(kind)
    assert arrived.is_body_assignable_to(object)
    found: object = arrived.get_body(kind)
    assert found == body
    others: list[type] = [each for each in (str, bytes, dict) if each is not kind]
    for other in others:
        assert arrived.is_body_assignable_to(other) is (body is None)
        if body is None:
            assert arrived.get_body(other) is None
        else:
            with pytest.raises(MessageFormatError):
                arrived.get_body(other)


@pytest.mark.parametrize("make", [Message, TextMessage, BytesMessage, ObjectMessage], ids=lambda each: each.__name__)
def test_what_has_no_body_gives_none_for_every_type(session: Session, queue: Queue, make: Any) -> None:
    arrived = exchanged(session, queue, make())
    for kind in (str, bytes, dict, int):
        assert arrived.is_body_assignable_to(kind)
        assert arrived.get_body(kind) is None


def test_an_empty_map_is_a_map_and_a_stream_has_no_body_as_a_whole(session: Session, queue: Queue) -> None:
    assert exchanged(session, queue, MapMessage()).get_body(dict) == {}
    for values in ([], [1]):
        arrived = exchanged(session, queue, StreamMessage(values))
        assert not arrived.is_body_assignable_to(list)
        with pytest.raises(MessageFormatError):
            arrived.get_body(list)


@pytest.mark.parametrize("size", [10, 500_000])
def test_a_received_message_is_sent_on_several_times(session: Session, queue: Queue, size: int) -> None:
    # Artemis' client once lost the body of a large message that was sent again.
    message: Message = TextMessage("x" * size, properties={"n": 1})
    for _ in range(3):
        arrived = exchanged(session, queue, message)
        assert arrived.body == "x" * size
        assert arrived.properties["n"] == 1
        message = arrived


def test_a_message_is_changed_between_sends_and_what_was_sent_is_not(session: Session, queue: Queue) -> None:
    message = TextMessage("0")
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        for index in range(5):
            message.text = str(index)
            message.properties["n"] = index
            producer.send(message)
        for index in range(5):
            arrived = consumer.receive(SOON)
            assert arrived is not None
            assert (arrived.body, arrived.properties["n"]) == (str(index), index)


@pytest.mark.parametrize("size", [10, 500_000])
@pytest.mark.parametrize("kind", [str, bytes, dict, list])
def test_a_message_of_another_library_arrives_as_ours(session: Session, queue: Queue, kind: type, size: int) -> None:
    text = "x" * size
    bodies: dict[type, object] = {str: text, bytes: text.encode(), dict: {"a": text}, list: [text, 1]}
    body = bodies[kind]
    theirs = Theirs(body, {"own": "kept"}, jms_correlation_id="c")
    arrived = sent_and_received(session, queue, theirs)
    assert arrived.body == body
    assert (arrived.properties["own"], arrived.jms_correlation_id) == ("kept", "c")
    assert theirs.jms_message_id == arrived.jms_message_id
