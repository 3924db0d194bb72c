"""A server that answers what a `Peer`'s client writes, in virtual time, and closes the connection where a test wants.

Law of this file: it counts as Artemis does: what it carried out, and nothing of a connection that it has closed.
"""

from __future__ import annotations

from activeclient.engine.link import State as LinkState
from activeclient.engine.topology import PLACEHOLDER, PLACEHOLDER_NODE
from activeclient.wire import packets as p
from activeclient.wire.fields import TransportConfiguration
from activeclient.wire.packet import decode, encode
from activeclient.wire.packets import NULL
from activeclient.wire.versions import NEWEST

PRE_AUTH = p.ClusterTopology(
    False,
    PLACEHOLDER_NODE,
    1,
    backup=TransportConfiguration(PLACEHOLDER, "y", {"host": "localhost", "port": "61616"}),
    server_version=NEWEST,
)
"""The topology of Artemis 2.57 before a login."""
NEVER_COUNTED = (p.PacketsConfirmed, p.AddMetadata, p.Ping)


class Server:
    """Answers everything.

    Args:
        peer: Whose client it answers.
        poison: Says of a packet of a session whether the connection is closed behind it.
        reattaches: Whether sessions can be reattached.
        takes: Whether a packet that closes the connection is carried out.
        topology: What it tells of its cluster, once on each connection.
    """

    def __init__(self, peer, poison=lambda packet: False, *, reattaches=False, takes=False, topology=None):
        self.peer = peer
        self.poison = poison
        self.reattaches = reattaches
        self.takes = takes
        self.stalls = lambda packet: False
        """Says of a packet of a session whether it, and what follows it on its connection, is never answered."""
        self.stalled = set()
        self.topology = topology
        self.names = {}
        """Channel of each session, by name."""
        self.counts = {}
        """Packets that are carried out, by channel."""
        self.lives = []
        """When each connection was closed behind a packet."""
        self.log = []
        """Packets that were carried out, each with its channel."""
        self.created = []
        """Each `CreateSession`, with the number of its connection."""
        self.connections = 0
        self.subscriptions = 0

    def run(self, seconds=0.0):
        """Answer until nothing is left to answer, for at least so long."""
        peer = self.peer
        until = peer.now + seconds
        for _ in range(20_000):
            state = peer.engine.link.state
            if state is LinkState.CONNECTING:
                self.connections += 1
                self.subscriptions = 0
                self.stalled.clear()
                peer._splitter.__init__(magic=True)
                peer.frames = []
                peer.engine.connection_made(peer.now)
                peer.serve()
            elif peer.frames:
                self._answer(peer.frames.pop(0))
            else:
                due = peer.engine.next_timeout()
                if due is None or due > max(until, peer.now + 0.02 if self._busy else 0.0):
                    peer.now = max(peer.now, until)
                    return self
                peer.now = max(peer.now, due)
                peer.engine.handle_timeout(peer.now)
                peer.serve()
        raise AssertionError("it never rests")

    @property
    def _busy(self):
        return any(session.lost_at is not None for session in self.peer.engine.sessions.values())

    def _answer(self, frame):
        channel = int.from_bytes(frame[5:13], "big", signed=True)
        packet = decode(frame, self.peer.engine.version)
        if channel <= 1:
            self._answer_connection(packet)
            return
        if self.stalls(packet):
            self.stalled.add(channel)
        if channel in self.stalled:
            return
        guilty = self.poison(packet)
        if not guilty or self.takes:
            self.log.append((channel, packet))
        if guilty:
            self.lives.append(self.peer.now)
            if self.takes:
                self.counts[channel] = self.counts.get(channel, 0) + 1
            self.peer.lose()
            return
        if isinstance(packet, p.CreateConsumer) and packet.consumer_id == -1:  # a fence with a name
            self.peer.bytes(encode(p.ExceptionResponse(100, f"no queue {packet.queue_name}"), channel, NEWEST))
            return
        answer = b""
        if not isinstance(packet, NEVER_COUNTED):
            self.counts[channel] = self.counts.get(channel, 0) + 1
            answer += encode(p.PacketsConfirmed(self.counts[channel] - 1), channel, NEWEST)
        if packet.REPLY is NULL:
            asked = getattr(packet, "requires_response", True)
            if asked:
                answer += encode(p.NullResponse(getattr(packet, "correlation_id", -1)), channel, NEWEST)
        elif packet.REPLY and p.QueueQueryResponse in packet.REPLY:
            answer += encode(p.QueueQueryResponse(True, True, name="q", address="q"), channel, NEWEST)
        elif packet.REPLY and p.BindingQueryResponse in packet.REPLY:
            answer += encode(p.BindingQueryResponse(True), channel, NEWEST)
        elif packet.REPLY:
            raise AssertionError(f"{packet} asks for {packet.REPLY}")
        self.peer.bytes(answer)

    def _answer_connection(self, packet):
        say = self.peer.bytes
        if isinstance(packet, p.SubscribeTopology):
            self.subscriptions += 1
            if self.topology is not None:
                say(encode(self.topology, 0, NEWEST))
        elif isinstance(packet, p.Ping):
            say(encode(p.Ping(60000), 0, NEWEST))
        elif isinstance(packet, p.CreateSession):
            self.created.append((self.connections, packet))
            self.names[packet.name] = packet.session_channel_id
            self.counts[packet.session_channel_id] = 0
            say(encode(p.CreateSessionResponse(NEWEST), 1, NEWEST))
        elif isinstance(packet, p.ReattachSession):
            known = self.reattaches and packet.name in self.names
            last = self.counts[self.names[packet.name]] - 1 if known else -1
            say(encode(p.ReattachSessionResponse(last, known), 1, NEWEST))
        elif isinstance(packet, p.CheckForFailover):
            say(encode(p.CheckForFailoverReply(True), 1, NEWEST))
        else:
            raise AssertionError(f"nobody answers {packet}")
