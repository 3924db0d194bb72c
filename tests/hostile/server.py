"""A broker that misbehaves on command: enough of CORE to get a client into any state, then whatever bytes a test wants.

Law of this file: it is as deterministic as a script: one thread for each connection, which answers what the script
says, in the order in which the client asks; it never sleeps but where a script says so; `close` ends all its threads.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator

from activeclient.wire.frames import MAGIC
from activeclient.wire.message import CoreMessage, encode_receive
from activeclient.wire.packet import Packet, decode, encode, is_counted
from activeclient.wire.packets import (
    BindingQuery,
    BindingQueryResponse,
    CreateConsumer,
    CreateSession,
    CreateSessionResponse,
    FlowToken,
    ForceDelivery,
    NullResponse,
    PacketsConfirmed,
    Ping,
    ProducerCredits,
    QueueQuery,
    QueueQueryResponse,
    ReattachSession,
    ReattachSessionResponse,
    RequestProducerCredits,
    SendContinuation,
    SessionStart,
)
from activeclient.wire.versions import NEWEST

HEAD = struct.Struct(">ibq")
SENDS = (71, 73)
Script = Callable[["Conversation"], None]


class GoneError(Exception):
    """The client hung up."""


class Conversation:
    """One connection, from the server's side.

    `serve` answers like a broker until the client is gone; `on` replaces the answer to one kind of packet.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""
        self.channel = 10
        self.counted: dict[int, int] = {}
        self.windowed = False
        self.on: dict[type[Packet], Callable[[Packet, int], object]] = {}
        self.seen: list[Packet] = []
        self.greeted = False
        self.stopped = threading.Event()

    # --- bytes ----------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Raises GoneError when nobody takes them."""
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise GoneError from exc

    def more(self) -> None:
        """Take bytes, at least one."""
        try:
            data = self.sock.recv(1 << 16)
        except OSError as exc:
            raise GoneError from exc
        if not data:
            raise GoneError
        self.rest += data

    def until_gone(self) -> None:
        """Read and say nothing until the client leaves."""
        with contextlib.suppress(GoneError):
            while True:
                self.rest = b""
                self.more()

    # --- packets --------------------------------------------------------------------------------------------------

    def say(self, packet: Packet, channel: int | None = None) -> None:
        """Send a packet; on the channel of the last session if none is named."""
        self.send(encode(packet, self.channel if channel is None else channel, NEWEST))

    def deliver(self, body: bytes = b"hello", consumer_id: int = 0, message_id: int = 1, **more: object) -> None:
        """SESS_RECEIVE_MSG."""
        message = CoreMessage(body, 4, "q", message_id=message_id, **more)  # type: ignore[arg-type]
        self.send(encode_receive(message, consumer_id, 1, self.channel))

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Kind, channel and frame of what the client sends."""
        while True:
            if not self.greeted:
                while len(self.rest) < len(MAGIC):
                    self.more()
                assert self.rest.startswith(MAGIC), self.rest[:20]
                self.rest = self.rest[len(MAGIC) :]
                self.greeted = True
            while len(self.rest) < 13:
                self.more()
            size, kind, channel = HEAD.unpack_from(self.rest)
            while len(self.rest) < size + 4:
                self.more()
            frame, self.rest = self.rest[: size + 4], self.rest[size + 4 :]
            yield kind, channel, frame

    def serve(self, until: type[Packet] | int | None = None) -> None:
        """Answer like a broker; return once `until` came (a packet class, answered, or the type of a send)."""
        for kind, channel, frame in self.frames():
            if kind in SENDS:
                self._count(channel)
                size = len(frame)
                if frame[-13]:
                    self.say(NullResponse(int.from_bytes(frame[-12:-4], "big", signed=True)), channel)
                if until == kind:
                    return
                del size
                continue
            packet = decode(frame, NEWEST)
            self.seen.append(packet)
            del self.seen[:-1000]
            if is_counted(packet) and channel >= 10:
                self._count(channel)
            instead = self.on.get(type(packet))
            if instead is not None:
                instead(packet, channel)
            else:
                self.answer(packet, channel)
            if until is not None and not isinstance(until, int) and isinstance(packet, until):
                return

    def _count(self, channel: int) -> None:
        count = self.counted[channel] = self.counted.get(channel, 0) + 1
        if self.windowed:
            self.say(PacketsConfirmed(count - 1), channel)

    def answer(self, packet: Packet, channel: int) -> None:
        """What a broker says."""
        if isinstance(packet, Ping):
            self.say(packet, 0)
        elif isinstance(packet, CreateSession):
            self.channel = packet.session_channel_id
            self.windowed = packet.window_size >= 0
            self.counted[self.channel] = 0
            self.say(CreateSessionResponse(NEWEST), 1)
        elif isinstance(packet, ReattachSession):
            self.say(ReattachSessionResponse(-1, False), 1)
        elif isinstance(packet, (QueueQuery, CreateConsumer)):
            name = packet.queue_name
            self.say(QueueQueryResponse(exists=True, name=name, address=name), channel)
        elif isinstance(packet, BindingQuery):
            self.say(BindingQueryResponse(exists=True, queue_names=(packet.address,)), channel)
        elif isinstance(packet, RequestProducerCredits):
            self.say(ProducerCredits(packet.credits, packet.address), channel)
        elif isinstance(packet, (FlowToken, ForceDelivery, SessionStart, SendContinuation)) or not packet.REPLY:
            pass
        elif (NullResponse,) == packet.REPLY:
            self.say(NullResponse(getattr(packet, "correlation_id", -1)), channel)

    def to_session(self) -> None:
        """Serve until a session exists."""
        for created in (CreateSession,):
            self.serve(created)

    def to_consumer(self) -> None:
        """Serve until a consumer has granted its window."""
        self.serve(FlowToken)


class HostileServer:
    """Listens on a free port of the loopback; each connection runs `script`, or the next of several (the last stays).

    Args:
        tls: A server context: scripts then talk through TLS.
        backlog_only: Accept nothing: TCP opens, and nobody ever reads.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, backlog_only: bool = False) -> None:
        self.scripts = list(scripts)
        self.tls = tls
        self.accepted: list[float] = []
        self.conversations: list[Conversation] = []
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        if not backlog_only:
            self._start(self._accept)

    def url(self, parameters: str = "") -> str:
        """Where it listens."""
        return f"tcp://127.0.0.1:{self.port}" + (f"?{parameters}" if parameters else "")

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name="hostile-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.accepted.append(time.monotonic())
            script = self.scripts[min(len(self.accepted), len(self.scripts)) - 1]
            conversation = Conversation(sock)
            self.conversations.append(conversation)
            self._start(lambda talk=conversation, run=script: self._converse(talk, run))  # type: ignore[misc]

    def _converse(self, conversation: Conversation, script: Script) -> None:
        try:
            if self.tls is not None:
                conversation.sock = self.tls.wrap_socket(conversation.sock, server_side=True)
            script(conversation)
        except (GoneError, OSError):
            pass
        except BaseException as exc:
            if not self._closed:
                self.errors.append(exc)
        finally:
            _end(conversation.sock)

    def close(self) -> None:
        """End all connections and threads."""
        self._closed = True
        _end(self._socket)
        for conversation in self.conversations:
            conversation.stopped.set()
            _end(conversation.sock)
        for thread in self._threads:
            thread.join(5)
        assert not self.errors, self.errors

    def __enter__(self) -> HostileServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    sock.close()


# --- scripts ----------------------------------------------------------------------------------------------------------


def broker(talk: Conversation) -> None:
    """A good one."""
    talk.serve()


def silent(talk: Conversation) -> None:
    """Never answers."""
    talk.until_gone()


def hangs_up(talk: Conversation) -> None:
    """Accepts and closes."""


def says(data: bytes) -> Script:
    """Speaks first, in another language, and waits."""

    def script(talk: Conversation) -> None:
        talk.send(data)
        talk.until_gone()

    return script


def answers(data: bytes) -> Script:
    """Waits for the client's first bytes, then speaks in another language and hangs up."""

    def script(talk: Conversation) -> None:
        talk.more()
        talk.send(data)

    return script


def trickles(data: bytes, pause: float) -> Script:
    """One byte at a time."""

    def script(talk: Conversation) -> None:
        for byte in data:
            talk.send(bytes((byte,)))
            if talk.stopped.wait(pause):
                return
        talk.until_gone()

    return script


def after_session(act: Callable[[Conversation], object]) -> Script:
    """A good broker until a session exists; then `act`, then good again."""

    def script(talk: Conversation) -> None:
        talk.to_session()
        act(talk)
        talk.serve()

    return script


def after_consumer(act: Callable[[Conversation], object]) -> Script:
    """A good broker until a consumer waits; then `act`, then good again."""

    def script(talk: Conversation) -> None:
        talk.to_consumer()
        act(talk)
        talk.serve()

    return script
