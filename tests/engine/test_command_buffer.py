"""The ring of unconfirmed commands, against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from activeclient.engine.command_buffer import CommandBuffer
from activeclient.errors import ReattachDiverged

LIMIT = 40


class Ring(RuleBasedStateMachine):
    """`history` is every command of the present count that was not withdrawn, with its place as its id."""

    def __init__(self):
        super().__init__()
        self.buffer = CommandBuffer(LIMIT, len)
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
        self.buffer.append(*entry)
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
    def mark_transmitted(self):
        self.buffer.mark_transmitted()
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
    buffer = CommandBuffer(10, len)
    while not buffer.full:
        buffer.append(b"1234567", None)
    assert buffer.used == 14


def test_the_mark_of_what_was_transmitted_moves_with_what_is_withdrawn_below_it():
    buffer = CommandBuffer(10, len)
    buffer.append(b"a", 1)
    buffer.append(b"b", 2)
    buffer.mark_transmitted()
    buffer.append(b"c", 3)
    buffer.withdraw(lambda _, settle: settle == 1)
    assert list(buffer.unsent()) == [(b"c", 3)]
    buffer.withdraw(lambda _, settle: settle == 3)
    buffer.append(b"d", 4)
    assert list(buffer.unsent()) == [(b"d", 4)]


def test_of_two_that_match_the_oldest_is_withdrawn():
    buffer = CommandBuffer(10, len)
    buffer.append(b"a", 1)
    buffer.append(b"b", 1)
    assert buffer.withdraw(lambda _, settle: settle == 1) == (b"a", 1)
    assert buffer.frames() == [b"b"]


def test_what_is_counted_need_not_be_bytes():
    buffer = CommandBuffer(2, lambda _: 1)
    buffer.append("long text", None)
    assert not buffer.full
    buffer.append("", None)
    assert buffer.full
