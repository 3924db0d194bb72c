"""Managing queues, as a program does and as an operator does, on every kind of broker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator

import pytest

import activeclient
from activeclient import InvalidDestinationError, JMSError, Management, Session
from activeclient.__main__ import main
from integration.cases.support import eventually

LONGEST_RUN = 120.0
Run = Callable[..., tuple[int, dict[str, object]]]


@pytest.fixture
def session(broker_url: str) -> Iterator[Session]:
    with activeclient.connect(broker_url) as connection, connection.create_session() as session:
        yield session


@pytest.fixture
def management(session: Session) -> Iterator[Management]:
    with session.management() as management:
        yield management


@pytest.fixture
def name() -> str:
    return f"managed-{uuid.uuid4()}"


def fill(session: Session, name: str, count: int = 4) -> None:
    with session.create_producer(session.create_queue(name)) as producer:
        for number in range(count):
            producer.send(str(number), properties={"number": number})


def messages(management: Management, name: str) -> int:
    return next(queue.messages for queue in management.queues(name) if queue.name == name)


def test_queues_are_created_looked_at_purged_and_deleted(session: Session, management: Management, name: str) -> None:
    management.create(name, filter="number < 3")
    with pytest.raises(JMSError):
        management.create(name)
    fill(session, name)
    (queue,) = management.queues(name)
    assert (queue.messages, queue.durable, queue.routing_type, queue.filter) == (3, True, "ANYCAST", "number < 3")
    (address,) = management.addresses(name)
    assert (address.routing_types, address.queues, address.messages) == (("ANYCAST",), 1, 3)
    assert management.purge(name, "number = 1") == 1
    assert management.purge(name) == 2
    assert messages(management, name) == 0
    management.delete(name)
    assert list(management.queues(name)) == []


def test_messages_are_moved_to_a_queue_that_exists(session: Session, management: Management, name: str) -> None:
    fill(session, name)
    with pytest.raises(InvalidDestinationError, match="there is no queue nowhere"):
        management.move(name, "nowhere")
    management.create(f"{name}.other")
    assert management.move(name, f"{name}.other", "number > 1") == 2
    assert management.move(name, f"{name}.other") == 2
    assert (messages(management, name), messages(management, f"{name}.other")) == (0, 4)
    management.delete(name)
    management.delete(f"{name}.other")


def test_a_paused_queue_delivers_nothing_until_it_is_resumed(
    session: Session, management: Management, name: str
) -> None:
    fill(session, name, 1)
    management.pause(name)
    with session.create_consumer(session.create_queue(name)) as consumer:
        assert consumer.receive_no_wait() is None
        management.resume(name)
        assert consumer.receive(timeout=LONGEST_RUN).text == "0"
    eventually(lambda: messages(management, name) == 0, "the acknowledgement", LONGEST_RUN)
    management.delete(name)


def test_dead_letters_of_a_worker_go_back_to_where_they_came_from(broker_url: str, name: str) -> None:
    app = activeclient.App(broker_url)
    healthy = False

    @app.listener(name, retries=0)
    def handle(body: str) -> None:
        if not healthy:
            raise ValueError("not yet")

    with app, app.connection.management() as management:
        app.send(name, "x")
        eventually(lambda: app.counts("handle").dead == 1, "the dead letter", LONGEST_RUN)
        healthy = True
        assert management.retry(f"{name}.failed") == 1
        eventually(lambda: app.counts("handle").handled == 1, "it is handled", LONGEST_RUN)
        eventually(lambda: messages(management, name) == 0, "the acknowledgement", LONGEST_RUN)
    with activeclient.connect(broker_url) as connection, connection.management() as management:
        management.delete(name)
        management.delete(f"{name}.failed")


def test_connections_and_consumers_are_listed(session: Session, management: Management, name: str) -> None:
    with session.create_consumer(session.create_queue(name), "number = 1") as consumer:
        (found,) = management.consumers(name)
        assert (found.queue, found.filter, found.browse_only) == (name, "number = 1", False)
        assert found.connection in [each.id for each in management.connections()]
        assert all(each.client_address and each.sessions >= 0 for each in management.connections())
        with pytest.raises(JMSError, match="consumers"):
            management.delete(name)
        management.delete(name, with_consumers=True)
        assert consumer is not None


def test_what_does_not_exist_is_said(management: Management, name: str) -> None:
    for call in (management.delete, management.purge, management.retry, management.pause, management.resume):
        with pytest.raises(InvalidDestinationError, match=f"there is no queue {name}"):
            call(name)


@pytest.fixture
def run(broker_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process: exit code, and the object that it printed."""
    monkeypatch.setenv("ACTIVECLIENT_URL", broker_url)

    def run_one(*arguments: str) -> tuple[int, dict[str, object]]:
        code = main([*arguments, "--json"])
        printed = capsys.readouterr()
        found: dict[str, object] = json.loads(printed.out or printed.err)
        return code, found

    return run_one


def test_an_operator_does_the_same(run: Run, session: Session, name: str) -> None:
    assert run("queue", "create", name) == (0, {"created": name})
    fill(session, name, 2)
    assert run("queue", "pause", name)[0] == 0
    code, found = run("queue", "list", name)
    assert code == 0
    assert found["queues"][0]["messages"] == 2  # type: ignore[index]
    assert run("check", name, "--max-messages", "2")[0] == 0
    code, found = run("check", name, "--max-messages", "1", "--min-consumers", "1")
    assert (code, found["ok"], len(found["wrong"])) == (1, False, 2)  # type: ignore[arg-type]
    code, found = run("queue", "purge", name)
    assert (code, found["error"]) == (2, "ConfigError")  # there is nobody to ask
    assert run("queue", "purge", name, "--yes") == (0, {"removed": 2})
    assert run("queue", "resume", name)[0] == 0
    assert run("queue", "delete", name, "--yes") == (0, {"deleted": name})
    assert run("check", name)[0] == 1
    assert run("queue", "retry", name)[0] == 5
    assert run("check", "--url", "tcp://127.0.0.1:1")[0] == 3
