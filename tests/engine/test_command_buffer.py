"""The ring of unconfirmed commands, against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from activeclient.engine.buffer_bounds import MOST_REMAINS, ByBytes, ByMessages
from activeclient.engine.command_buffer import CommandBuffer, Remains, duplicate_id_in
from activeclient.errors import ReattachDiverged
from activeclient.wire.message import SEND, CoreMessage, correlation_of, encode_send
from activeclient.wire.packets import Acknowledge
from activeclient.wire.versions import NEWEST

LIMIT = 40


class Ring(RuleBasedStateMachine):
    """`history` is every command of the present count that was not withdrawn, with its place as its id."""

    def __init__(self):
        super().__init__()
        self.buffer = CommandBuffer(ByBytes(LIMIT))
        self.history = []
        self.confirmed = 0
        self.sent = 0
        self.serial = 0

    @property
    def left(self):
        return self.history[self.confirmed :]

    @rule(size=st.integers(0, 60), settles=st.booleans())
    def append(self, size, settles):
        self.serial += 1
        entry = (b"x" * size, self.serial if settles else None)
        self.buffer.append(*entry, size)
        self.history.append(entry)

    @rule(data=st.data())
    def confirm(self, data):
        last = data.draw(st.integers(self.confirmed - 1, len(self.history) - 1))
        expected = [settle for _, settle in self.history[self.confirmed : last + 1] if settle is not None]
        assert self.buffer.confirm(last) == expected
        self.confirmed = last + 1

    @rule(beyond=st.integers(0, 5), before=st.booleans())
    def an_impossible_confirmation_changes_nothing(self, beyond, before):
        last = self.confirmed - 2 - beyond if before else len(self.history) + beyond
        with pytest.raises(ReattachDiverged, match=f"confirms command {last};"):
            self.buffer.confirm(last)

    @rule(data=st.data())
    def withdraw(self, data):
        wanted = data.draw(st.sampled_from([0, *(settle for _, settle in self.left if settle is not None)]))
        found = next((entry for entry in self.left if entry[1] == wanted), None)
        assert self.buffer.withdraw(lambda _, settle: settle == wanted) == found
        if found is not None:
            position = self.history.index(found)
            del self.history[position]
            if position < self.sent:
                self.sent -= 1

    @rule()
    def link_lost(self):
        self.buffer.link_lost()
        self.sent = len(self.history)

    @rule()
    def restart(self):
        left, sent = self.buffer.restart()
        assert left == self.left
        assert sent == max(0, self.sent - self.confirmed)
        self.history, self.confirmed, self.sent = [], 0, 0

    @invariant()
    def it_is_what_the_list_is(self):
        buffer, left = self.buffer, self.left
        assert buffer.entries() == left
        assert buffer.frames() == [frame for frame, _ in left]
        assert len(buffer) == len(left)
        assert buffer.first == self.confirmed
        assert buffer.next_id == len(self.history)
        assert buffer.used == sum(len(frame) for frame, _ in left)
        assert buffer.full == (buffer.used >= LIMIT)
        assert list(buffer.unsent()) == self.history[max(self.sent, self.confirmed) :]


TestRing = Ring.TestCase
TestRing.settings = settings(deadline=None, stateful_step_count=25)


def test_who_asks_before_each_append_overshoots_by_one_entry_at_most():
    buffer = CommandBuffer(ByBytes(10))
    while not buffer.full:
        buffer.append(b"1234567", None, 7)
    assert buffer.used == 14


def test_the_mark_of_what_was_transmitted_moves_with_what_is_withdrawn_below_it():
    buffer = CommandBuffer(ByBytes(10))
    buffer.append(b"a", 1, 1)
    buffer.append(b"b", 2, 1)
    buffer.link_lost()
    buffer.append(b"c", 3, 1)
    buffer.withdraw(lambda _, settle: settle == 1)
    assert list(buffer.unsent()) == [(b"c", 3)]
    buffer.withdraw(lambda _, settle: settle == 3)
    buffer.append(b"d", 4, 1)
    assert list(buffer.unsent()) == [(b"d", 4)]


def test_of_two_that_match_the_oldest_is_withdrawn():
    buffer = CommandBuffer(ByBytes(10))
    buffer.append(b"a", 1, 1)
    buffer.append(b"b", 1, 1)
    assert buffer.withdraw(lambda _, settle: settle == 1) == (b"a", 1)
    assert buffer.frames() == [b"b"]


# --- by messages ------------------------------------------------------------------------------------------------------

MESSAGES, BYTES = 3, 300
KINDS = (SEND, Acknowledge.KIND)


def frame_of(kind, size, serial=0):
    """A frame of `size` bytes: length, kind, channel, a body, and a correlation id with a flag before and behind it."""
    middle = b"x" * max(0, size - 26)
    return b"\0\0\0\0" + bytes([kind]) + (10).to_bytes(8, "big") + middle + b"\1" + serial.to_bytes(8, "big") + bytes(4)


class RingByMessages(RuleBasedStateMachine):
    """`history` is every command of the present count with its place as its id; `kept` are the ids of those in full.

    The model keeps all and says at each step which of them would still be there.
    """

    def __init__(self):
        super().__init__()
        self.buffer = CommandBuffer(ByMessages(MESSAGES, BYTES))
        self.history = []
        self.confirmed = self.gone = 0
        self.held = False
        self.serial = 0

    @rule(kind=st.sampled_from(KINDS), size=st.integers(26, 150), settles=st.booleans())
    def append(self, kind, size, settles):
        self.serial += 1
        frame = frame_of(kind, size, self.serial)
        self.buffer.append(frame, self.serial if settles else None, len(frame))
        self.history.append((frame, self.serial if settles else None))
        while not self.held and self.gone < len(self.history) - 1 and self.too_much:
            self.gone += 1

    @property
    def too_much(self):
        kept = [frame for frame, _ in self.history[self.gone :]]
        return sum(frame[4] == SEND for frame in kept) > MESSAGES or sum(map(len, kept)) > BYTES

    @rule(data=st.data())
    def confirm(self, data):
        last = data.draw(st.integers(self.confirmed - 1, len(self.history) - 1))
        expected = [settle for _, settle in self.history[self.confirmed : last + 1] if settle is not None]
        assert self.buffer.confirm(last) == expected
        self.confirmed = last + 1
        self.gone = max(self.gone, self.confirmed)

    @rule(data=st.data())
    def withdraw(self, data):
        """As the refusal of a send finds it: by who waits for it, or by the correlation id in its tail."""
        left = self.history[self.confirmed :]
        if not left:
            return
        place = data.draw(st.integers(0, len(left) - 1))
        tail = left[place][0][-12:]
        found = self.buffer.withdraw(lambda frame, _: frame[-12:] == tail)
        assert found is not None
        assert found[1] == left[place][1]
        del self.history[self.confirmed + place]
        if self.confirmed + place < self.gone:
            self.gone -= 1

    @rule()
    def link_lost(self):
        self.buffer.link_lost()
        self.held = True

    @rule()
    def replayed(self):
        self.buffer.replayed()
        self.held = False

    @rule()
    def interrupted(self):
        assert self.buffer.mend() == []

    @invariant()
    def it_is_what_the_list_is(self):
        buffer = self.buffer
        left, kept = self.history[self.confirmed :], self.history[self.gone :]
        assert buffer.missing == range(self.confirmed, self.gone)
        assert buffer.frames()[buffer.gone :] == [frame for frame, _ in kept]
        assert [settle for _, settle in buffer.entries()] == [settle for _, settle in left]
        assert [frame[4] for frame in buffer.frames()] == [frame[4] for frame, _ in left]
        assert all(isinstance(frame, Remains) for frame in buffer.frames()[: buffer.gone])
        assert buffer.kept_bytes == sum(len(frame) for frame, _ in kept)
        assert buffer.used == sum(map(len, buffer.frames()))
        messages = sum(frame[4] == SEND for frame, _ in kept)
        assert buffer.messages == messages
        reached = messages >= MESSAGES or buffer.kept_bytes >= BYTES
        assert buffer.full == (self.held and reached), "a sender waits only while there is no link"


TestRingByMessages = RingByMessages.TestCase
TestRingByMessages.settings = settings(deadline=None, stateful_step_count=40)


def test_by_messages_the_oldest_leave_and_nobody_waits():
    buffer = CommandBuffer(ByMessages(128, 1 << 20))
    for serial in range(200):
        assert not buffer.full
        buffer.append(frame_of(SEND, 100, serial), serial, 100)
    assert buffer.missing == range(72)
    assert buffer.messages == 128
    assert buffer.confirm(71) == list(range(72)), "who waits for them is told when they are confirmed"
    assert not buffer.missing
    assert len(buffer) == 128


def test_other_commands_than_messages_do_not_count():
    buffer = CommandBuffer(ByMessages(2, 10_000))
    for _ in range(50):
        buffer.append(frame_of(Acknowledge.KIND, 30), None, 30)
    assert not buffer.missing


def test_bytes_bound_the_messages_too():
    buffer = CommandBuffer(ByMessages(128, 1000))
    for _ in range(3):
        buffer.append(frame_of(SEND, 600), None, 600)
    assert buffer.missing == range(2)
    assert buffer.kept_bytes == 600


def test_one_larger_than_all_of_it_is_kept_while_it_is_the_newest():
    buffer = CommandBuffer(ByMessages(128, 1000))
    buffer.append(frame_of(SEND, 5000), None, 5000)
    assert not buffer.missing


def test_without_a_link_nothing_leaves_and_a_sender_waits():
    buffer = CommandBuffer(ByMessages(4, 10_000))
    buffer.append(frame_of(SEND, 100), None, 100)
    buffer.link_lost()
    for _ in range(3):
        assert not buffer.full
        buffer.append(frame_of(SEND, 100), None, 100)
    assert buffer.full
    buffer.confirm(0)
    assert not buffer.full
    assert not buffer.half_free
    buffer.confirm(1)
    assert buffer.half_free
    assert not buffer.missing


def test_what_left_keeps_its_duplicate_id():
    message = CoreMessage(b"x" * 500, address="q", properties={"_AMQ_DUPL_ID": "the one"})
    frame = encode_send(message, 10, NEWEST, True, 7)
    buffer = CommandBuffer(ByMessages(1, 10_000))
    for _ in range(2):
        buffer.append(frame, None, len(frame))
    remains = buffer.frames()[0]
    assert len(remains) < 30
    assert duplicate_id_in(remains) == "the one"
    assert correlation_of(remains, NEWEST) == 7


def test_what_left_is_bounded_too():
    """A peer that never confirms holds a sender up at last."""
    buffer = CommandBuffer(ByMessages(1, 10_000))
    frame = frame_of(SEND, 100)
    for _ in range(MOST_REMAINS):
        assert not buffer.full
        buffer.append(frame, None, 100)
    buffer.append(frame, None, 100)
    assert buffer.full
    buffer.confirm(MOST_REMAINS - 1)
    assert not buffer.full


def test_a_bound_can_be_chosen_when_commands_are_there():
    buffer = CommandBuffer(ByBytes(1000))
    for _ in range(3):
        buffer.append(frame_of(SEND, 100), None, 100)
    buffer.bind(ByMessages(2, 10_000))
    assert buffer.messages == 3
    buffer.append(frame_of(SEND, 100), None, 100)
    assert buffer.missing == range(2)
