"""`activeclient queue`: what it asks before it destroys; what it does is shown in integration/test_management.py."""

from __future__ import annotations

import io

import pytest

import activeclient
from activeclient import EmbeddedBroker
from activeclient.__main__ import main
from activeclient.cli import queue as commands


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 1), ("y\n", 0, 0)])
def test_what_destroys_asks_first(
    answer: str, code: int, left: int, monkeypatch: pytest.MonkeyPatch, embedded_broker: EmbeddedBroker
) -> None:
    with activeclient.connect(embedded_broker.url) as connection, connection.create_session() as session:
        session.create_producer(session.create_queue("orders")).send("x")

        def answered() -> int:
            return main(["queue", "purge", "orders", "--url", embedded_broker.url])

        monkeypatch.setattr(commands, "stdin_is_terminal", lambda: True)
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert answered() == code
        assert embedded_broker.message_count("orders") == left
