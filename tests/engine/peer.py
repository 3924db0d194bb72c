"""An engine and a server that the test plays by hand, frame by frame, in virtual time.

Law of this file: nothing is answered that the test does not answer, and time moves only when the test moves it.
"""

from __future__ import annotations

from activeclient.engine.client import ClientConfig, ClientEngine
from activeclient.engine.consumer import Consumer
from activeclient.engine.failover import EndpointList
from activeclient.engine.gate import SAMPLES, STORAGE_REST
from activeclient.engine.link import Link
from activeclient.engine.link import State as LinkState
from activeclient.engine.requests import Pending, SendToken
from activeclient.engine.retry import artemis_policy, initial_policy
from activeclient.engine.session import SessionConfig
from activeclient.engine.topology import PLACEHOLDER_NODE
from activeclient.errors import ConnectionLost
from activeclient.events import Abort, Connect, Endpoint, StateChanged, Work
from activeclient.wire import packets as p
from activeclient.wire.frames import FrameSplitter
from activeclient.wire.message import CoreMessage, encode_receive, encode_send
from activeclient.wire.packet import decode, encode
from activeclient.wire.versions import NEWEST

A, B = (Endpoint(host=name, port=61616) for name in "ab")
ON_CONTROL = (p.CheckForFailoverReply, p.CreateSessionResponse, p.ReattachSessionResponse)
ON_CONNECTION = (
    p.Ping,
    p.Disconnect,
    p.DisconnectConsumerKill,
    p.ClusterTopology,
)
PING = p.Ping(60000)
NOBODY = p.ClusterTopology(False, PLACEHOLDER_NODE, 1, server_version=NEWEST)
"""The topology before a login: no member, and the server's version."""


class Creation(Pending):
    """Waits for a session."""

    def settled(self, session):
        assert not self.done
        self.done = True

    def failed(self, session, error):
        self.done = True
        self.error = self.error or error


class Peer:
    """See the module."""

    def __init__(
        self,
        *,
        hosts=(A,),
        attempts=-1,
        first_attempts=-1,
        ttl=60.0,
        check=30.0,
        answer_timeout=30.0,
        version=NEWEST,
        user=None,
        password=None,
    ):
        self.endpoints = EndpointList(hosts, ha=False, failover_attempts=0)
        link = Link(
            self.endpoints,
            initial_policy(1000, 1.0, 1000, first_attempts),
            artemis_policy(1000, 1.0, 1000, attempts),
            connect_timeout=10,
            handshake_timeout=5,
        )
        serial = iter(range(10**6))
        config = ClientConfig(
            connection_ttl=ttl,
            check_period=check,
            answer_timeout=answer_timeout,
            version=version,
            user=user,
            password=password,
        )
        self.engine = ClientEngine(config, link, self.endpoints, lambda: f"name-{next(serial)}")
        self.now = 100.0
        self.events = []
        self.states = []
        """Apart from the other events: the states that it entered."""
        self.connects = []
        self.aborts = []
        self.raw = []
        self.frames = []
        self._splitter = FrameSplitter(magic=True)
        self.session = None

    # --- the driver's part --------------------------------------------------------------------------------------------

    def serve(self):
        """Take events, run callbacks, take bytes."""
        while (event := self.engine.next_event()) is not None:
            if isinstance(event, Connect):
                self.connects.append(event)
            elif isinstance(event, Abort):
                self.aborts.append(event.reason)
            elif isinstance(event, Work):
                event.session.work_announced = False
                while event.session.work:
                    event.session.work.popleft().run()
            elif isinstance(event, StateChanged):
                self.states.append(event.new)
            else:
                self.events.append(event)
        assert self.engine.pending_bytes == sum(map(len, self.engine.outbox))
        data = b"".join(self.engine.data_to_send())
        if data:
            self.raw.append(data)
            self.frames += self._splitter.feed(data)

    def open(self):
        self.engine.open(self.now)
        self.serve()
        return self

    def connect(self, *, alive=True):
        """The transport that was asked for stands; what the client says on it, at once or when the server is `alive`.

        A client that waits for a sign of life gets one.
        """
        self._splitter = FrameSplitter(magic=True)
        self.frames = []
        self.engine.connection_made(self.now)
        self.serve()
        out = self.sent()
        if alive and self.engine.hello_waits:
            out += self.say(PING)
        return out

    def lose(self, reason=None):
        """The transport ends; what was not looked at of its output is gone."""
        self.engine.connection_lost(reason or ConnectionLost("reset"), self.now)
        self.frames = []
        self.serve()

    def pass_time(self, seconds):
        """Let time pass, waking the engine exactly when it asked for it."""
        until = self.now + seconds
        for _ in range(10_000):
            due = self.engine.next_timeout()
            if due is None or due > until:
                self.now = until
                return
            self.now = max(self.now, due)
            self.engine.handle_timeout(self.now)
            self.serve()
        raise AssertionError("it never rests")

    def bytes(self, data):
        """These come from the server."""
        self.engine.receive_data(data, self.now)
        self.serve()

    # --- the server's part --------------------------------------------------------------------------------------------

    def sent(self):
        """What the client wrote since the last look, decoded."""
        frames, self.frames = self.frames, []
        return [decode(frame, self.engine.version) for frame in frames]

    def kinds(self):
        """The classes of what the client wrote since the last look."""
        return [type(packet) for packet in self.sent()]

    def frame(self, packet, channel=None):
        """A packet as the server writes it."""
        if isinstance(packet, (bytes, bytearray)):
            return bytes(packet)
        if channel is None:
            if isinstance(packet, ON_CONTROL):
                channel = 1
            elif isinstance(packet, ON_CONNECTION):
                channel = 0
            else:
                channel = self.session.channel_id
        return encode(packet, channel, self.engine.version)

    def say(self, *packets, channel=None):
        """The server writes these in one piece; returns what the client answers."""
        self.bytes(b"".join(self.frame(packet, channel) for packet in packets))
        return self.sent()

    # --- shortcuts ----------------------------------------------------------------------------------------------------

    def up(self):
        """Open, connected, and the server has answered the ping."""
        self.open()
        self.connect()
        self.say(PING, NOBODY)
        return self

    def begin(self, **config):
        """With a session on top; confirmations are wanted by default."""
        config.setdefault("window", 100_000)
        self.up()
        self.create(**config)
        return self

    def create(self, **config):
        """A session that is created at once."""
        self.session = self.engine.create_session(SessionConfig(**config), self.now)
        self.session.creation = Creation()
        self.serve()
        self.sent()
        self.created()
        return self.session

    def created(self):
        """The server makes the session that was asked for, and lets it be reattached if that is asked."""
        probe = [p.ReattachSessionResponse(-1, True)] if self.session is not None and self.session.life.probing else []
        return self.say(p.CreateSessionResponse(NEWEST), *probe)

    def consume(self, queue="q", *, window=1000, ack_batch=0, info=None, **options):
        """A consumer that is created at once, as the session of the core API makes it."""
        session = self.session
        consumer = Consumer(
            session, session.new_consumer_id(), queue, None, window=window, ack_batch=ack_batch, **options
        )

        def created(request):
            if request.error is None:
                consumer.queue_info = request.result
                consumer.new_generation()
                session.consumers[consumer.id] = consumer
                consumer.grant_window()

        session.submit(session.request_of(consumer.create_packet(), created))
        self.serve()
        self.sent()
        self.say(self.confirm(), info or p.QueueQueryResponse(True, True, name=queue, address=queue))
        return consumer

    def send(self, body=b"x", duplicate_id=None, *, handler=None, address="q"):
        """Send a message; its token."""
        session = self.session
        properties = {} if duplicate_id is None else {"_AMQ_DUPL_ID": duplicate_id}
        correlation = session.next_correlation()
        frame = encode_send(
            CoreMessage(body, address=address, properties=properties),
            session.channel_id,
            self.engine.version,
            True,
            correlation,
        )
        token = SendToken(correlation, handler, body)
        session.send(frame, token, len(frame))
        self.serve()
        return token

    def request(self, packet, **options):
        """Submit a request."""
        request = self.session.submit(self.session.request_of(packet, **options))
        self.serve()
        return request

    def confirm(self, last=None):
        """PACKETS_CONFIRMED for everything that was sent, or up to `last`."""
        return p.PacketsConfirmed(self.session.buffer.next_id - 1 if last is None else last)

    def delivery(self, message_id, consumer=0, body=b"body", count=1, **fields):
        """The frame of a message for a consumer."""
        message = CoreMessage(body, address="q", message_id=message_id, **fields)
        return encode_receive(message, consumer, count, self.session.channel_id)

    def back(self, last=None, *, strays=0, reattached=True):
        """Lost (unless it is), connected again, reattached, fenced; `last` is what the server had counted (default
        all). What the client writes behind its fence, or as an answer to a lost session."""
        self._lose_if_any()
        if p.CheckForFailover in map(type, self.connect()):
            self.say(p.CheckForFailoverReply(True))
        count = self.session.buffer.next_id - 1 if last is None else last
        out = self.say(p.ReattachSessionResponse(count if reattached else -1, reattached))
        if not reattached:
            return out
        if strays and self.session.config.auto_commit_sends:
            (fence,) = out
            assert isinstance(fence, p.CreateConsumer)
            return self.say(p.ExceptionResponse(100, f"no queue {fence.queue_name}"))
        assert [type(packet) for packet in out] == [p.AddMetadata] * (strays + 1)
        return self.say(*[p.NullResponse()] * (strays + 1))

    def rest(self, out, *, answer=0.0, seconds=STORAGE_REST):
        """Answer the questions in `out`, and those after it, that are asked for the time of their answers, each after
        `answer`, and see that nothing is sent for `seconds` from the first on; return what is sent then."""
        began = self.now
        for _ in range(SAMPLES):
            assert [type(packet) for packet in out] == [p.QueueQuery]
            self.pass_time(answer)
            out = self.say(p.QueueQueryResponse(False))
        assert out == []
        self.pass_time(began + seconds - self.now - 0.0001)
        assert self.sent() == []
        self.pass_time(0.0002)
        return self.sent()

    def prove(self, *, out=None, exists=True):
        """What was repeated is answered: its addresses exist, and something that was written later is on the disk.

        `out`: what the client wrote when it was answered. Returns what it wrote in its own session in the end.
        """
        out = self.sent() if out is None else out
        while any(isinstance(packet, p.BindingQuery) for packet in out):
            out = self.say(*self._if_windowed(), p.BindingQueryResponse(exists, ["q"]))
        assert any(isinstance(packet, p.CreateSession) for packet in out), out
        writer = max(self.engine.sessions)
        out = self.say(p.CreateSessionResponse(NEWEST))
        assert [type(packet) for packet in out] == [p.Send, p.Rollback]
        assert out[0].message.body == b""
        assert "_AMQ_DUPL_ID" not in out[0].message.properties
        out = self.say(p.NullResponse(-1), channel=writer)
        assert isinstance(out[-1], p.SessionClose)
        assert writer not in self.engine.sessions
        return out[:-1]

    def _if_windowed(self):
        return [self.confirm()] if self.session.windowed else []

    def recreate(self):
        """The server does not have the session any more and makes a new one; the first thing that is written in it."""
        reattachable = self.session.reattachable and self.engine.reattaches is not False
        out = self.back(reattached=False) if reattachable else self._renew()
        assert p.CreateSession in map(type, out)
        return self.created()

    def _renew(self):
        self._lose_if_any()
        return self.connect()

    def _lose_if_any(self):
        if self.engine.link.state in (LinkState.UP, LinkState.HANDSHAKING):
            self.lose()
        if self.engine.link.retry_at is not None:
            self.pass_time(self.engine.link.retry_at - self.now)

    def told(self, kind):
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


FIRST = (p.Ping, p.SubscribeTopology)
