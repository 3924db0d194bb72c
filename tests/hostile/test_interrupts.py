"""Ctrl-C in every blocking call: the call ends at once, and the client closes at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.client.session import ClientSession
from activeclient.wire.message import CoreMessage
from activeclient.wire.packets import CreateSession, QueueQuery, RequestProducerCredits, SessionClose
from tests.hostile.cases import _instead, _large
from tests.hostile.server import HostileServer, Script, broker, silent

Call = Callable[[ServerLocator], object]


def _in_session(use: Callable[[ClientSession], object]) -> Call:
    return lambda locator: use(locator.create_session_factory().create_session().start())


def _read(session: ClientSession) -> object:
    message = session.create_consumer("q").receive()
    assert message is not None
    return message.body


CALLS: dict[str, tuple[Script, Call]] = {
    "connecting": (silent, lambda locator: locator.create_session_factory()),
    "creating a session": (
        _instead(CreateSession, lambda *_: None),
        lambda locator: locator.create_session_factory().create_session(),
    ),
    "asking": (_instead(QueueQuery, lambda *_: None), _in_session(lambda session: session.query_queue("q"))),
    "receiving": (broker, _in_session(lambda session: session.create_consumer("q").receive())),
    "receiving at once": (broker, _in_session(lambda session: session.create_consumer("q").receive(0))),
    "reading a body": (_large(1000, b"x", more=True), _in_session(_read)),
    "waiting for credits": (
        _instead(RequestProducerCredits, lambda *_: None),
        _in_session(lambda session: session.create_producer("q").send(CoreMessage(b"x", 4))),
    ),
    "closing a session": (_instead(SessionClose, lambda *_: None), _in_session(lambda session: session.close())),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_ends_the_call_and_leaves_a_client_that_closes(name: str) -> None:
    script, call = CALLS[name]
    with HostileServer(script) as server:
        locator = ServerLocator(server.url("handshakeTimeout=30000&initialConnectAttempts=-1"))
        inside = threading.Event()

        def strike() -> None:
            inside.wait(30)  # a signal that came before the call would end all tests
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)

        def interrupted() -> None:
            inside.set()
            call(locator)

        striker = threading.Thread(target=strike)
        began = time.monotonic()
        striker.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                interrupted()
        finally:
            striker.join()
        assert time.monotonic() - began < 10.0  # all limits are 30 s
        began = time.monotonic()
        locator.close()
        assert time.monotonic() - began < 10.0
