"""Messages that return from a session that is lost: nothing younger is consumed before them.

Law: the broker's journal writes so late that what returns is late for certain, and new sessions rest as much longer;
without its rest the second and third consumer of a connection are served out of order each time.
"""

from __future__ import annotations

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.engine import recovery
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from integration.artemis import GENERATIONS
from integration.cases.support import eventually
from integration.configuration import BrokerSettings
from integration.conftest import MakeBroker

SLOW_JOURNAL = BrokerSettings(journal_buffer_timeout_ns=300_000_000, sync_to_disk=False)
"""It writes every 300 ms."""
REST = 2.0
"""Seconds, in place of those that are enough for a disk."""
RECREATING = "?reconnectAttempts=-1&retryInterval=1&confirmationWindowSize=-1&consumerWindowSize=1000"
CONSUMERS = 3
COUNT = 60
SOON = 60.0


@pytest.mark.parametrize("private_broker_of", GENERATIONS, indirect=True)
@pytest.mark.parametrize("one_session", [False, True], ids=["sessions", "one session"])
def test_what_returns_from_several_consumers_is_not_overtaken(
    private_broker_of: MakeBroker, one_session: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "STORAGE_REST", REST)
    broker = private_broker_of(SLOW_JOURNAL)
    names = [f"chaos.returning{number}" for number in range(CONSUMERS)]
    with (
        Cutter(broker.host, broker.port) as cutter,
        ServerLocator(broker.url()) as direct,
        direct.create_session_factory() as steady,
        steady.create_session(auto_commit_sends=False) as filling,
        ServerLocator(cutter.url() + RECREATING) as locator,
        locator.create_session_factory() as factory,
    ):
        for name in names:
            filling.create_queue(name)
            producer = filling.create_producer(name)
            for number in range(COUNT):
                producer.send(filling.create_message(True, body=b"%d" % number), lambda *_: None)
        filling.commit()
        sessions = [factory.create_session() for _ in names[: 1 if one_session else None]]
        consumers = [sessions[number % len(sessions)].create_consumer(name) for number, name in enumerate(names)]
        for session in sessions:
            session.start()
        for consumer in consumers:
            eventually(lambda consumer=consumer: len(consumer.engine.buffer) > 2, "some are fetched ahead", SOON)
        cutter.cut_now(How.RESET)
        for consumer in consumers:
            received = []
            for _ in range(COUNT):
                message = consumer.receive(SOON)
                assert message is not None
                received.append(int(message.body))
                message.acknowledge()
            assert received == list(range(COUNT))
        assert cutter.cuts == 1
