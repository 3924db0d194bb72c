"""Artemis' Java clients, JMS and core, against the embedded broker on a socket: what they ask of a server, they get.

The same Java program as in `test_interchange.py`; here the broker is ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from activeclient.broker.embedded import EmbeddedBroker
from activeclient.broker.server import BrokerServer
from activeclient.testing.cuts import Cut, Direction, random_cuts
from activeclient.testing.cutter import Cutter
from integration.cases.support import eventually
from integration.conftest import missing
from integration.interchange.cases import CASES, LARGE, MIDDLING
from integration.interchange.compare import mismatches
from integration.interchange.exchange import LOGIN, Exchange
from integration.interchange.java_peer import JavaError, JavaPeer
from integration.interchange.notation import Description, Dump
from integration.toolchain import UnavailableError

MANY = 300
PATIENCE = 60.0
"""Seconds for a message; Java may need callTimeout to notice that a reattachment was cut."""
WINDOWED = "reconnectAttempts=-1&retryInterval=20&callTimeout=30000&confirmationWindowSize=65536"
QUEUE = "queue://orders"
TOPIC = "topic://news"


@pytest.fixture(scope="module")
def java() -> Iterator[JavaPeer]:
    try:
        peer = JavaPeer()
    except UnavailableError as failure:
        missing(failure)
    with peer:
        yield peer


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(port=0) as made:
        yield made


@pytest.fixture
def cutter(broker: EmbeddedBroker) -> Iterator[Cutter]:
    """A cutter before the broker; it outlives the clients that came through it."""
    host, _, port = broker.url.removeprefix("tcp://").partition(":")
    with Cutter(host, int(port)) as made:
        yield made


@pytest.fixture
def open_session(java: JavaPeer, broker: EmbeddedBroker, cutter: Cutter) -> Iterator[Callable[..., str]]:
    """Sessions on connections of their own; both are closed after the test."""
    connections: list[str] = []

    def make(mode: str = "auto", **fields: Any) -> str:
        connection = java.connect(fields.pop("url", broker.url), **fields)
        connections.append(connection)
        return java.session(connection, mode)

    yield make
    for connection in connections:
        java.request("close", connection=connection)


class CoreSession:
    """A session of the Java core client with a connection of its own."""

    _names = itertools.count(1)

    def __init__(self, java: JavaPeer, url: str, **fields: Any) -> None:
        self._java = java
        self._name = f"core-{next(self._names)}"
        self.do("open", url=url, **fields)

    def do(self, step: str, **fields: Any) -> Any:
        return self._java.request("core", session=self._name, step=step, **fields)

    def receive(self, count: int, timeout: float = PATIENCE) -> list[tuple[int, int, int]]:
        """Number, size of the body, delivery count."""
        got = self.do("receive", count=str(count), timeout=str(int(timeout * 1000)))
        return [(int(number), int(size), int(times)) for number, size, times in got]


@pytest.fixture
def open_core(java: JavaPeer, broker: EmbeddedBroker, cutter: Cutter) -> Iterator[Callable[..., CoreSession]]:
    opened: list[CoreSession] = []

    def make(**fields: Any) -> CoreSession:
        session = CoreSession(java, fields.pop("url", broker.url), **fields)
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.do("close")


class Witness:
    """Sessions that the broker has made, and those that it found again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.created = self.asked = 0
        create, reattach = BrokerServer.create_session, BrokerServer.reattach

        def counted_create(server: BrokerServer, *arguments: Any) -> None:
            self.created += 1
            create(server, *arguments)

        def counted_reattach(server: BrokerServer, *arguments: Any) -> None:
            self.asked += 1
            reattach(server, *arguments)

        monkeypatch.setattr(BrokerServer, "create_session", counted_create)
        monkeypatch.setattr(BrokerServer, "reattach", counted_reattach)


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    return Witness(monkeypatch)


def text(body: str, **more: Any) -> Description:
    return {"type": "text", "body": ["string", body], **more}  # type: ignore[typeddict-item]


def bodies(dumps: list[Dump]) -> list[str]:
    return [dump["body"][1] for dump in dumps]


def all_of(java: JavaPeer, consumer: str, count: int) -> list[str]:
    """The bodies of so many messages, and of one more that should not be there."""
    return bodies(java.receive(consumer, count) + java.receive(consumer, 1, timeout=0.5))


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "parameters"),
    [
        (CASES, ""),
        (LARGE, ""),
        (LARGE, "?compressLargeMessage=true"),
        (MIDDLING, "?minLargeMessageSize=1000"),
        (MIDDLING, "?minLargeMessageSize=1000&compressLargeMessage=true"),
    ],
    ids=["small", "large", "large-compressed", "middling", "middling-compressed"],
)
def test_every_kind_of_message_passes_as_through_a_real_broker(
    java: JavaPeer, broker: EmbeddedBroker, batch: dict[str, Description], parameters: str
) -> None:
    results = Exchange(java, broker.url + parameters).of(batch)
    wrong = {
        name: found
        for name in batch
        if (found := mismatches(batch[name], {route: seen[name] for route, seen in results.items()}))
    }
    assert wrong == {}


def test_priorities_come_first_and_within_one_the_order_is_kept(
    java: JavaPeer, open_session: Callable[..., str]
) -> None:
    session = open_session()
    java.send(session, QUEUE, [text(f"{level}-{nth}", priority=str(level)) for nth in range(3) for level in (1, 4, 9)])
    came = bodies(java.receive(java.consumer(session, QUEUE), 9))
    assert came == [f"{level}-{nth}" for level in (9, 4, 1) for nth in range(3)]


def test_an_expired_message_does_not_come(java: JavaPeer, open_session: Callable[..., str]) -> None:
    session = open_session()
    java.send(session, QUEUE, [text("short", time_to_live="1"), text("long", time_to_live="600000")])
    assert all_of(java, java.consumer(session, QUEUE), 1) == ["long"]


def test_a_selector_takes_what_matches_and_leaves_the_rest(java: JavaPeer, open_session: Callable[..., str]) -> None:
    session = open_session()
    numbered = [
        text(str(number), properties=[["n", ["int", str(number)]]], jms_type="even"[number % 2 :])
        for number in range(6)
    ]
    java.send(session, QUEUE, numbered)
    chosen = java.consumer(session, QUEUE, selector="n BETWEEN 2 AND 4 AND JMSType LIKE 'e%'")
    assert all_of(java, chosen, 2) == ["2", "4"]
    java.request("close_consumer", consumer=chosen)
    seen = java.request("browse", session=session, destination=QUEUE, selector="n > 2")
    assert bodies(seen) == ["3", "5"]
    assert all_of(java, java.consumer(session, QUEUE), 4) == ["0", "1", "3", "5"]


def test_a_selector_that_is_none_is_refused(java: JavaPeer, open_session: Callable[..., str]) -> None:
    with pytest.raises(JavaError, match="InvalidSelectorException"):
        java.consumer(open_session(), QUEUE, selector="n BETWEEN")


# --- acknowledging, transactions --------------------------------------------------------------------------------------


def test_what_a_transaction_sends_is_there_after_its_commit_only(
    java: JavaPeer, open_session: Callable[..., str]
) -> None:
    sender, receiver = open_session("transacted"), open_session()
    consumer = java.consumer(receiver, QUEUE)
    java.send(sender, QUEUE, [text("undone")])
    java.request("rollback", session=sender)
    java.send(sender, QUEUE, [text("done")])
    assert java.receive(consumer, 1, timeout=0.3) == []
    java.request("commit", session=sender)
    assert all_of(java, consumer, 1) == ["done"]


def test_what_a_transaction_receives_comes_again_after_its_rollback(
    java: JavaPeer, broker: EmbeddedBroker, open_session: Callable[..., str]
) -> None:
    session = open_session("transacted")
    java.send(session, QUEUE, [text("a"), text("b")])
    java.request("commit", session=session)
    consumer = java.consumer(session, QUEUE)
    assert [dump["redelivered"] for dump in java.receive(consumer, 2)] == ["false", "false"]
    java.request("rollback", session=session)
    again = java.receive(consumer, 2)
    assert bodies(again) == ["a", "b"]
    assert [dump["properties"]["JMSXDeliveryCount"] for dump in again] == [["int", "2"]] * 2
    java.request("commit", session=session)
    assert broker.message_count("orders") == 0


def test_acknowledging_covers_what_came_before_and_recovering_the_rest(
    java: JavaPeer, broker: EmbeddedBroker, open_session: Callable[..., str]
) -> None:
    session = open_session("client")
    java.send(session, QUEUE, [text(letter) for letter in "abc"])
    consumer = java.consumer(session, QUEUE)
    java.receive(consumer, 2)
    java.request("acknowledge", consumer=consumer)
    java.receive(consumer, 1)
    java.request("recover", session=session)
    (again,) = java.receive(consumer, 1)
    assert (again["body"][1], again["redelivered"]) == ("c", "true")
    java.request("acknowledge", consumer=consumer)  # Java does not wait for the answer (blockOnAcknowledge)
    eventually(lambda: broker.message_count("orders") == 0, "everything is acknowledged")


def test_a_distributed_transaction_is_prepared_found_and_committed(
    java: JavaPeer, broker: EmbeddedBroker, open_session: Callable[..., str]
) -> None:
    session = open_session("xa", xa="true")

    def xa(step: str, **fields: Any) -> Any:
        return java.request("xa", session=session, step=step, **fields)

    for name in ("kept", "undone"):
        xa("start", xid=name)
        java.send(session, QUEUE, [text(name)])
        xa("end", xid=name)
        assert xa("prepare", xid=name) == "0"
    assert broker.message_count("orders") == 0
    other = open_session("xa", xa="true")
    assert sorted(java.request("xa", session=other, step="recover")) == ["kept", "undone"]
    java.request("xa", session=other, step="rollback", xid="undone")
    java.request("xa", session=other, step="commit", xid="kept")
    assert java.request("xa", session=other, step="recover") == []
    plain = open_session()
    assert all_of(java, java.consumer(plain, QUEUE), 1) == ["kept"]


# --- topics, temporary destinations -----------------------------------------------------------------------------------


def test_each_subscription_of_a_topic_gets_each_message(java: JavaPeer, open_session: Callable[..., str]) -> None:
    session, publisher = open_session(), open_session()
    consumers = [java.consumer(session, TOPIC), java.consumer(session, TOPIC, selector="JMSPriority > 4")]
    java.send(publisher, TOPIC, [text("low"), text("high", priority="8")])
    assert sorted(bodies(java.receive(consumers[0], 2))) == ["high", "low"]
    assert all_of(java, consumers[1], 1) == ["high"]


def test_a_subscription_without_its_own_messages(java: JavaPeer, open_session: Callable[..., str]) -> None:
    session, publisher = open_session(), open_session()
    consumer = java.consumer(session, TOPIC, no_local="true")
    java.send(session, TOPIC, [text("own")])
    java.send(publisher, TOPIC, [text("foreign")])
    assert all_of(java, consumer, 1) == ["foreign"]


def test_a_durable_subscription_collects_while_its_subscriber_is_away(
    java: JavaPeer, broker: EmbeddedBroker, open_session: Callable[..., str]
) -> None:
    with java.connected(broker.url, client_id="me") as connection:
        session = java.session(connection)
        java.request("close_consumer", consumer=java.consumer(session, TOPIC, subscription="mine"))
    java.send(open_session(), TOPIC, [text("while away")])
    with java.connected(broker.url, client_id="me") as connection:
        session = java.session(connection)
        consumer = java.consumer(session, TOPIC, subscription="mine")
        with pytest.raises(JavaError, match="IllegalStateException"):
            java.consumer(session, TOPIC, subscription="mine")
        assert all_of(java, consumer, 1) == ["while away"]
        java.request("close_consumer", consumer=consumer)
        java.request("unsubscribe", session=session, subscription="mine")
    assert broker.queue_names() == []


def test_a_shared_subscription_gives_each_message_to_one(java: JavaPeer, open_session: Callable[..., str]) -> None:
    sessions = [open_session(), open_session()]
    consumers = [java.consumer(session, TOPIC, subscription="team", shared="true") for session in sessions]
    for session in sessions:
        java.request("temporary", session=session)  # its answer comes behind the consumer's credits
    java.send(open_session(), TOPIC, [text(str(number)) for number in range(10)])
    shares: list[list[str]] = [[], []]

    def all_came() -> bool:
        for share, consumer in zip(shares, consumers, strict=True):
            share += bodies(java.receive(consumer, 10, timeout=0.5))
        return sum(map(len, shares)) >= 10

    eventually(all_came, "ten messages")
    assert sorted(itertools.chain(*shares)) == [str(number) for number in range(10)]
    assert all(shares), "one of them got nothing"


def test_a_request_is_answered_to_a_temporary_queue(
    java: JavaPeer, broker: EmbeddedBroker, open_session: Callable[..., str]
) -> None:
    with java.connected(broker.url) as connection:
        session = java.session(connection)
        answers = java.request("temporary", session=session)
        consumer = java.consumer(session, answers)
        java.send(session, QUEUE, [text("question", reply_to=answers)])
        server = open_session()
        (question,) = java.receive(java.consumer(server, QUEUE))
        java.send(server, question["reply_to"], [text("answer")])
        assert bodies(java.receive(consumer)) == ["answer"]
        assert answers.removeprefix("temp-queue://") in broker.queue_names()
    eventually(lambda: answers.removeprefix("temp-queue://") not in broker.queue_names(), "the temporary queue's end")


def test_wrong_credentials_are_refused(java: JavaPeer) -> None:
    with EmbeddedBroker(port=0, users={"admin": "admin"}) as guarded:
        with pytest.raises(JavaError, match="JMSSecurityException"):
            java.connect(guarded.url, user="admin", password="wrong")
        with java.connected(guarded.url, **LOGIN) as connection:
            java.session(connection)


def test_java_makes_its_session_anew_where_users_are_configured(java: JavaPeer, witness: Witness) -> None:
    """It shows no credentials before it asks for its session, as no client before 2.57 does."""
    with (
        EmbeddedBroker(port=0, users={"admin": "admin"}) as guarded,
        java.connected(f"{guarded.url}?{WINDOWED}", **LOGIN) as connection,
    ):
        session = java.session(connection)
        consumer = java.consumer(session, QUEUE)
        java.send(session, QUEUE, [text("before")])
        assert bodies(java.receive(consumer)) == ["before"]
        made = witness.created
        guarded.drop_connections()
        eventually(lambda: witness.created > made and witness.asked, "Java makes its session anew")
        java.send(session, QUEUE, [text("after")])
        assert bodies(java.receive(consumer)) == ["after"]


# --- the core client --------------------------------------------------------------------------------------------------


def test_the_core_client_sends_and_receives(open_core: Callable[..., CoreSession]) -> None:
    core = open_core()
    core.do("create_queue", queue="numbers", filter="n >= 2")
    core.do("send", address="numbers", count="5", size="100")
    assert core.do("count", queue="numbers") == "3"
    core.do("consume", queue="numbers")
    assert core.receive(3) == [(number, 100, 1) for number in (2, 3, 4)]


def test_the_core_client_routes_to_all_queues_of_a_multicast_address(open_core: Callable[..., CoreSession]) -> None:
    core = open_core()
    for queue in ("left", "right"):
        core.do("create_queue", queue=queue, address="both", routing="multicast")
    core.do("send", address="both", count="2")
    assert [core.do("count", queue=queue) for queue in ("left", "right")] == ["2", "2"]
    core.do("delete_queue", queue="left")
    assert [core.do("exists", queue=queue) for queue in ("left", "right")] == ["false", "true"]


def test_the_core_client_commits_and_rolls_back(open_core: Callable[..., CoreSession]) -> None:
    core = open_core(transacted="true")
    core.do("create_queue", queue="numbers")
    core.do("send", address="numbers", count="2")
    core.do("commit")
    core.do("consume", queue="numbers")
    assert core.receive(2) == [(0, 10, 1), (1, 10, 1)]
    core.do("rollback")
    assert core.receive(2) == [(0, 10, 2), (1, 10, 2)]
    core.do("commit")
    assert core.do("count", queue="numbers") == "0"


@pytest.mark.parametrize("compressed", ["false", "true"])
def test_the_core_client_streams_large_messages(
    open_core: Callable[..., CoreSession], broker: EmbeddedBroker, compressed: str
) -> None:
    core = open_core(url=f"{broker.url}?compressLargeMessage={compressed}")
    core.do("create_queue", queue="large")
    core.do("send", address="large", count="3", size=str(3 << 20), stream="true")
    core.do("consume", queue="large")
    assert core.receive(3) == [(number, 3 << 20, 1) for number in range(3)]


# --- Java's own reattachment ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", ["true", "false"])
def test_javas_sends_survive_cuts_without_loss_or_duplicate(
    open_core: Callable[..., CoreSession], cutter: Cutter, witness: Witness, durable: str
) -> None:
    direct, core = open_core(), open_core(url=f"{cutter.url()}?{WINDOWED}")
    direct.do("create_queue", queue="numbers")
    made = witness.created
    cutter.plan(random_cuts(1, 4000, 40000))
    cutter.cut_now()
    core.do("send", address="numbers", count=str(MANY), size="300", durable=durable)
    direct.do("consume", queue="numbers")
    came = direct.receive(MANY)
    cutter.plan(())
    came += direct.receive(1, timeout=0.5)
    assert [number for number, _, _ in came] == list(range(MANY))
    assert min(cutter.cuts, witness.asked) >= 3
    assert witness.created == made, "a session was made anew instead of being found again"


def test_javas_transactions_survive_cuts_exactly_once(
    open_core: Callable[..., CoreSession], cutter: Cutter, witness: Witness
) -> None:
    direct = open_core()
    direct.do("create_queue", queue="numbers")
    direct.do("send", address="numbers", count=str(MANY), size="300")
    core = open_core(url=f"{cutter.url()}?{WINDOWED}&consumerWindowSize=10000", transacted="true")
    core.do("consume", queue="numbers")
    made = witness.created
    cutter.plan(random_cuts(2, 3000, 30000))
    cutter.cut_now()
    came: list[tuple[int, int, int]] = []
    while len(came) < MANY:
        batch = core.receive(20)
        assert batch, f"nothing came after {len(came)}"
        came += batch
        core.do("commit")
    cutter.plan(())
    assert came == [(number, 300, 1) for number in range(MANY)]
    assert direct.do("count", queue="numbers") == "0"
    assert min(cutter.cuts, witness.asked) >= 3
    assert witness.created == made, "a session was made anew instead of being found again"


def test_javas_jms_client_survives_cuts_that_take_the_answers(
    java: JavaPeer, open_session: Callable[..., str], cutter: Cutter, witness: Witness
) -> None:
    session = open_session(url=f"{cutter.url()}?{WINDOWED}")
    made = witness.created
    cutter.plan(random_cuts(3, 200, 700, directions=(Direction.TO_CLIENT,)))
    cutter.cut_now()
    sent = java.send(session, QUEUE, [text(str(number)) for number in range(100)])
    cutter.plan(())
    assert [dump for dump in sent if "error" in dump] == []
    assert min(cutter.cuts, witness.asked) >= 3
    assert witness.created == made, "a session was made anew instead of being found again"
    came = all_of(java, java.consumer(open_session(), QUEUE), 100)
    assert came == [str(number) for number in range(100)]


def test_java_goes_on_after_the_broker_was_restarted(
    open_core: Callable[..., CoreSession], broker: EmbeddedBroker, witness: Witness
) -> None:
    core = open_core(url=f"{broker.url}?{WINDOWED}")
    core.do("create_queue", queue="numbers")
    core.do("send", address="numbers", count="3")
    made = witness.created
    broker.restart(abrupt=True)
    # A call that Java makes before ends with an error that leaves the outcome open.
    eventually(lambda: witness.created > made, "Java makes its session anew")
    core.do("send", address="numbers", count="3", first="3")
    core.do("consume", queue="numbers")
    assert [number for number, _, _ in core.receive(6)] == list(range(6))


@pytest.mark.parametrize(("window", "least"), [(0, 2500), (1000, 4000)])
def test_javas_transactions_survive_cuts_with_small_windows(
    open_core: Callable[..., CoreSession], cutter: Cutter, witness: Witness, window: int, least: int
) -> None:
    direct = open_core()
    direct.do("create_queue", queue="numbers")
    direct.do("send", address="numbers", count=str(MANY), size="300")
    core = open_core(url=f"{cutter.url()}?{WINDOWED}&consumerWindowSize={window}", transacted="true")
    made = witness.created
    cutter.plan(random_cuts(4, least, least * 3))
    cutter.cut_now()
    core.do("consume", queue="numbers")
    came: list[tuple[int, int, int]] = []
    while len(came) < MANY:
        batch = core.receive(min(5, MANY - len(came)))
        assert batch, f"nothing came after {len(came)}"
        came += batch
        core.do("commit")
    cutter.plan(())
    assert came == [(number, 300, 1) for number in range(MANY)]
    assert direct.do("count", queue="numbers") == "0"
    assert min(cutter.cuts, witness.asked) >= 2
    assert witness.created == made, "a session was made anew instead of being found again"


def receive_large(direct: CoreSession, core: CoreSession) -> list[tuple[int, int, int]]:
    """Six messages of 400 kB that `direct` sends and `core` receives in transactions of two."""
    direct.do("create_queue", queue="large")
    direct.do("send", address="large", count="6", size="400000")
    core.do("consume", queue="large")
    came: list[tuple[int, int, int]] = []
    while len(came) < 6:
        batch = core.receive(2)
        assert batch, f"nothing came after {len(came)}"
        came += batch
        core.do("commit")
    return came


@pytest.mark.parametrize("window", [0, 100_000])
def test_java_receives_large_messages_through_cuts(
    open_core: Callable[..., CoreSession], cutter: Cutter, witness: Witness, window: int
) -> None:
    # A cut comes after more bytes than a reattachment repeats: see the next test.
    cutter.plan(random_cuts(5, 550_000, 900_000, directions=(Direction.TO_CLIENT,)))
    core = open_core(url=f"{cutter.url()}?{WINDOWED}&consumerWindowSize={window}", transacted="true")
    made = witness.created
    assert receive_large(open_core(), core) == [(number, 400_000, 1) for number in range(6)]
    assert min(cutter.cuts, witness.asked) >= 2
    assert witness.created == made + 1, "a session was made anew instead of being found again"


@pytest.mark.xfail(
    raises=JavaError,
    strict=False,
    reason="AMQ219028, on Artemis 2.44 too: Java notices only after callTimeout that a reattachment was cut, and waits"
    " no longer than that for the body of a large message",
)
def test_java_receives_large_messages_though_a_reattachment_is_cut(
    open_core: Callable[..., CoreSession], cutter: Cutter
) -> None:
    cutter.plan([Cut(Direction.TO_CLIENT, 250_000), Cut(Direction.TO_CLIENT, 150_000)])
    url = f"{cutter.url()}?{WINDOWED.replace('callTimeout=30000', 'callTimeout=1000')}"
    core = open_core(url=url, transacted="true")
    assert receive_large(open_core(), core) == [(number, 400_000, 1) for number in range(6)]


def consume_two_of_five(core: CoreSession, broker: EmbeddedBroker) -> None:
    """Five messages: two are acknowledged, three wait in the client."""
    core.do("create_queue", queue="numbers")
    core.do("send", address="numbers", count="5")
    core.do("consume", queue="numbers")
    assert core.receive(2) == [(0, 10, 1), (1, 10, 1)]
    eventually(lambda: broker.message_count("numbers") == 3, "the acknowledgements, which have no answer, are there")


def test_a_session_that_the_broker_forgot_is_made_anew_and_goes_on(
    open_core: Callable[..., CoreSession], broker: EmbeddedBroker, witness: Witness
) -> None:
    core = open_core(url=f"{broker.url}?{WINDOWED}")
    consume_two_of_five(core, broker)
    made = witness.created
    broker.faults.forget_sessions()
    broker.drop_connections()
    # Until then Java hands out what waits in the client.
    eventually(lambda: witness.created > made, "Java makes its session anew")
    assert core.receive(3) == [(number, 10, 2) for number in (2, 3, 4)]
    assert witness.created == made + 1


def test_what_a_refused_session_had_comes_when_its_time_to_live_is_over(
    open_core: Callable[..., CoreSession], broker: EmbeddedBroker, witness: Witness
) -> None:
    core = open_core(url=f"{broker.url}?{WINDOWED}&connectionTTL=4000&clientFailureCheckPeriod=1000")
    consume_two_of_five(core, broker)
    made = witness.created
    broker.faults.refuse_reattachment(1)
    broker.drop_connections()
    eventually(lambda: witness.created > made, "Java makes its session anew")
    assert core.receive(3) == [(number, 10, 2) for number in (2, 3, 4)]
    assert witness.created == made + 1
