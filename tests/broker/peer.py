"""A client of the broker in bytes: packets in, packets out, and a clock that moves when it is told.

Law of this file: nothing here knows more of the server than its bytes; what it answers is decoded with the client's own
codec. No test that uses it sleeps.
"""

from __future__ import annotations

from typing import Any, TypeVar

from activeclient.broker.configuration import BrokerConfiguration
from activeclient.broker.connection import ServerConnection
from activeclient.broker.filters import compile_filter
from activeclient.broker.limits import Limits
from activeclient.broker.postoffice import PostOffice
from activeclient.broker.server import BrokerServer
from activeclient.broker.store import MemoryStore, Store
from activeclient.wire import packets as p
from activeclient.wire.frames import FRAME, MAGIC, FrameSplitter
from activeclient.wire.message import CoreMessage, encode_send
from activeclient.wire.packet import Packet, decode, encode
from activeclient.wire.versions import NEWEST
from tests.broker.office import StandingClock

P = TypeVar("P", bound=Packet)
CHANNEL = 10


class World:
    """A server with its post office."""

    def __init__(
        self, configuration: BrokerConfiguration | None = None, store: Store | None = None, limits: Limits | None = None
    ) -> None:
        self.clock = StandingClock()
        self.store = store if store is not None else MemoryStore()
        self.post = PostOffice(configuration or BrokerConfiguration(), self.store, self.clock, compile_filter)
        self.reports: list[str] = []
        self.server = BrokerServer(
            self.post,
            "node-1",
            compile_filter,
            limits=limits,
            report=lambda text, error: self.reports.append(f"{text} {error!r}"),
        )

    def connect(self, version: int | None = NEWEST, **more: Any) -> Peer:
        """A client that has said which version it speaks."""
        peer = Peer(self, **more)
        if version is not None:
            peer.send(p.SubscribeTopology(False, version), 0)
            peer.version = version
            peer.take_all()
        return peer

    def advance(self, seconds: float) -> None:
        """Let time pass, and the server do at each deadline what it has to do."""
        end = self.clock.now + seconds
        while (due := self.server.next_timeout()) is not None and due <= end:
            self.clock.now = max(self.clock.now, due)
            self.server.handle_timeout(self.clock.now)
        self.clock.now = end


class Peer:
    """One connection."""

    def __init__(self, world: World, *, greet: bool = True) -> None:
        self.world = world
        made = world.server.connection_made("peer", world.clock.now)
        assert made is not None
        self.connection: ServerConnection = made
        self.version = NEWEST
        self._splitter = FrameSplitter()
        self.inbox: list[tuple[int, Packet]] = []
        self.frames: list[bytes] = []
        """Every frame that ever came."""
        if greet:
            self.bytes(MAGIC)

    def bytes(self, data: bytes) -> None:
        """Send any bytes."""
        self.connection.receive_data(data, self.world.clock.now)

    def send(self, packet: Packet, channel: int = CHANNEL) -> None:
        """Send a packet."""
        self.bytes(encode(packet, channel, self.version))

    def take_all(self) -> list[Packet]:
        """Everything that came since the last time, in order; on any channel."""
        self._collect()
        found, self.inbox = self.inbox, []
        return [packet for _, packet in found]

    def _collect(self) -> None:
        while True:
            chunks = self.connection.data_to_send(self.world.clock.now)
            self.connection.written(0)
            if not chunks:
                return
            for frame in self._splitter.feed(b"".join(chunks)):
                self.frames.append(frame)
                self.inbox.append((FRAME.unpack_from(frame)[2], decode(frame, self.version)))

    def take(self, kind: type[P]) -> P:
        """The one packet that came, which is of this kind."""
        found = self.take_all()
        assert [type(each) for each in found] == [kind], found
        return found[0]  # type: ignore[return-value]

    def ask(self, packet: Packet, kind: type[P], channel: int = CHANNEL) -> P:
        """Send a packet; the answer, in front of which confirmations may come."""
        self.take_all()
        self.send(packet, channel)
        found = [each for each in self.take_all() if not isinstance(each, p.PacketsConfirmed)]
        assert [type(each) for each in found] == [kind], found
        return found[0]  # type: ignore[return-value]

    # --- common steps ------------------------------------------------------------------------------------------------

    def session(self, name: str = "session", channel: int = CHANNEL, *, window: int = 1, **more: Any) -> None:
        """A session, answered."""
        self.ask(create_session(name, channel, window=window, **more), p.CreateSessionResponse, 1)

    def queue(self, name: str = "q", channel: int = CHANNEL, **more: Any) -> None:
        """A queue of anycast."""
        self.ask(p.CreateQueue(name, name, routing_type=1, **more), p.NullResponse, channel)

    def post(self, body: bytes = b"body", address: str = "q", channel: int = CHANNEL, **more: Any) -> None:
        """Send a message that wants no answer."""
        asked = more.pop("asked", False)
        correlation_id = more.pop("correlation_id", 0)
        message = CoreMessage(body, 4, address, **more)
        self.bytes(encode_send(message, channel, self.version, asked, correlation_id))

    def consume(self, queue: str = "q", consumer_id: int = 0, credits: int = -1, **more: Any) -> None:
        """A consumer with credits, on a session that runs."""
        self.ask(p.CreateConsumer(consumer_id, queue, **more), p.QueueQueryResponse)
        self.send(p.FlowToken(consumer_id, credits))
        self.send(p.SessionStart())

    def messages(self) -> list[CoreMessage]:
        """The messages that came."""
        return [each.message for each in self.take_all() if isinstance(each, p.ReceiveMessage)]

    def bodies(self) -> list[bytes]:
        """The bodies of the messages that came."""
        return [each.body for each in self.messages()]


def create_session(name: str, channel: int, *, window: int = 1, **more: Any) -> p.CreateSession:
    """The packet, for a session that acknowledges and sends at once unless told otherwise."""
    given: dict[str, Any] = {
        "version": NEWEST,
        "username": None,
        "password": None,
        "min_large_message_size": 1024,
        "xa": False,
        "auto_commit_sends": True,
        "auto_commit_acks": True,
        "pre_acknowledge": False,
    }
    return p.CreateSession(name=name, session_channel_id=channel, window_size=window, **(given | more))


def confirmed(packets: list[Packet]) -> int:
    """The last id that was confirmed."""
    return max((each.command_id for each in packets if isinstance(each, p.PacketsConfirmed)), default=-1)
