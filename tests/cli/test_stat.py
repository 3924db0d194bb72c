"""How queues are shown."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from activeclient.cli.stat import columns, kind, table
from activeclient.client.management import QueueStatus

PLAIN = QueueStatus(
    name="orders",
    address="orders",
    routing_type="ANYCAST",
    messages=12,
    delivering=3,
    scheduled=0,
    consumers=1,
    added=100,
    acknowledged=88,
    expired=0,
    killed=0,
    durable=True,
    temporary=False,
    paused=False,
    internal=False,
    filter="",
)


def drawn(*queues: QueueStatus, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(queues, width))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_lines_for_pipes_have_the_same_number_of_words() -> None:
    subscription = dataclasses.replace(PLAIN, name="mine", address="prices", routing_type="MULTICAST", durable=False)
    head, *rows = columns([PLAIN, subscription])
    assert {len(line.split()) for line in (head, *rows)} == {10}
    assert rows[0].split()[:4] == ["orders", "anycast", "12", "3"]
    assert rows[1].split()[:2] == ["prices::mine", "multicast,non-durable"]


def test_a_terminal_shows_rare_numbers_only_where_there_are_any() -> None:
    assert "killed" not in drawn(PLAIN)
    assert "killed" in drawn(PLAIN, dataclasses.replace(PLAIN, killed=1))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_a_narrow_terminal_shows_fewer_columns_and_every_name(width: int) -> None:
    busy = dataclasses.replace(PLAIN, name="incoming.orders", address="incoming.orders", killed=1, scheduled=7)
    shown = drawn(PLAIN, busy, width=width)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert "incoming.orders" in shown if width >= 40 else "incoming" in shown
    assert "messages" in lines[0] if width >= 40 else True
    assert ("killed" in lines[0]) is (width == 120)


def test_a_name_is_no_markup() -> None:
    assert "[red]x" in drawn(dataclasses.replace(PLAIN, name="[red]x", address="[red]x"))


def test_what_is_special_is_said_in_a_word() -> None:
    assert kind(dataclasses.replace(PLAIN, temporary=True, durable=False, paused=True)) == "anycast,temporary,paused"
