"""What applications do, call by call, each of which an interrupt may come into.

Law of this file: a scenario makes every call that it is about through `strike`, looks at what holds after it whether it
returned or was interrupted, and closes what it got. A call that was interrupted is made again, as an application would.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import activeclient
from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    BytesMessage,
    Connection,
    ConnectionLost,
    JMSError,
    LargeMessageError,
    Message,
    OutcomeUnknown,
    Requestor,
    ServerLocator,
    Session,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
    XAError,
)
from activeclient.jms.xa import new_xid
from activeclient.testing.cutter import Cutter
from integration.interrupts import Outcome

PATIENCE = 30.0
"""Seconds; a busy machine needs some."""
SHORT = 0.3
"""Seconds in which a message that should not be there would come."""
LARGE = 300_000
"""Bytes of a body that comes in pieces."""
_serial = itertools.count(1)

Strike = Callable[[Callable[[], Any]], Outcome[Any]]


class Scene:
    """One connection, and the calls on it that may be interrupted.

    Args:
        strike: Makes a call that may be interrupted, and tells what became of it.
    """

    def __init__(self, url: str, connection: Connection, strike: Strike) -> None:
        self.url = url
        self.connection = connection
        self.strike = strike
        self._name = f"rain.{next(_serial)}"

    def name(self, of: str = "") -> str:
        """A name that nobody else uses."""
        return f"{self._name}.{of}"

    def made(self, call: Callable[[], Any]) -> Any:
        """Make a call that may be interrupted, and again if it was; its result."""
        outcome = self.strike(call)
        return call() if outcome.interrupted else outcome.value

    def done(self, *calls: Callable[[], Any]) -> None:
        """Make calls that may be interrupted, each again if it was."""
        for call in calls:
            self.made(call)

    def fill(self, name: str, *texts: str) -> None:
        """Send messages to a queue, certainly."""
        with self.connection.create_session() as session, session.create_producer(session.create_queue(name)) as to:
            for text in texts:
                to.send(text)

    def rest(self, name: str) -> list[str]:
        """What is left in a queue; taken out."""
        session = self.connection.create_session()
        with session, session.create_consumer(session.create_queue(name)) as consumer:
            return [_text(message) for message in consumer.messages(timeout=SHORT)]


def _text(message: Message) -> str:
    body = message.body
    return body.decode() if isinstance(body, bytes) else str(body)


Scenario = Callable[[Scene], None]
SCENARIOS: dict[str, Scenario] = {}
CLOSES_IN_AN_OUTAGE = ("with_blocks",)
"""Whose connection is closed at once after the interrupt, before the link is back: then its sessions stay on a broker
that reattaches until their time to live is over, as after any cut. Played without interrupts only."""


def scenario(play: Scenario) -> Scenario:
    """Register a scenario."""
    SCENARIOS[play.__name__] = play
    return play


# --- transactions and acknowledging -----------------------------------------------------------------------------------


def _moved(scene: Scene, work: Callable[[Session, str, str], bool | None]) -> None:
    """Each of three messages is moved once or, if nothing says that it was, is where it was."""
    source, target = scene.name("source"), scene.name("target")
    scene.fill(source, "1", "2", "3")
    with scene.connection.create_session(AcknowledgeMode.SESSION_TRANSACTED) as session:
        moved = work(session, source, target)
    there, left = scene.rest(target), scene.rest(source)
    assert sorted(there + left) == ["1", "2", "3"]
    if moved is not None:
        assert sorted(there) == (["1", "2", "3"] if moved else [])


def _move(session: Session, source: str, target: str) -> None:
    consumer = session.create_consumer(session.create_queue(source))
    producer = session.create_producer(session.create_queue(target))
    for _ in range(3):
        message = consumer.receive(PATIENCE)
        assert message is not None
        producer.send(message.text)
    consumer.close()


@scenario
def commit(scene: Scene) -> None:
    def work(session: Session, source: str, target: str) -> bool | None:
        _move(session, source, target)
        outcome = scene.strike(session.commit)
        if not outcome.interrupted:
            return True
        with contextlib.suppress(TransactionRolledBackError, TransactionOutcomeUnknownError):
            session.commit()  # of what the first one has left
        return None

    _moved(scene, work)


@scenario
def rollback(scene: Scene) -> None:
    def work(session: Session, source: str, target: str) -> bool:
        _move(session, source, target)
        scene.done(session.rollback)
        return False

    _moved(scene, work)


@scenario
def transaction_block(scene: Scene) -> None:
    def work(session: Session, source: str, target: str) -> bool | None:
        def block() -> None:
            with session.transaction():
                _move(session, source, target)

        outcome = scene.strike(block)
        if outcome.interrupted:
            session.rollback()
        return None if outcome.interrupted else True

    _moved(scene, work)


@scenario
def recover(scene: Scene) -> None:
    name = scene.name()
    scene.fill(name, "1", "2", "3")
    with scene.connection.create_session(AcknowledgeMode.CLIENT_ACKNOWLEDGE) as session:
        consumer = session.create_consumer(session.create_queue(name))
        assert [consumer.receive(PATIENCE).text for _ in range(3)] == ["1", "2", "3"]
        scene.done(session.recover)
        again = [consumer.receive(PATIENCE) for _ in range(3)]
        assert [message.text for message in again] == ["1", "2", "3"]
        _acknowledged(scene, again[-1].acknowledge)
        consumer.close()
    assert scene.rest(name) == []


def _acknowledged(scene: Scene, acknowledge: Callable[[], None]) -> None:
    scene.done(acknowledge)


@scenario
def acknowledge_one_by_one(scene: Scene) -> None:
    name = scene.name()
    scene.fill(name, "1", "2", "3")
    with scene.connection.create_session(AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE) as session:
        consumer = session.create_consumer(session.create_queue(name))
        messages = [consumer.receive(PATIENCE) for _ in range(3)]
        _acknowledged(scene, messages[1].acknowledge)
        _acknowledged(scene, lambda: session.acknowledge(messages[0]))
        consumer.close()
    assert scene.rest(name) == ["3"]


# --- sending and receiving --------------------------------------------------------------------------------------------


@scenario
def send(scene: Scene) -> None:
    name = scene.name()
    with scene.connection.create_session() as session:
        producer = session.create_producer(session.create_queue(name))
        certain = [text for text in "abc" if not scene.strike(partial(producer.send, text)).interrupted]
        future = scene.strike(lambda: producer.send_async("d"))
        if not future.interrupted:
            future.values[0].result(PATIENCE)
            certain.append("d")
        there = scene.rest(name)
    assert len(set(there)) == len(there)
    assert set(certain) <= set(there)


@scenario
def receive(scene: Scene) -> None:
    name = scene.name()
    texts = [str(number) for number in range(8)]
    scene.fill(name, *texts)
    with scene.connection.create_session() as session:
        consumer = session.create_consumer(session.create_queue(name))
        ways: list[Callable[[], Any]] = [
            lambda: consumer.receive(PATIENCE),
            lambda: consumer.receive_body(str, PATIENCE),
            consumer.receive_no_wait,
            lambda: consumer.receive_body_no_wait(str),
            lambda: next(consumer.messages(PATIENCE)),
            lambda: next(iter(consumer)),
        ]
        taken = [scene.made(way) for way in ways]
        got = [one if isinstance(one, str) else one.text for one in taken]
        consumer.close()
    assert got + scene.rest(name) == texts


@scenario
def large_bodies(scene: Scene) -> None:
    name = scene.name()
    body = bytes(range(256)) * (LARGE // 256)
    with scene.connection.create_session() as session:
        producer = session.create_producer(session.create_queue(name))
        sent = scene.strike(lambda: producer.send(io.BytesIO(body)))
        if sent.interrupted:
            producer.send(body)  # the first one is not there, or it is
        consumer = session.create_consumer(session.create_queue(name))
        got = []
        message = scene.made(lambda: consumer.receive(PATIENCE))
        while message is not None:
            got.append(scene.made(lambda: message.data))  # noqa: B023
            message = consumer.receive(SHORT)
        assert set(got) == {body}
        assert len(got) == 1 or (sent.interrupted and len(got) == 2)
        consumer.close()


@scenario
def streamed_bodies(scene: Scene) -> None:
    """Read while it comes in, and acknowledged afterwards."""
    name = scene.name()
    body = bytes(range(256)) * (LARGE // 256)
    with scene.connection.create_session(AcknowledgeMode.CLIENT_ACKNOWLEDGE) as session:
        session.create_producer(session.create_queue(name)).send(body)
        consumer = session.create_consumer(session.create_queue(name))
        read = None
        while read is None:
            message = scene.made(lambda: consumer.receive(PATIENCE))

            def save() -> bytes:
                file = io.BytesIO()
                message.save_to(file)  # noqa: B023
                return file.getvalue()

            try:
                outcome = scene.strike(save)
                if outcome.interrupted:
                    session.recover()
                else:
                    read = outcome.value
            except LargeMessageError:
                continue  # its session was lost: it comes again
        assert read == body
        _acknowledged(scene, message.acknowledge)
        consumer.close()
    assert scene.rest(name) == []


@scenario
def bodies_by_other_ways(scene: Scene) -> None:
    name = scene.name()
    body = "x" * LARGE
    with scene.connection.create_session(AcknowledgeMode.CLIENT_ACKNOWLEDGE) as session:
        producer = session.create_producer(session.create_queue(name))
        consumer = session.create_consumer(session.create_queue(name))
        for content, way in (
            (body, lambda message: message.text),
            (body, lambda message: message.get_body(str)),
            (body.encode(), lambda message: message.read_bytes()),
            (body.encode(), lambda message: message.read(LARGE)),
            (body.encode(), bytes),
            (body.encode(), lambda message: message.body),
        ):
            producer.send(content)
            read = None
            while read is None:
                message = consumer.receive(PATIENCE)
                try:
                    outcome = scene.strike(partial(way, message))
                except LargeMessageError:
                    continue  # its session was lost: it comes again
                if outcome.interrupted:
                    session.recover()
                else:
                    read = outcome.value
            assert read == content
            _acknowledged(scene, message.acknowledge)
        consumer.close()
    assert scene.rest(name) == []


@scenario
def with_blocks(scene: Scene) -> None:
    """Whatever leaves a block closes what was opened in it."""
    name = scene.name()
    factory = ActiveMQConnectionFactory(scene.url)

    def classic() -> None:
        with activeclient.connect(scene.url) as connection, connection.create_session() as session:
            queue = session.create_queue(name)
            with session.create_temporary_queue() as replies, session.create_producer(replies) as producer:
                producer.send("reply")
            with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
                producer.send("1")
                for message in consumer.messages(PATIENCE):
                    assert message.text == "1"
                    break
            with Requestor(session, queue), session.create_browser(queue) as browser, connection.management():
                assert list(browser) == []

    def simplified() -> None:
        with factory.create_context() as context:
            context.create_producer().send(context.create_queue(name), "1")
            with context.create_consumer(context.create_queue(name)) as consumer:
                for message in consumer:
                    assert message.text == "1"
                    break

    def core() -> None:
        with (
            ServerLocator.reliable(scene.url) as locator,
            locator.create_session_factory() as opened,
            opened.create_session() as session,
            session.create_consumer(name) as consumer,
        ):
            session.start()
            with session.create_producer(name) as producer:
                producer.send(session.create_message(body=b"1"))
            for message in consumer:
                consumer.acknowledge(message)
                break

    scene.fill(name, "0")
    assert scene.rest(name) == ["0"]
    for block in (classic, simplified, core):
        scene.strike(block)
    scene.rest(name)


@scenario
def open_body(scene: Scene) -> None:
    name = scene.name()
    body = bytes(range(256)) * 20_000  # too large to be read at receipt
    with scene.connection.create_session() as session:
        session.create_producer(session.create_queue(name)).send(body)
        consumer = session.create_consumer(session.create_queue(name))
        message = consumer.receive(PATIENCE)
        assert isinstance(message, BytesMessage)
        file = scene.made(message.open_body)
        with file:
            outcome = scene.strike(lambda: file.read(70_000))
            assert outcome.interrupted or outcome.value == body[:70_000]
        consumer.close()


@scenario
def browse(scene: Scene) -> None:
    name = scene.name()
    scene.fill(name, "1", "2", "3")
    with scene.connection.create_session() as session:
        browser = scene.made(lambda: session.create_browser(session.create_queue(name)))

        def look() -> list[str]:
            return [message.text for message in browser]

        assert scene.made(look) == ["1", "2", "3"]
        look_on = iter(browser)
        next(look_on)
        scene.done(browser.close)
    assert scene.rest(name) == ["1", "2", "3"]


@scenario
def requests(scene: Scene) -> None:
    name = scene.name()
    with activeclient.connect(scene.url) as other, other.create_session() as replying:
        queue = replying.create_queue(name)
        answers = replying.create_producer()

        def answer(message: Any) -> None:
            with contextlib.suppress(JMSError):  # whoever asked was interrupted, and is gone
                answers.send(message.text.upper(), message.jms_reply_to, correlation_id=message.jms_message_id)

        with replying.create_consumer(queue) as consumer, scene.connection.create_session() as session:
            consumer.message_listener = answer
            with scene.made(lambda: Requestor(session, queue)) as requestor:
                reply = scene.made(lambda: requestor.request("hello", PATIENCE))
                assert reply is not None
                assert reply.text == "HELLO"
                scene.done(requestor.close)


# --- life -------------------------------------------------------------------------------------------------------------


def _closed(scene: Scene, thing: Any) -> None:
    """It is closed, even if the call was interrupted and made again, or only once."""
    scene.done(thing.close)
    thing.close()
    assert getattr(thing, "is_closed", True)


@scenario
def sessions(scene: Scene) -> None:
    for mode in (AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.SESSION_TRANSACTED):
        session = scene.made(partial(scene.connection.create_session, mode))
        scene.fill(scene.name(), "x")
        session.create_consumer(session.create_queue(scene.name())).receive(PATIENCE)
        session.create_producer(session.create_queue(scene.name("out"))).send("y")
        _closed(scene, session)


@scenario
def consumers_and_producers(scene: Scene) -> None:
    name = scene.name()
    scene.fill(name, "1")
    with scene.connection.create_session() as session:
        producer = scene.made(lambda: session.create_producer(session.create_queue(name)))
        consumer = scene.made(lambda: session.create_consumer(session.create_queue(name)))
        producer.send("2")
        _closed(scene, producer)
        _closed(scene, consumer)
    assert scene.rest(name) == ["1", "2"]


@scenario
def listeners(scene: Scene) -> None:
    name = scene.name()
    scene.fill(name, "1", "2")
    got: list[str] = []
    both = threading.Event()

    def listen(message: Any) -> None:
        got.append(message.text)
        if len(got) == 2:
            both.set()

    with scene.connection.create_session() as session:
        consumer = session.create_consumer(session.create_queue(name))

        def hear() -> None:
            consumer.message_listener = listen

        def unhear() -> None:
            consumer.message_listener = None

        scene.done(hear)
        assert both.wait(PATIENCE)
        scene.done(unhear, lambda: consumer.on_message(listen), unhear)
        consumer.close()
    assert (got, scene.rest(name)) == (["1", "2"], [])
    with ActiveMQConnectionFactory(scene.url).create_context() as context:
        receiver = context.create_consumer(context.create_queue(name))

        def hear_in_context() -> None:
            receiver.message_listener = listen

        scene.done(hear_in_context, lambda: receiver.on_message(listen))
        scene.fill(name, "3")
        assert scene.made(lambda: receiver.message_listener) is listen
        receiver.close()


@scenario
def start_and_stop(scene: Scene) -> None:
    name = scene.name()
    scene.fill(name, "1")
    with scene.connection.create_session() as session:
        consumer = session.create_consumer(session.create_queue(name))
        scene.done(scene.connection.stop)
        assert consumer.receive(0.05) is None
        scene.done(scene.connection.start)
        assert consumer.receive(PATIENCE).text == "1"
        consumer.close()


@scenario
def connections(scene: Scene) -> None:
    factory = ActiveMQConnectionFactory(scene.url)
    for connect in (lambda: activeclient.connect(scene.url), factory.create_connection):
        connection = scene.made(connect)

        def name_it(connection: Connection = connection, name: str = scene.name("id")) -> None:
            if connection.client_id != name:
                connection.client_id = name

        if connect == factory.create_connection:
            scene.done(name_it)
        with connection.create_session() as session:
            session.create_producer(session.create_queue(scene.name())).send("x")
        _closed(scene, connection)


@scenario
def temporary_destinations(scene: Scene) -> None:
    with scene.connection.create_session() as session:
        for create in (session.create_temporary_queue, session.create_temporary_topic):
            destination = scene.made(create)
            with session.create_producer(destination) as producer:
                producer.send("x")
            try:
                scene.done(destination.delete)
            except JMSError:
                assert destination.is_deleted


@scenario
def subscriptions(scene: Scene) -> None:
    """Durable and shared ones, left and joined again."""
    factory = ActiveMQConnectionFactory(scene.url)
    connection = factory.create_connection()
    connection.client_id = scene.name("client")
    with connection:
        connection.start()
        with connection.create_session() as session:
            topic = session.create_topic(scene.name("topic"))
            for number, create in enumerate(
                (
                    session.create_durable_consumer,
                    session.create_shared_durable_consumer,
                    session.create_shared_consumer,
                )
            ):
                name = f"subscription-{number}"
                consumer = scene.made(partial(create, topic, name))
                session.create_producer(topic).send("1")
                assert consumer.receive(PATIENCE).text == "1"
                _closed(scene, consumer)
                if create != session.create_shared_consumer:
                    session.create_producer(topic).send("2")
                    with create(topic, name) as again:
                        assert again.receive(PATIENCE).text == "2"
                    _unsubscribed(scene, partial(session.unsubscribe, name))


def _unsubscribed(scene: Scene, unsubscribe: Callable[[], None]) -> None:
    if scene.strike(unsubscribe).interrupted:
        with contextlib.suppress(JMSError):
            unsubscribe()  # the first one may have done it


@scenario
def management(scene: Scene) -> None:
    scene.fill(scene.name("q"), "x")
    managed = scene.made(scene.connection.management)
    assert scene.made(lambda: managed.attribute(f"queue.{scene.name('q')}", "MessageCount")) == 1
    assert scene.made(lambda: managed.invoke(f"queue.{scene.name('q')}", "countMessages")) == 1
    (found,) = scene.made(lambda: list(managed.queues(scene.name("q"))))
    assert found.messages == 1
    name = scene.name("managed")

    def certainly(call: Callable[..., object]) -> Callable[[], None]:
        def made() -> None:
            with contextlib.suppress(JMSError):  # an interrupted call may have been carried out
                call(name)

        return made

    scene.done(certainly(managed.create))
    assert scene.made(lambda: [each.name for each in managed.addresses(name)]) == [name]
    assert scene.made(managed.connections)
    assert scene.made(lambda: managed.consumers(name)) == []
    scene.done(lambda: managed.pause(name), lambda: managed.resume(name))
    assert scene.made(lambda: managed.move(scene.name("q"), name)) in (0, 1)
    assert scene.made(lambda: managed.purge(name)) in (0, 1)
    assert scene.made(lambda: managed.retry(name)) == 0
    scene.done(certainly(managed.delete))
    _closed(scene, managed)
    with scene.connection.create_session() as session:
        _closed(scene, scene.made(session.management))


@scenario
def draining(scene: Scene) -> None:
    scene.fill(scene.name(), "x")
    with activeclient.connect(scene.url) as connection:
        session = connection.create_session()
        message = session.create_consumer(session.create_queue(scene.name())).receive(PATIENCE)
        assert scene.made(lambda: message.read(str)) == "x"
        scene.done(connection.drain)
        assert connection.is_closed
    with ServerLocator.reliable(scene.url) as locator:
        core = locator.create_session_factory()
        scene.done(core.create_session().stop_receiving, partial(core.finish, PATIENCE), partial(core.drain, PATIENCE))
        assert core.is_closed


# --- outages ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _away(scene: Scene) -> Iterator[Cutter]:
    parts = urlsplit(scene.url)
    assert parts.hostname is not None
    assert parts.port is not None
    with Cutter(parts.hostname, parts.port) as cutter:
        yield cutter


def _through(scene: Scene, cutter: Cutter) -> str:
    return cutter.url() + "?" + scene.url.partition("?")[2]


@scenario
def connect_in_an_outage(scene: Scene) -> None:
    with _away(scene) as cutter:
        cutter.down()
        try:
            outcome = scene.strike(lambda: activeclient.connect(_through(scene, cutter), wait=timedelta(seconds=0.2)))
            assert outcome.interrupted
        except ConnectionLost:
            pass
        back = threading.Timer(0.1, cutter.up)
        back.start()
        try:
            connection = scene.made(lambda: activeclient.connect(_through(scene, cutter), wait=PATIENCE))
            connection.create_session().close()
            connection.close()
        finally:
            back.join()


@scenario
def wait_in_an_outage(scene: Scene) -> None:
    with (
        _away(scene) as cutter,
        activeclient.connect(_through(scene, cutter)) as connection,
        connection.create_session() as session,
    ):
        producer = session.create_producer(session.create_queue(scene.name()))
        producer.send("first")
        cutter.down()
        cutter.cut_now()
        end = time.monotonic() + PATIENCE
        while connection.is_connected and time.monotonic() < end:
            time.sleep(0.01)
        future = scene.strike(lambda: producer.send_async("x"))
        back = threading.Timer(0.1, cutter.up)
        back.start()
        try:
            scene.done(lambda: connection.wait_until_connected(PATIENCE))
            assert connection.is_connected
            if not future.interrupted:
                future.values[0].result(PATIENCE)
        finally:
            back.join()
    there = scene.rest(scene.name())
    assert there == ["first", "x"] or (future.interrupted and there == ["first"])


# --- contexts ---------------------------------------------------------------------------------------------------------


@scenario
def contexts(scene: Scene) -> None:
    factory = ActiveMQConnectionFactory(scene.url)
    name = scene.name()
    context = scene.made(factory.create_context)
    queue = context.create_queue(name)
    scene.done(lambda: context.wait_until_connected(PATIENCE), context.start)
    certain = []
    if not scene.strike(lambda: context.create_producer().send(queue, "1")).interrupted:
        certain.append("1")
    sent = scene.strike(lambda: context.create_producer().send_async(queue, "2"))
    if not sent.interrupted:
        sent.values[0].result(PATIENCE)
        certain.append("2")
    there = scene.rest(name)
    assert set(certain) <= set(there)
    assert len(there) == len(set(there))
    scene.fill(name, "3", "4", "5", "6")
    consumer = scene.made(lambda: context.create_consumer(queue))
    assert scene.made(lambda: consumer.receive(PATIENCE)).text == "3"
    assert scene.made(lambda: consumer.receive_body(str, PATIENCE)) == "4"
    assert scene.made(consumer.receive_no_wait).text == "5"
    assert scene.made(lambda: consumer.receive_body_no_wait(str)) == "6"
    assert scene.made(lambda: list(consumer.messages(0))) == []
    scene.done(consumer.close, context.stop)
    other = scene.made(context.create_context)
    _closed(scene, other)
    _closed(scene, context)


@scenario
def contexts_that_acknowledge(scene: Scene) -> None:
    factory = ActiveMQConnectionFactory(scene.url)
    name = scene.name()
    scene.fill(name, "1", "2")
    with factory.create_context(AcknowledgeMode.CLIENT_ACKNOWLEDGE) as context:
        consumer = context.create_consumer(context.create_queue(name))
        assert consumer.receive(PATIENCE).text == "1"
        scene.done(context.recover)
        assert consumer.receive(PATIENCE).text == "1"
        _acknowledged(scene, context.acknowledge)
    assert scene.rest(name) == ["2"]
    scene.fill(name, "3")
    with factory.create_context(AcknowledgeMode.SESSION_TRANSACTED) as context:

        def block() -> None:
            with context.transaction():
                pass

        scene.done(block)
        consumer = context.create_consumer(context.create_queue(name))
        assert consumer.receive(PATIENCE).text == "3"
        scene.done(context.rollback)
        assert consumer.receive(PATIENCE).text == "3"
        unsure = scene.strike(context.commit).interrupted
        if unsure:
            with contextlib.suppress(TransactionRolledBackError, TransactionOutcomeUnknownError):
                context.commit()
    assert scene.rest(name) in ([[], ["3"]] if unsure else [[]])


@scenario
def contexts_with_subscriptions(scene: Scene) -> None:
    factory = ActiveMQConnectionFactory(scene.url)
    with factory.create_context() as context:

        def name_it() -> None:
            if context.client_id is None:
                context.client_id = scene.name("client")

        scene.done(name_it)
        topic = context.create_topic(scene.name("topic"))
        scene.made(lambda: context.create_durable_consumer(topic, "durable")).close()
        scene.made(lambda: context.create_shared_durable_consumer(topic, "shared-durable")).close()
        scene.made(lambda: context.create_shared_consumer(topic, "shared")).close()
        for name in ("durable", "shared-durable"):
            _unsubscribed(scene, partial(context.unsubscribe, name))
        scene.made(context.create_temporary_topic).delete()
        temporary = scene.made(context.create_temporary_queue)
        context.create_producer().send(temporary, "1")
        assert scene.made(lambda: [m.text for m in context.create_browser(temporary)]) == ["1"]
        temporary.delete()


# --- distributed transactions -----------------------------------------------------------------------------------------


def _decided(scene: Scene, call: Callable[[], Any], xid: Any, resource: Any) -> bool:
    """Make a call that decides a branch; True if the branch is over, False if it has to be rolled back."""
    try:
        if not scene.strike(call).interrupted:
            return True
        call()
        return True
    except (XAError, OutcomeUnknown):
        return bool(xid not in resource.recover())


@scenario
def branches(scene: Scene) -> None:
    """In two phases: after `prepare` has returned, the branch is committed whatever happens."""
    factory = ActiveMQXAConnectionFactory(scene.url)
    name = scene.name()
    with scene.made(factory.create_xa_connection) as connection, connection.create_xa_session() as session:
        connection.start()
        resource = session.xa_resource
        producer = session.create_producer(session.create_queue(name))
        xid = new_xid()
        prepared = False
        try:
            began = scene.strike(lambda: resource.start(xid))
            if not began.interrupted:
                producer.send("x")
                ended = scene.strike(lambda: resource.end(xid))
                prepared = not ended.interrupted and not scene.strike(lambda: resource.prepare(xid)).interrupted
        except XAError:
            pass
        if prepared:
            done = _decided(scene, lambda: resource.commit(xid), xid, resource)
            if not done:
                resource.commit(xid)
        else:
            _undone(resource, xid)
        assert xid not in scene.made(resource.recover)
        scene.done(lambda: resource.set_transaction_timeout(100))
        scene.made(lambda: resource.transaction_timeout)
    assert scene.rest(name) == (["x"] if prepared else [])


@scenario
def branches_that_are_rolled_back(scene: Scene) -> None:
    factory = ActiveMQXAConnectionFactory(scene.url)
    name = scene.name()
    context = scene.made(factory.create_xa_context)
    with context:
        resource = context.xa_resource
        xid = new_xid()
        producer = context.create_producer()
        try:
            resource.start(xid)
            producer.send(context.create_queue(name), "x")
            resource.end(xid)
            scene.strike(lambda: resource.rollback(xid))
        except XAError:
            pass
        _undone(resource, xid)
        with contextlib.suppress(XAError):
            scene.strike(lambda: resource.forget(xid))

        def block() -> None:
            with resource.branch(new_xid()) as branch:
                pass
            resource.rollback(branch)

        with contextlib.suppress(XAError):
            scene.strike(block)
    connection = scene.made(factory.create_xa_connection)
    _closed(scene, scene.made(connection.create_xa_session))
    _closed(scene, connection)
    assert scene.rest(name) == []


def _undone(resource: Any, xid: Any) -> None:
    """What an interrupted call has left of a branch is over."""
    with contextlib.suppress(XAError):
        resource.end(xid, failed=True)
    with contextlib.suppress(XAError):
        resource.rollback(xid)


# --- the core API -----------------------------------------------------------------------------------------------------


@scenario
def core_sessions(scene: Scene) -> None:
    name = scene.name()
    locator = ServerLocator.reliable(scene.url)
    factory = scene.made(locator.create_session_factory)
    scene.done(lambda: factory.wait_until_connected(PATIENCE))
    session = scene.made(factory.create_session)
    assert scene.made(lambda: factory.nodes(PATIENCE))
    creations: tuple[Callable[[], Any], ...] = (
        lambda: session.create_address(name, ["ANYCAST"]),
        lambda: session.create_queue(name),
        lambda: session.create_shared_queue(name, name + ".shared", durable=False),
        lambda: session.create_temporary_queue(name, name + ".temporary"),
    )
    for create in creations:
        if scene.strike(create).interrupted:
            with contextlib.suppress(JMSError):
                create()  # the first one may have done it
    assert scene.made(lambda: session.query_queue(name)).exists
    assert scene.made(lambda: session.query_address(name)).exists
    scene.done(lambda: session.add_metadata("key", "value"))
    if scene.strike(lambda: session.add_unique_metadata("unique", name)).interrupted:
        with contextlib.suppress(JMSError):
            session.add_unique_metadata("unique", name)
    _unsubscribed(scene, partial(session.delete_queue, name + ".shared"))
    _unsubscribed(scene, partial(session.delete_queue_soon, name + ".temporary"))
    producer = scene.made(lambda: session.create_producer(name))
    certain = []
    for text in ("1", "2"):
        message = session.create_message(body=text.encode())
        if not scene.strike(partial(producer.send, message)).interrupted:
            certain.append(text.encode())
    scene.done(producer.flush)
    consumer = scene.made(lambda: session.create_consumer(name))
    scene.done(session.start)
    got = []
    for take in (
        lambda: consumer.receive(SHORT),
        consumer.receive_immediate,
        lambda: next(consumer.messages(SHORT), None),
    ):
        message = scene.made(take)
        if message is not None:
            got.append(message)
    for message in got[:1]:
        scene.done(partial(consumer.acknowledge, message))
    for message in got[1:]:
        scene.done(partial(consumer.individual_acknowledge, message))
    scene.done(consumer.flush_acknowledgements)
    bodies = [message.body for message in got]
    assert set(certain) <= set(bodies)
    assert len(bodies) == len(set(bodies))
    scene.done(session.stop)
    _closed(scene, producer)
    _closed(scene, consumer)
    _closed(scene, session)
    _closed(scene, factory)
    scene.done(locator.close)


@scenario
def core_transactions(scene: Scene) -> None:
    name = scene.name()
    with ServerLocator.reliable(scene.url) as locator, locator.create_session_factory() as factory:
        with factory.create_session(auto_commit_sends=False, auto_commit_acks=False) as session:
            session.create_queue(name)
            producer = session.create_producer(name)
            producer.send(session.create_message(body=b"1"))
            scene.done(session.rollback)
            producer.send(session.create_message(body=b"2"))
            unsure = scene.strike(session.commit).interrupted
            if unsure:
                with contextlib.suppress(TransactionRolledBackError, TransactionOutcomeUnknownError):
                    session.commit()
        with factory.create_session() as session, session.create_consumer(name) as consumer:
            session.start()

            def listen() -> None:
                consumer.message_handler = lambda message: None

            def unlisten() -> None:
                consumer.message_handler = None

            got = [message.body for message in consumer.messages(SHORT)]
            scene.done(listen, unlisten)
    assert got in ([[], [b"2"]] if unsure else [[b"2"]])


@scenario
def core_branches(scene: Scene) -> None:
    name = scene.name()
    with ServerLocator.reliable(scene.url) as locator, locator.create_session_factory() as factory:
        with factory.create_session() as plain:
            plain.create_queue(name)
        with factory.create_session(xa=True) as session:
            producer = session.create_producer(name)
            xid = new_xid()
            calls: list[Callable[[], Any]] = [
                lambda: session.xa_start(xid),
                session.xa_suspend,
                lambda: session.xa_resume(xid),
                lambda: producer.send(session.create_message(body=b"1")),
                lambda: session.xa_end(xid),
                lambda: session.xa_commit(xid, one_phase=True),
            ]
            committed = True
            for call in calls:
                try:
                    committed = committed and not scene.strike(call).interrupted
                except (XAError, JMSError):
                    committed = False
            unsure = not committed
            with contextlib.suppress(JMSError):
                session.xa_end(xid, failed=True)
            with contextlib.suppress(JMSError):
                session.xa_rollback(xid)
            other = new_xid()
            with contextlib.suppress(JMSError):
                scene.strike(lambda: session.xa_start(other))
                scene.strike(lambda: session.xa_end(other))
                scene.strike(lambda: session.xa_prepare(other))
                scene.strike(lambda: session.xa_rollback(other))
            with contextlib.suppress(JMSError):
                scene.strike(lambda: session.xa_forget(other))
            with contextlib.suppress(JMSError):
                session.xa_end(other, failed=True)
            with contextlib.suppress(JMSError):
                session.xa_rollback(other)
            assert other not in scene.made(session.xa_recover)
            scene.done(lambda: session.xa_set_timeout(100))
            assert scene.made(session.xa_get_timeout) > 0
            with contextlib.suppress(JMSError):
                scene.strike(lambda: session.xa_join(xid))
            with contextlib.suppress(JMSError):
                session.xa_end(xid, failed=True)
            with contextlib.suppress(JMSError):
                session.xa_rollback(xid)
    there = scene.rest(name)
    assert there in ([[], ["1"]] if unsure else [["1"]])
