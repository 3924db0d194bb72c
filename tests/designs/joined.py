"""A client's engine and the embedded broker's server, joined by two byte queues, on one clock that the test moves.

Law of this file: the engine is wired by `ClientSessionFactory` from a URL, as users' connections are; only the driver
is missing. Nothing sleeps, and nothing is random: what is cut is what the test cuts.
"""

from __future__ import annotations

import random

from activeclient.broker.configuration import BrokerConfiguration
from activeclient.broker.connection import ServerConnection
from activeclient.broker.filters import compile_filter
from activeclient.broker.limits import Limits
from activeclient.broker.postoffice import PostOffice
from activeclient.broker.server import BrokerServer
from activeclient.broker.server_control import SessionStatus, status_of
from activeclient.broker.store import MemoryStore
from activeclient.client.session_factory import ClientSessionFactory, Creation
from activeclient.engine.client import ClientEngine
from activeclient.engine.consumer import Consumer
from activeclient.engine.requests import Request, SendToken
from activeclient.engine.session import Session
from activeclient.errors import ActiveClientError, ConnectFailed, ConnectionLost
from activeclient.events import Abort, Ask, Connect, Event, StateChanged, Work
from activeclient.reconnection import ReconnectAttempt, ReconnectionStrategy
from activeclient.urls import parse_url
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage, encode_send
from activeclient.wire.packet import Packet
from tests.broker.office import StandingClock

LIMIT = 100_000
"""Steps of one conversation; more is a live-lock."""


class Joined:
    """One client and one broker.

    Args:
        parameters: Of the client's URL.
        limits: Of the broker.
        strategy: Of the application; called where the driver would call it.
    """

    def __init__(
        self, parameters: str, *, limits: Limits | None = None, strategy: ReconnectionStrategy | None = None
    ) -> None:
        self.clock = StandingClock()
        self._strategy = strategy
        parsed = parse_url(f"tcp://broker:61616?{parameters}")
        self.factory = ClientSessionFactory(
            parsed.settings(), parsed.endpoints, "tcp", random.Random(1), strategy=strategy
        )
        self.engine: ClientEngine = self.factory.engine
        self.reachable = True
        """Does an attempt to connect find the broker?"""
        self.reads = self.writes = True
        """Do bytes get from the client to the broker, and from the broker to the client?"""
        self.connection: ServerConnection | None = None
        self.events: list[Event] = []
        self.attempts: list[float] = []
        """When each transport was asked for."""
        self.server = self._new_server(limits)
        self._limits = limits

    def _new_server(self, limits: Limits | None) -> BrokerServer:
        post = PostOffice(BrokerConfiguration(), MemoryStore(), self.clock, compile_filter)
        return BrokerServer(post, "node-1", compile_filter, limits=limits)

    # --- driving ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The clock."""
        return self.clock.now

    def run(self) -> None:
        """Carry bytes and events until nothing happens any more at this moment."""
        for _ in range(LIMIT):
            if not (self._events() or self._bytes()):
                return
        raise AssertionError("it never rests")

    def _events(self) -> bool:
        event = self.engine.next_event()
        if event is None:
            return False
        if isinstance(event, Connect):
            self.attempts.append(self.now)
            self._connect()
        elif isinstance(event, Abort):
            self._drop()
        elif isinstance(event, Ask):
            self._ask(event)
        elif isinstance(event, Work):
            session = event.session
            assert isinstance(session, Session)
            session.work_announced = False
            while session.work:
                session.work.popleft().run()
        else:
            self.events.append(event)
        return True

    def _ask(self, event: Ask) -> None:
        question = event.question
        assert self._strategy is not None
        attempt = ReconnectAttempt(
            question,  # type: ignore[arg-type]
            lambda decision: self.engine.decided(question.serial, decision, self.now),  # type: ignore[attr-defined]
        )
        self._strategy(attempt)

    def _connect(self) -> None:
        made = self.server.connection_made("client", self.now) if self.reachable else None
        if made is None:
            self.engine.connection_lost(ConnectFailed("refused"), self.now)
            return
        self.connection = made
        self.engine.connection_made(self.now)

    def _drop(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.connection_lost()

    def _bytes(self) -> bool:
        connection = self.connection
        if connection is None:
            self.engine.data_to_send()
            return False
        moved = False
        if self.reads and (out := b"".join(self.engine.data_to_send())):
            moved = True
            connection.receive_data(out, self.now)
        if self.writes and (back := b"".join(connection.data_to_send(self.now))):
            moved = True
            connection.written(0)
            self.engine.receive_data(back, self.now)
        if connection is self.connection and (connection.aborted or connection.closing or connection.gone):
            moved = True
            self.cut()
        return moved

    def advance(self, seconds: float) -> None:
        """Let time pass: both sides are told each time that they have asked for."""
        end = self.now + seconds
        for _ in range(LIMIT):
            self.run()
            times = [time for time in (self.engine.next_timeout(), self.server.next_timeout()) if time is not None]
            due = min(times, default=end)
            if due > end:
                break
            self.clock.now = max(self.now, due)
            self.engine.handle_timeout(self.now)
            self.server.handle_timeout(self.now)
        else:
            raise AssertionError("it never rests")
        self.clock.now = end
        self.run()

    def cut(self, reason: ActiveClientError | None = None) -> None:
        """The transport is reset; what is on its way is lost."""
        self._drop()
        self.engine.connection_lost(reason or ConnectionLost("reset"), self.now)
        self.reads = self.writes = True

    def restart(self) -> None:
        """Another broker process with nothing in it."""
        self._drop()
        self.server = self._new_server(self._limits)

    # --- what a user does ---------------------------------------------------------------------------------------------

    def open(self) -> Joined:
        """Connect."""
        self.engine.open(self.now)
        self.run()
        return self

    def session(self, **more: bool) -> Session:
        """A session that is ready."""
        made = self.engine.create_session(self.factory._session_config(**more), self.now)
        made.creation = Creation()
        self.run()
        assert made.creation.done
        assert made.creation.error is None, made.creation.error
        return made

    def request(self, session: Session, packet: Packet) -> Request:
        """Submit a request."""
        request = session.submit(session.request_of(packet))
        self.run()
        return request

    def queue(self, session: Session, name: str = "q") -> None:
        """A queue."""
        assert self.request(session, p.CreateQueue(name, name, durable=True, routing_type=1)).error is None

    def send(self, session: Session, text: str, *, size: int = 0) -> SendToken:
        """Submit a send as a producer with a completion listener does, if it need not wait; nothing is carried yet."""
        assert session.room, "the sender would have to wait"
        correlation = session.next_correlation()
        body = text.encode().ljust(size, b".")
        properties = {"_AMQ_DUPL_ID": text}
        message = CoreMessage(body, address="q", properties=properties, durable=True)
        frame = encode_send(message, session.channel_id, self.engine.version, True, correlation)
        token = SendToken(correlation, lambda *_: None, text)
        session.send(frame, token, len(frame))
        return token

    def consume(self, session: Session, queue: str = "q") -> Consumer:
        """A consumer that is given everything at once."""
        consumer = Consumer(session, session.new_consumer_id(), queue, None, window=-1, ack_batch=0)

        def created(request: Request) -> None:
            if request.error is None:
                assert isinstance(request.result, p.QueueQueryResponse)
                consumer.queue_info = request.result
                consumer.new_generation()
                session.consumers[consumer.id] = consumer
                consumer.grant_window()

        session.submit(session.request_of(consumer.create_packet(), created))
        self.run()
        session.started = True
        session.command(session.encode(p.SessionStart()))
        self.run()
        return consumer

    # --- what is to be seen -------------------------------------------------------------------------------------------

    @property
    def states(self) -> list[str]:
        """The states that listeners were told of."""
        return [event.new.name for event in self.events if isinstance(event, StateChanged)]

    def stored(self, queue: str = "q") -> list[str]:
        """The texts of a queue, in order."""
        found = self.server.post.find(queue)
        assert found is not None
        return [bytes(reference.message.to_core().body).rstrip(b".").decode() for reference in found.browse()]

    def listed(self) -> list[SessionStatus]:
        """The sessions as the broker lists them."""
        return [status_of(session) for session in self.server.sessions.values()]
