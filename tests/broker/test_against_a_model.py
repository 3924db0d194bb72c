"""The post office against a model of one queue that is too simple to be wrong.

Law of this file: the model is a list, and every step looks through all of it. Consumers take one message when they are
told, so that the model can say which.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from activeclient.broker.configuration import AddressSettings
from activeclient.broker.transaction import Transaction
from activeclient.wire.properties import PropertyValue
from tests.broker.office import Equals, Office, Taker, message

ATTEMPTS = 3
COLOURS = ("red", "blue", None)
WAITING, TX = "waiting", "acknowledged in the transaction"


@dataclass(frozen=True)
class Content:
    """What is sent."""

    priority: int
    durable: bool
    colour: str | None
    group: str | None
    closes: bool
    duplicate: bytes | None
    delay_ms: int


MESSAGES = st.builds(
    Content,
    priority=st.sampled_from((4, 4, 4, 0, 9)),
    durable=st.booleans(),
    colour=st.sampled_from(COLOURS),
    group=st.sampled_from((None, None, "g", "h")),
    closes=st.sampled_from((False, False, True)),
    duplicate=st.sampled_from((None, None, None, b"1", b"2")),
    delay_ms=st.sampled_from((0, 0, 0, 500)),
)
NUMBERS = st.integers(0, len(COLOURS) - 1)


@dataclass(eq=False)
class Entry:
    """A message in the model."""

    body: str
    content: Content
    due_ms: int
    order: int = 0
    count: int = 0
    stored_count: int = 0
    where: object = WAITING
    """WAITING, TX, or the consumer that has it."""

    @property
    def place(self) -> tuple[int, int]:
        return -self.content.priority, self.order


@dataclass
class Model:
    entries: list[Entry] = field(default_factory=list)
    sent_in_tx: list[Entry] = field(default_factory=list)
    ids: set[bytes] = field(default_factory=set)
    owners: dict[str, Taker] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    dead_durable: list[str] = field(default_factory=list)
    orders: int = 0

    def arrive(self, entry: Entry) -> None:
        self.orders += 1
        entry.order = self.orders
        self.entries.append(entry)

    def waiting(self, now_ms: int) -> list[Entry]:
        found = [each for each in self.entries if each.where == WAITING and each.due_ms <= now_ms]
        return sorted(found, key=lambda each: each.place)

    def held(self, where: object) -> list[Entry]:
        return sorted((each for each in self.entries if each.where is where), key=lambda each: each.order)

    def next_for(self, taker: Taker, colour: str | None, now_ms: int) -> Entry | None:
        for each in self.waiting(now_ms):
            wanted = colour is None or each.content.colour == colour
            group = each.content.group
            if wanted and (group is None or self.owners.get(group, taker) is taker):
                return each
        return None

    def give_back(self, entries: list[Entry], counted: bool) -> None:
        for each in entries:
            each.where = WAITING
            each.count -= not counted
            each.stored_count = each.count
            if each.count >= ATTEMPTS:
                self.entries.remove(each)
                self.dead.append(each.body)
                if each.content.durable:
                    self.dead_durable.append(each.body)


SETTINGS = AddressSettings(dead_letter_address="DLQ", max_delivery_attempts=ATTEMPTS)


class AgainstAModel(RuleBasedStateMachine):
    """One queue, three consumers with filters or none, at most one transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.office = self.new_office()
        self.queue = self.office.queue()
        self.office.queue("DLQ")
        self.model = Model()
        self.tx: Transaction | None = None
        self.sent = 0
        self.takers = [self._open(colour) for colour in COLOURS]

    def new_office(self) -> Office:
        return Office(settings=SETTINGS)

    def _open(self, colour: str | None) -> Taker:
        return self.office.consume(self.queue, room=0, filter=None if colour is None else Equals("colour", colour))

    def now_ms(self) -> int:
        return self.office.clock.wall_ms()

    @rule(messages=st.lists(MESSAGES, min_size=1, max_size=4), in_tx=st.booleans())
    def send(self, messages: list[Content], in_tx: bool) -> None:
        for content in messages:
            if self.tx is None or not in_tx:
                self._send(content, None)
            elif content.duplicate not in self.model.ids:
                self._send(content, self.tx)

    def _send(self, content: Content, tx: Transaction | None) -> None:
        self.sent += 1
        due_ms = self.now_ms() + content.delay_ms if content.delay_ms else 0
        entry = Entry(str(self.sent), content, due_ms)
        properties: dict[str, PropertyValue] = {
            "colour": content.colour,
            "_AMQ_GROUP_ID": content.group,
            "_AMQ_GROUP_SEQUENCE": -1 if content.closes else None,
            "_AMQ_DUPL_ID": content.duplicate,
            "_AMQ_SCHED_DELIVERY": due_ms or None,
        }
        given = {name: value for name, value in properties.items() if value is not None}
        self.office.post.route(message(entry.body, durable=content.durable, priority=content.priority, **given), tx)
        if tx is not None:
            self.model.sent_in_tx.append(entry)
        elif content.duplicate not in self.model.ids:
            self._arrived(entry)

    def _arrived(self, entry: Entry) -> None:
        self.model.arrive(entry)
        if entry.content.duplicate is not None:
            self.model.ids.add(entry.content.duplicate)

    @rule(number=NUMBERS, times=st.integers(1, 3))
    def pull(self, number: int, times: int) -> None:
        for _ in range(times):
            self._pull(self.takers[number], COLOURS[number])

    def _pull(self, taker: Taker, colour: str | None) -> None:
        expected = self.model.next_for(taker, colour, self.now_ms())
        before = len(taker.taken)
        taker.room = len(taker.held) + 1
        self.queue.deliver(taker)
        taker.room = 0
        if expected is None:
            assert taker.taken[before:] == []
            return
        expected.where = taker
        expected.count += 1
        assert taker.taken[before:] == [(expected.body.encode(), expected.count)]
        group = expected.content.group
        if group is not None:
            self.model.owners[group] = taker
            if expected.content.closes:
                del self.model.owners[group]

    @precondition(lambda self: any(taker.held for taker in self.takers))
    @rule(number=NUMBERS, at=st.integers(0, 5), in_tx=st.booleans())
    def acknowledge(self, number: int, at: int, in_tx: bool) -> None:
        taker = self.takers[number]
        if not taker.held or (in_tx and self.tx is None):
            return
        ref = taker.held.pop(at % len(taker.held))
        (entry,) = (each for each in self.model.entries if each.body == ref.message.body.decode())
        self.queue.acknowledge(ref, self.tx if in_tx else None)
        if in_tx:
            entry.where = TX
        else:
            self.model.entries.remove(entry)

    @precondition(lambda self: any(taker.held for taker in self.takers))
    @rule(number=NUMBERS, counted=st.booleans())
    def give_back(self, number: int, counted: bool) -> None:
        taker = self.takers[number]
        taker.give_back(count_delivery=counted)
        self.model.give_back(self.model.held(taker), counted)

    @rule(number=NUMBERS)
    def close_and_open(self, number: int) -> None:
        taker = self.takers[number]
        taker.close()
        self.takers[number] = self._open(COLOURS[number])
        self.model.give_back(self.model.held(taker), counted=False)
        self.model.owners = {group: owner for group, owner in self.model.owners.items() if owner is not taker}

    @precondition(lambda self: self.tx is None)
    @rule()
    def begin(self) -> None:
        self.tx = self.office.post.begin()

    @precondition(lambda self: self.tx is not None)
    @rule()
    def commit(self) -> None:
        assert self.tx is not None
        self.tx.commit()
        self.tx = None
        for entry in self.model.held(TX):
            self.model.entries.remove(entry)
        sent, self.model.sent_in_tx = self.model.sent_in_tx, []
        for entry in sent:
            self._arrived(entry)

    @precondition(lambda self: self.tx is not None)
    @rule()
    def rollback(self) -> None:
        assert self.tx is not None
        self.tx.rollback()
        self.tx = None
        self.model.sent_in_tx = []
        self.model.give_back(self.model.held(TX), counted=True)

    @rule(seconds=st.sampled_from((0.1, 0.4, 1.0)))
    def wait(self, seconds: float) -> None:
        self.office.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.office.restart()
        found = self.office.post.find("q")
        assert found is not None
        self.queue = found
        self.takers = [self._open(colour) for colour in COLOURS]
        self.tx, self.model.sent_in_tx, self.model.owners = None, [], {}
        self.model.entries = [each for each in self.model.entries if each.content.durable]
        self.model.dead = list(self.model.dead_durable)
        for each in self.model.entries:
            each.where = WAITING
            each.count = each.stored_count

    @invariant()
    def both_hold_the_same(self) -> None:
        model = self.model
        assert self.office.waiting() == [each.body for each in model.waiting(self.now_ms())]
        assert self.queue.message_count == len(model.entries)
        assert self.queue.delivering == sum(each.where != WAITING for each in model.entries)
        assert self.office.waiting("DLQ") == model.dead
        nothing = not model.entries and not model.sent_in_tx and not model.dead
        assert (self.office.post.addresses.memory.size == 0) is nothing
        if nothing:
            assert not [each for each in self.office.store.load() if type(each).__name__ == "MessageStored"]


AgainstAModel.TestCase.settings = settings(stateful_step_count=40)
TestAgainstAModel = AgainstAModel.TestCase
