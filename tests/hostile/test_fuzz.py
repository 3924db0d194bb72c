"""Random and mutated bytes into the engine in every state: an orderly loss or nothing, soon, small, still closable."""

from __future__ import annotations

import contextlib
import struct
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activeclient.engine.client import ClientConfig, ClientEngine
from activeclient.engine.consumer import Consumer
from activeclient.engine.failover import EndpointList
from activeclient.engine.link import Link
from activeclient.engine.link import State as LinkState
from activeclient.engine.session import Session, SessionConfig
from activeclient.errors import ActiveClientError, ConnectionLost
from activeclient.events import Abort, Closed, Connect, Endpoint, GaveUp
from activeclient.wire.message import CoreMessage, encode_receive, encode_send
from activeclient.wire.packet import encode
from activeclient.wire.packets import (
    CreateSessionResponse,
    NullResponse,
    PacketsConfirmed,
    Ping,
    QueueQuery,
    QueueQueryResponse,
    ReattachSessionResponse,
    ReceiveContinuation,
    ReceiveLarge,
)
from activeclient.wire.versions import NEWEST
from tests.wire.vectors import VECTORS

LIMIT = 1 << 20
STATES = ("connecting", "handshaking", "creating", "attached", "streaming", "asking", "reattaching", "settling", "lost")
HOSTS = [Endpoint(host="a", port=1), Endpoint(host="b", port=2)]


class Fuzzed:
    """An engine in one of STATES, with a session, a consumer and work under way."""

    def __init__(self, state: str, window: int) -> None:
        self.now = 100.0
        names = iter(f"{number:036d}" for number in range(1_000_000))
        endpoints = EndpointList(HOSTS, ha=True, failover_attempts=0)
        pause = lambda attempts, elapsed: 0.1 if attempts < 3 else None  # noqa: E731
        link = Link(endpoints, pause, pause, connect_timeout=1.0, handshake_timeout=1.0)
        self.engine = ClientEngine(ClientConfig(max_frame_size=LIMIT), link, endpoints, lambda: next(names))
        self.session: Session | None = None
        self.window = window
        self._reach(state)

    def _reach(self, state: str) -> None:
        engine = self.engine
        engine.open(self.now)
        if state == "connecting":
            return
        engine.connection_made(self.now)
        if state == "handshaking":
            return
        config = SessionConfig(user="u", password="p", window=self.window)
        session = self.session = engine.create_session(config, self.now)
        if state == "creating":
            return
        self.feed(encode(Ping(60000), 0, NEWEST) + encode(CreateSessionResponse(NEWEST), 1, NEWEST))
        consumer = Consumer(session, session.new_consumer_id(), "q", None, window=1000, ack_batch=0)
        session.consumers[consumer.id] = consumer
        session.submit(session.request_of(consumer.create_packet()))
        self.feed(encode(QueueQueryResponse(exists=True, name="q"), 10, NEWEST))
        consumer.grant_window()
        frame = encode_send(CoreMessage(b"x", 4, "q"), 10, NEWEST, True, session.next_correlation(), 0)
        session.send(frame, None, len(frame))
        message = CoreMessage(b"y", 4, "q", message_id=5)
        self.feed(encode_receive(message, 0, 1, 10))
        if state == "streaming":
            self.feed(encode(ReceiveLarge(0, 1, 500, message), 10, NEWEST))
            self.feed(encode(ReceiveContinuation(bytes(100), True, 0), 10, NEWEST))
        if state in ("asking", "reattaching", "settling", "lost"):
            session.submit(session.request_of(QueueQuery("q")))
        if state in ("reattaching", "settling", "lost"):
            engine.connection_lost(ConnectionLost("cut"), self.now)
        if state in ("reattaching", "settling"):
            engine.connection_made(self.now)
        if state == "settling":
            self.feed(encode(ReattachSessionResponse(0, True), 1, NEWEST))

    def feed(self, data: bytes, size: int = 1 << 18) -> None:
        """Hand bytes over as a driver does: nothing more once the engine has given the link up."""
        engine = self.engine
        for at in range(0, len(data), size):
            engine.receive_data(data[at : at + size], self.now)
            gone = False
            while (event := engine.next_event()) is not None:
                gone = gone or isinstance(event, (Abort, GaveUp))
                if isinstance(event, (Abort, GaveUp)) and event.reason is not None:
                    assert isinstance(event.reason, ActiveClientError)
                    assert str(event.reason)
            if gone:
                return
            engine.data_to_send()

    def check(self) -> None:
        """Bounded, able to go on, and closable."""
        engine = self.engine
        assert sum(map(len, engine.inbox._parts)) + len(engine.inbox._rest) <= LIMIT + (1 << 18)
        assert engine.pending_bytes < 1 << 20
        for _ in range(10):
            self.now += 70
            engine.handle_timeout(self.now)
            while (event := engine.next_event()) is not None:
                if isinstance(event, Connect) and engine.link.state is LinkState.CONNECTING:
                    engine.connection_made(self.now)
        engine.close(self.now)
        events = []
        while (event := engine.next_event()) is not None:
            events.append(event)
        assert isinstance(events[-1], Closed)
        assert engine.next_timeout() is None


def _own() -> list[bytes]:
    """Frames that fit the fuzzed session."""
    message = CoreMessage(b"z" * 40, 4, "q", message_id=9, properties={"a": 1, "b": "text", "c": b"bytes"})
    return [
        encode(Ping(60000), 0, NEWEST),
        encode(CreateSessionResponse(NEWEST), 1, NEWEST),
        encode(ReattachSessionResponse(0, True), 1, NEWEST),
        encode(ReattachSessionResponse(99, True), 1, NEWEST),
        encode(NullResponse(), 10, NEWEST),
        encode(NullResponse(1), 10, NEWEST),
        encode(PacketsConfirmed(0), 10, NEWEST),
        encode(PacketsConfirmed(77), 10, NEWEST),
        encode(QueueQueryResponse(exists=True), 10, NEWEST),
        encode_receive(message, 0, 1, 10),
        encode_receive(message, 0, 0, 10),
        encode(ReceiveLarge(0, 1, 100, message), 10, NEWEST),
        encode(ReceiveContinuation(bytes(60), True, 0), 10, NEWEST),
        encode(ReceiveContinuation(bytes(60), False, 0), 10, NEWEST),
    ]


CHANNELS = st.sampled_from((0, 1, 10, 10, 10, 11, -1, 99))


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Frames of a real broker on any channel, some of them damaged, with noise between."""
    parts: list[bytes] = []
    captured = [vector.frame for vector in VECTORS if len(vector.frame) < 5000]
    for _ in range(draw(st.integers(1, 8))):
        frame = bytearray(draw(st.one_of(st.sampled_from(captured), st.sampled_from(_own()))))
        match draw(st.sampled_from(("whole", "channel", "flip", "cut", "stretch", "kind", "length", "noise"))):
            case "channel":
                frame[5:13] = struct.pack(">q", draw(CHANNELS))
            case "flip":
                for _ in range(draw(st.integers(1, 6))):
                    frame[draw(st.integers(13 if len(frame) > 13 else 0, len(frame) - 1))] = draw(st.integers(0, 255))
            case "cut":
                del frame[draw(st.integers(13, len(frame))) :]
                frame[0:4] = struct.pack(">i", len(frame) - 4)
            case "stretch":
                frame += draw(st.binary(max_size=40))
                frame[0:4] = struct.pack(">i", len(frame) - 4)
            case "kind":
                frame[4] = draw(st.integers(0, 255))
            case "length":
                frame[0:4] = struct.pack(">i", draw(st.integers(-(2**31), 2**31 - 1)))
            case "noise":
                frame = bytearray(draw(st.binary(max_size=60)))
        if draw(st.booleans()) and len(frame) >= 13:
            frame[5:13] = struct.pack(">q", draw(st.sampled_from((0, 1, 10, 10))))
        parts.append(bytes(frame))
    return b"".join(parts)


QUICK = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@QUICK
@given(st.sampled_from(STATES), st.sampled_from((-1, 0, 1, 100_000)), st.binary(max_size=400), st.integers(1, 500))
def test_random_bytes_end_in_an_orderly_loss_or_are_ignored(state: str, window: int, data: bytes, size: int) -> None:
    fuzzed = Fuzzed(state, window)
    fuzzed.feed(data, size)
    fuzzed.check()


@QUICK
@given(st.sampled_from(STATES), st.sampled_from((-1, 0, 1, 100_000)), conversations(), st.integers(1, 500))
def test_mutated_conversations_end_in_an_orderly_loss_or_are_ignored(
    state: str, window: int, data: bytes, size: int
) -> None:
    fuzzed = Fuzzed(state, window)
    fuzzed.feed(data, size)
    _touch(fuzzed)
    fuzzed.check()


def _touch(fuzzed: Fuzzed) -> None:
    """What the application got can be looked at: it reads or raises an error of ours."""
    session = fuzzed.session
    for consumer in list(session.consumers.values()) if session is not None else ():
        while (message := consumer.take()) is not None:
            repr(message)
            for name in ("address", "properties", "delivery_count", "priority"):
                with contextlib.suppress(ActiveClientError):
                    getattr(message, name)
            consumer.acknowledge(message)


def test_a_frame_that_trickles_in_byte_by_byte_takes_its_size() -> None:
    fuzzed = Fuzzed("attached", -1)
    frame = struct.pack(">ibq", LIMIT, 75, 10) + bytes(200_000)
    began = time.thread_time()
    fuzzed.feed(frame, 1)
    assert time.thread_time() - began < 5.0
    assert len(fuzzed.engine.inbox._parts) <= 9
    fuzzed.check()
