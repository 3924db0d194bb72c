"""One client's connection: its greeting, its pings, the making and moving of sessions, and frames to their channels.

Law of this file: bytes in, bytes out; nothing is kept for a length before it is judged. What a client does wrong ends
its own connection and nothing else. While a session moves here, what the connection brings waits, so that answers keep
their order. Source: CoreProtocolManager, ActiveMQPacketHandler, RemotingConnectionImpl.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from activeclient.broker.limits import STRANGER_FRAME
from activeclient.broker.replies import error_packet, topology
from activeclient.errors import ActiveClientError, IllegalStateError, JMSSecurityError, RemoteProtocolError
from activeclient.masking import never_raises
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p
from activeclient.wire.frames import CHANNEL_PING, CHANNEL_SESSION, FRAME, FrameSplitter
from activeclient.wire.packet import Packet, decode, encode
from activeclient.wire.versions import NEWEST

if TYPE_CHECKING:
    from activeclient.broker.server import BrokerServer
    from activeclient.broker.session import ServerSession

_frame_head = FRAME.unpack_from
_SHUT_DOWN: Final = 4
"""Reason of a disconnect: the server goes."""


class ServerConnection:
    """The server's side of one connection; made by `BrokerServer.connection_made`.

    After each call the driver takes `data_to_send`; when `closing` is set it closes the transport once everything is
    written, when `aborted` is set at once. It reads no more while `wants_read` is false, and says with `written` how
    much of what it took the peer has not taken.
    """

    __slots__ = (
        "_held",
        "_holding",
        "_out",
        "_passed",
        "_splitter",
        "_stuck",
        "aborted",
        "admitted",
        "backlogged",
        "closing",
        "congested",
        "created",
        "dirty",
        "dropped",
        "failed_logins",
        "frozen",
        "gone",
        "half_sent",
        "last_data",
        "logged_in",
        "lost_at",
        "name",
        "pending_bytes",
        "refused",
        "serial",
        "server",
        "sessions",
        "ttl",
        "users",
        "version",
    )

    def __init__(self, server: BrokerServer, serial: int, name: str, now: float) -> None:
        self.server: BrokerServer = server
        self.serial: int = serial
        self.name: str = name
        self.version: int = 0
        """Protocol version of channels 0 and 1; 0 until the client says."""
        self.ttl: float | None = server.default_ttl
        """Seconds of silence after which it is given up; None: never."""
        self.created: float = now
        self.last_data: float = now
        self.admitted: bool = False
        """True once it had a session, or its login was accepted. Until then it is a stranger: see `Limits`."""
        self.logged_in: bool = False
        """True once a CONNECT came, whose login may have been refused."""
        self.failed_logins: int = 0
        self.half_sent: int = 0
        """Bytes of a frame that is not complete."""
        self.dropped: int = 0
        """Messages that found no room and wanted no answer, since that was last reported."""
        self.users: set[str] = set()
        """Names of the users whose credentials were shown here."""
        self.refused: set[ServerSession] = set()
        """Sessions that were asked for without the credentials of their users."""
        self.sessions: dict[int, ServerSession] = {}
        """By channel id."""
        self.closing: bool = False
        self.aborted: bool = False
        self.gone: bool = False
        """The transport is no more. Sessions that can be reattached wait for the TTL."""
        self.lost_at: float = now
        """When the transport ended, where `gone`."""
        self.frozen: bool = False
        """A fault: nothing is read, nothing written."""
        self.congested: bool = False
        self.backlogged: bool = False
        """A session has as many commands that wait for storage as it may."""
        self.dirty: bool = False
        self.pending_bytes: int = 0
        self._stuck = 0
        self._out: list[bytes] = []
        self._passed: list[bytes] = []
        self._splitter = FrameSplitter(min(STRANGER_FRAME, server.limits.max_frame_size), magic=True)
        self._holding = 0
        self._held: deque[bytes] = deque()

    # --- for the driver ----------------------------------------------------------------------------------------------

    @property
    def wants_read(self) -> bool:
        """May more be read from the client?"""
        waits = self.congested or self.backlogged or self.frozen or self._holding
        return not (waits or self.closing or self.aborted or self.gone)

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes came (hot path). Never raises for what the client did."""
        if self.aborted or self.closing or self.gone:
            return
        self.last_data = now
        faults = self.server.faults
        cut = False
        try:
            if not faults.watching:
                frames = self._splitter.feed(data)
            else:
                data, cut = faults.incoming_bytes(self, data)
                frames, packet_cut = faults.incoming(self, self._splitter.feed(data), now)
                cut = cut or packet_cut
            if frames:
                self.receive_frames(frames)
        except RemoteProtocolError as error:
            self.refuse(error)
        held = self._splitter.held
        if held != self.half_sent:
            self.server.hold_frame(self, held)
        if cut:
            self.abort()

    def receive_frames(self, frames: list[bytes]) -> None:
        """Whole frames, in order (hot path).

        Raises:
            RemoteProtocolError: One of them makes no sense; the connection is to be closed.
        """
        sessions = self.sessions
        touched: ServerSession | None = None
        for frame in frames:
            if self._holding:
                self._held.append(frame)
                continue
            channel = _frame_head(frame)[2]
            session = sessions.get(channel)
            if session is not None:
                if session is not touched:
                    if touched is not None:
                        touched.flush_confirmation()
                    touched = session
                session.receive(frame)
            elif channel == CHANNEL_SESSION:
                self._session_frame(decode(frame, self.version or NEWEST))
            elif channel == CHANNEL_PING:
                self._control_frame(frame)
            # A frame for a channel that is not here is dropped: it belongs to a session that has ended or moved.
            if self.aborted or self.gone or self.closing:
                return
        if touched is not None:
            touched.flush_confirmation()

    def data_to_send(self, now: float) -> list[bytes]:
        """Take what is to be written."""
        self.dirty = False
        if self.frozen:
            return []
        out, self._out = self._out, []
        self.pending_bytes = 0
        faults = self.server.faults
        if faults.watching and not self.closing:
            out, cut = faults.outgoing(self, out, now)
            if cut:
                self.closing = True
        if self._passed:
            passed, self._passed = self._passed, []
            return passed + out
        return out

    def write_as_is(self, frames: list[bytes]) -> None:
        """Send what was held up by a fault, which has passed it now."""
        self._passed += frames
        self.touch()

    def written(self, stuck: int) -> None:
        """The transport has so many bytes that the client has not taken; below the mark deliveries go on."""
        self._stuck = stuck
        if self.congested and not self.frozen and stuck + self.pending_bytes < self.server.limits.outgoing_high // 2:
            self.congested = False
            for session in list(self.sessions.values()):
                session.update_flow()

    def connection_lost(self) -> None:
        """The transport ended. Sessions that count stay until the TTL, or until they are fetched."""
        if not self.gone:
            self.gone = True
            self.lost_at = self.server.post.clock.monotonic()
            self._out.clear()
            self._held.clear()
            self.refused.clear()
            self.pending_bytes = 0
            self.server.connection_lost(self)

    @property
    def outgoing(self) -> int:
        """Bytes that the client has not taken."""
        return self.pending_bytes + self._stuck

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, frame: bytes) -> None:
        """Send a frame (hot path)."""
        if self.gone or self.aborted or self.closing:
            return
        self._out.append(frame)
        self.pending_bytes += len(frame)
        if not self.dirty:
            self.dirty = True
            self.server.dirty.append(self)
        if self.pending_bytes + self._stuck >= self.server.limits.outgoing_high and not self.congested:
            self.congested = True
            for session in self.sessions.values():
                session.flowing = False

    def send(self, packet: Packet, channel: int = CHANNEL_SESSION) -> None:
        """Send a packet that belongs to no session."""
        self.write(encode(packet, channel, self.version or NEWEST))

    def touch(self) -> None:
        """The driver shall look at it."""
        if not self.dirty:
            self.dirty = True
            self.server.dirty.append(self)

    def refuse(self, error: ActiveClientError) -> None:
        """What came makes no sense: the connection ends, as a cut."""
        self.server.report(f"{self.name}: closed: {error}")
        self.abort()

    def abort(self) -> None:
        """Close the transport at once."""
        self.aborted = True
        self._out.clear()
        self._held.clear()
        self.pending_bytes = 0
        self.touch()

    def disconnect(self) -> None:
        """Tell the client that the server goes, and close when that is written."""
        self.frozen = False
        self.send(p.Disconnect(self.server.node_id, _SHUT_DOWN), CHANNEL_PING)
        self.closing = True

    # --- channel 0 ---------------------------------------------------------------------------------------------------

    def _control_frame(self, frame: bytes) -> None:
        packet = decode(frame, self.version or NEWEST)
        match packet:
            case p.Ping(connection_ttl=ttl):
                self.ttl = ttl / 1000 if ttl > 0 else None
                self.server.ttl_changed(self)
                allowed = self.server.allowed_ttl(ttl)
                self.write(frame if allowed == ttl else encode(p.Ping(allowed), CHANNEL_PING, self.version or NEWEST))
            case p.SubscribeTopology(client_version=version):
                if version < 0:
                    raise RemoteProtocolError(f"protocol version {version}", kind=packet.KIND)
                told = min(version, NEWEST)
                self.version = told or self.version
                self.write(encode(topology(self.server.node_id, self.server.newest_version), CHANNEL_PING, told))
            case _:
                raise RemoteProtocolError(f"{type(packet).__name__} on channel 0", kind=packet.KIND)

    # --- channel 1 ---------------------------------------------------------------------------------------------------

    def _session_frame(self, packet: Packet) -> None:
        match packet:
            case p.CreateSession():
                self._create_session(packet)
            case p.ReattachSession(name=name, last_confirmed_command_id=last):
                self.server.reattach(self, name, last)
            case p.CheckForFailover():
                self._check_for_failover(packet)
            case _:
                raise RemoteProtocolError(f"{type(packet).__name__} on channel 1", kind=packet.KIND)

    def _check_for_failover(self, packet: p.CheckForFailover) -> None:
        version = None
        if packet.login is not None:  # of a client since 2.57; others cannot read the version in the answer
            if self.logged_in:
                raise RemoteProtocolError("a second CONNECT", kind=packet.KIND)
            self.logged_in = True
            try:
                self.server.log_in(self, packet.login)
            except ActiveClientError as error:
                self.send(error_packet(error))
                self.closing = True
                return
            version = self.server.newest_version
        self.send(p.CheckForFailoverReply(packet.node_id in (None, self.server.node_id), version))

    def _create_session(self, packet: p.CreateSession) -> None:
        try:
            if packet.session_channel_id <= CHANNEL_SESSION:
                raise IllegalStateError(
                    f"channel {packet.session_channel_id} is not for sessions", code=ServerCode.ILLEGAL_STATE
                )
            if not self.version:
                self.version = max(0, min(packet.version, NEWEST))
            self.server.create_session(self, packet)
        except RemoteProtocolError:
            raise
        except ActiveClientError as error:
            self.send(error_packet(error))
            if isinstance(error, JMSSecurityError):
                self.failed_logins += 1
                self.closing = self.failed_logins >= self.server.limits.max_failed_logins
            return
        self.send(p.CreateSessionResponse(self.server.newest_version))

    # --- moving ------------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """What comes waits until `release`: a session is on its way to here."""
        self._holding += 1

    def release(self) -> None:
        """Go on with what waited."""
        self._holding -= 1
        self.touch()
        if self._holding or not self._held or self.gone:
            return
        frames = list(self._held)
        self._held.clear()
        try:
            self.receive_frames(frames)
        except RemoteProtocolError as error:
            self.refuse(error)

    def admit(self) -> None:
        """Make it a client: a session is here, or its login was accepted, so it may stay and send large frames."""
        if not self.admitted:
            self.admitted = True
            self.server.strangers_hold -= self.half_sent
        self._splitter.limit = self.server.limits.max_frame_size

    @never_raises
    def __repr__(self) -> str:
        return f"<ServerConnection {self.name}, {len(self.sessions)} sessions>"
