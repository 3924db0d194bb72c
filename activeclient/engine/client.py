"""One connection to a broker with all its sessions: composes link, heartbeat and sessions; implements `ports.Engine`.

Law of this file: no method that a driver calls raises for what the peer did; a peer that breaks a rule loses its link,
and the link is won back like any other. An outage is told once, from its beginning to its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cachetools import LRUCache

from activeclient.engine.acknowledged import MAX_QUEUES, Lost
from activeclient.engine.failover import EndpointList
from activeclient.engine.frame_limits import FrameLimits
from activeclient.engine.heartbeat import Heartbeat
from activeclient.engine.inbox import Inbox
from activeclient.engine.link import Link
from activeclient.engine.link import State as LinkState
from activeclient.engine.mending import mend
from activeclient.engine.session import Session, SessionConfig, State
from activeclient.engine.suspects import Suspects
from activeclient.engine.topology import Topology, endpoint_of
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    DeliveryStopped,
    DisconnectedByServer,
    HeartbeatMissed,
    IncompatibleVersion,
    JMSSecurityError,
    MessagesMissing,
    NotSent,
    ReattachDiverged,
    RemoteProtocolError,
    SessionUnanswered,
    from_server,
)
from activeclient.events import (
    Abort,
    Ask,
    Closed,
    ConnectAttemptFailed,
    Connected,
    Detached,
    Endpoint,
    Event,
    GaveUp,
    Reconnected,
    SessionState,
    StateChanged,
)
from activeclient.reconnection import Decision
from activeclient.server_code import ServerCode
from activeclient.wire import versions
from activeclient.wire.frames import FIRST_SESSION_CHANNEL, MAGIC, MAX_FRAME_SIZE
from activeclient.wire.login import Login
from activeclient.wire.message import SEND
from activeclient.wire.old_layout import old_send
from activeclient.wire.packet import Packet, encode
from activeclient.wire.packets import (
    CheckForFailover,
    CheckForFailoverReply,
    ClusterTopology,
    Disconnect,
    DisconnectConsumerKill,
    ExceptionResponse,
    Ping,
    ReattachSession,
    ReattachSessionResponse,
    SessionClose,
    SubscribeTopology,
)
from activeclient.wire.versions import V2_0

TTL_NEVER = -1
REDIRECTS = (0, 1)
"""Reasons of a disconnect that name another broker."""
VERSION_SECONDS = 1.0
"""How long the event of a first connection waits for the server to say its version, which it says at once or, before
2.18, with the first session."""
DIVERGENCES = 3
"""Impossible confirmations on one link that are answered by a new session; after that the link itself is given up."""

MAX_LEFT_BEHIND = 1000
LOOK_AGAIN_SECONDS = 1.0
"""After this time the server is asked once more for a session that it did not have: what made it was still on its way,
on the link before, when the next one asked."""
"""Sessions that the next link closes; what is beyond ends with the TTL."""

SETTLED = frozenset({State.ATTACHED, State.NEW})
"""States of sessions that a new connection owes nothing."""
REATTACHED = frozenset({State.REATTACHING, State.SETTLING})
"""States in which the server replays what a session has missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What the engine needs to know of the settings; seconds."""

    connection_ttl: float | None = 60.0
    check_period: float | None = 30.0
    answer_timeout: float | None = 30.0
    """`callTimeout`: how long a session that was reattached may leave a question without an answer; None: for ever."""
    keep_for: float | None = None
    """How long the server is asked to keep sessions whose connection is lost, and no longer than which an outage is
    tried to end; the server may allow less. None: `connection_ttl`, and the end of an outage is the policy's."""
    max_frame_size: int = MAX_FRAME_SIZE
    version: int = versions.NEWEST
    user: str | None = None
    """Shown by a connection that has no session; sessions show their own."""
    password: str | None = field(default=None, repr=False)


class ClientEngine:
    """The client's side of one connection. See `ports.Engine` for how a driver uses it.

    Args:
        new_id: Makes the names of server sessions: 36 characters that nobody can guess, for the name is the only
            secret that a reattachment asks for.
    """

    def __init__(self, config: ClientConfig, link: Link, endpoints: EndpointList, new_id: Callable[[], str]) -> None:
        self.config = config
        self.link = link
        self.endpoints = endpoints
        self.new_id = new_id
        self.version: int = config.version
        self.server_version: int = 0
        """Protocol version of the server, as it said itself; 0: not told yet."""
        self._connected: Endpoint | None = None
        """Of an event that waits for the server's version."""
        self._tell_connected_by = 0.0
        self._acknowledged: LRUCache[str, Lost] = LRUCache(MAX_QUEUES)
        self.reattaches: bool | None = None
        """Does the server let sessions be reattached? None: not known yet, the next creation asks."""
        self._learned_of: tuple[Endpoint | None, int] = (None, 0)
        """Which server `reattaches` is true of: where it is, and what it speaks."""
        self.state: SessionState = SessionState.CONNECTING
        self.now: float = 0.0
        self.heartbeat: Heartbeat = Heartbeat(config.connection_ttl, config.check_period)
        self.events: deque[Event] = deque()
        self.outbox: list[bytes] = []
        self.pending_bytes: int = 0
        self.sessions: dict[int, Session] = {}
        self.last_error: ActiveClientError | None = None
        self.gave_up: ActiveClientError | None = None
        self._told_end = False
        """Was everybody told that it gave up?"""
        self.closed: bool = False
        self._next_channel = FIRST_SESSION_CHANNEL
        self._control: deque[Callable[[Packet, float], None]] = deque()
        self.inbox: Inbox = Inbox(self)
        self._outage: tuple[ActiveClientError, float, Endpoint | None] | None = None
        self._asked = 0
        """The serial of the last question that listeners were told of."""
        self._reattached = 0
        self._recreated = 0
        self._in_doubt: list[bytes | str | None] = []
        self._ever_connected = False
        self._login_shown = False
        """True if credentials were shown on this link: a second time closes the connection (Artemis 2.57)."""
        self._ponged = False
        self._unheard = False
        """Did the last link end in silence, or without an answer to its sessions' hello? The server may yet read it."""
        self.hello_waits: bool = False
        """The sessions say hello when the server has given a sign of life."""
        self._progress_before = 0
        self._replayed = 0
        """What all sessions had received when that was last looked at, on a connection that is not established."""
        self._missed = 0
        """The same of those that are reattached."""
        self.topology: Topology = Topology(endpoints, self.events)
        self.limits: FrameLimits = FrameLimits()
        self.suspects: Suspects = Suspects(self)
        self.lives: int = 0
        """Links lost so far: what a handler did to the link shows in it."""
        self._divergences = 0
        self.unanswered_at: float = 0.0
        """When a call last got no answer within callTimeout."""
        self._left_behind: dict[str, int] = {}
        """Channels of sessions that the server may have made for nobody, by their names."""
        self._looked_for: set[str] = set()
        """Of these, the ones that it did not have when it was first asked."""
        self._look_again_at: float | None = None

    # --- ports.Engine ---------------------------------------------------------------------------------------------

    def open(self, now: float) -> None:
        """Begin to connect."""
        self.now = now
        self.link.open(now)
        self._follow_link()

    def connection_made(self, now: float) -> None:
        """TCP (and TLS) stand: handshake, and every session says hello, in one write."""
        self.now = now
        self.link.connected(now)
        if self.link.state is not LinkState.HANDSHAKING:
            return  # it crossed our own decision to give this attempt up
        self._reset_link_state()
        self._ponged = False
        if self.reattaches is False and self._learned_of[0] != self.link.endpoint:
            self.reattaches = None  # another broker may be able to
        self.limits.connected(self.link.endpoint)
        self.heartbeat.started(now)
        self.write(MAGIC + self._ping_frame() + encode(SubscribeTopology(False, self.version), 0, self.version))
        self.hello_waits = self._unheard
        if not self.hello_waits:
            self._say_hello(now)
        self._replayed, self._missed = self._received(), self._received_again()

    def _say_hello(self, now: float) -> None:
        if not self.sessions and self._ever_connected:
            # Without a session some brokers close the connection soon; they did so before, perhaps.
            self.show_login(self.config.user, self.config.password)
        for session in list(self.sessions.values()):
            session.life.link_made(now)
        if self._left_behind and self.gave_up is None:
            self._close_left_behind(self._left_behind)

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes from the server (hot path)."""
        self.now = now
        self.heartbeat.last_received = now
        try:
            self.inbox.take(data, now)
        except RemoteProtocolError as error:
            self.abort(error, now)

    def connection_lost(self, reason: ActiveClientError, now: float) -> None:
        """The transport ended, or could not be opened; or a call of this engine was interrupted."""
        self.now = now
        mend(self, now)
        if self.closed:
            return
        if self.gave_up is not None or self.link.state is LinkState.WAITING:
            for session in list(self.sessions.values()):
                session.life.link_lost(now)  # if the loss itself was interrupted; else it is known
            self.link.rearm(now, self._asked)
            self._follow_link()
            return
        self._lost(reason, now)

    def data_to_send(self) -> list[bytes]:
        """Take what waits to be written."""
        out = self.outbox
        self.outbox = []
        self.pending_bytes = 0
        if self.version < V2_0:
            return [old_send(frame) if frame[4] == SEND else frame for frame in out]
        return out

    def next_event(self) -> Event | None:
        """Take the next event."""
        return self.events.popleft() if self.events else None

    def handle_timeout(self, now: float) -> None:
        """Pings, silence, pauses between attempts."""
        self.now = now
        if self.closed or self.gave_up is not None:
            return
        state = self.link.state
        if state in (LinkState.UP, LinkState.HANDSHAKING):
            due = self.heartbeat.due(now)
            if due == "dead":
                self.abort(HeartbeatMissed(f"nothing came from {self.link.endpoint} for {self.heartbeat.ttl} s"), now)
                return
            if due == "ping":
                self._ping(now)
            for session in list(self.sessions.values()):
                session.handle_timeout(now)
        if self._connected is not None and now >= self._tell_connected_by:
            self._tell_connected()
        if self._look_again_at is not None and now >= self._look_again_at and state is LinkState.UP:
            self._look_again_at = None
            self._close_left_behind(self._looked_for)
        self._tell_progress(now)
        endpoint, attempt = self.link.endpoint, self.link.attempts
        ended = self.link.handle_timeout(now)
        if ended is not None:
            self._unheard = True
            self.suspects.link_lost(ended)
            self._transport_gone(ended, now)
            self.events.append(Abort(ended))
            self._attempt_failed(ended, endpoint, attempt, now)
        self._follow_link()

    def decided(self, serial: int, decision: Decision | None, now: float) -> bool:
        """Answer the question of an `Ask` event; None: as the settings say. False if it is no longer asked."""
        self.now = now
        counts = not self.closed and self.link.decided(serial, decision, now)
        if counts:
            self._follow_link()
        return counts

    def next_timeout(self) -> float | None:
        """The earliest deadline."""
        if self.closed or self.gave_up is not None:
            return None
        due = self.link.next_timeout()
        if self.link.state in (LinkState.UP, LinkState.HANDSHAKING):
            beat = self.heartbeat.next_timeout()
            tell = None if self._connected is None else self._tell_connected_by
            look = self._look_again_at if self.link.state is LinkState.UP else None  # else it would be due for ever
            for time in (beat, tell, look):
                if time is not None and (due is None or time < due):
                    due = time
            for session in self.sessions.values():  # hot path: asked after every write
                time = session.next_timeout()
                if time is not None and (due is None or time < due):
                    due = time
        return due

    def close(self, now: float) -> None:
        """Close for good."""
        self.now = now
        if self.closed:
            return
        self.closed = True
        self.link.close(now)
        for session in list(self.sessions.values()):
            session.life.end(ClosedError("the connection was closed"), now)
        self._reset_link_state()
        self._turn(SessionState.CLOSED_BY_CLIENT)
        self.events.append(Abort(None))
        self.events.append(Closed())

    def disown(self, error: ActiveClientError) -> None:
        """Have no part in the connection any more: it goes on in another process. Every call ends with `error`; nothing
        is written, and nothing that waited is told, for it is told there."""
        self.gave_up = error
        if not self.state.is_closed:
            self.state = SessionState.CLOSED_FAILED
        self.outbox = []
        self.pending_bytes = 0
        self.events.clear()
        for session in list(self.sessions.values()):
            session.disown(error)

    # --- for sessions ---------------------------------------------------------------------------------------------

    def create_session(self, config: SessionConfig, now: float) -> Session:
        """A new session; it is usable, or failed, when its `creation` is done."""
        self.now = now
        session = Session(self, self._take_channel(), config, now)
        self.sessions[session.channel_id] = session
        if self.gave_up is not None or self.closed:
            session.life.end(self.gave_up or ClosedError("the connection is closed"), now)
        elif self.link.state in (LinkState.UP, LinkState.HANDSHAKING) and not self.hello_waits:
            session.life.link_made(now)
        return session

    def write(self, frame: bytes) -> None:
        """Send bytes that are not counted."""
        self.outbox.append(frame)
        self.pending_bytes += len(frame)

    def ask_control(self, packet: Packet, answer: Callable[[Packet, float], None]) -> None:
        """Send a request on channel 1; answers come in the order of requests."""
        self.write(encode(packet, 1, self.version))
        self._control.append(answer)

    def show_login(self, user: str | None, password: str | None) -> None:
        """Show credentials on this link before any session is created on it, once; the first ones count.

        Some brokers let only a connection of the same user reattach a session. Servers before 2.57 pass over it.
        """
        if not self._login_shown and self.version >= versions.V2_0:
            packet = CheckForFailover(None, Login.plain(self.version, user, password))
            try:
                self.limits.check_login(len(encode(packet, 1, self.version)))
            except NotSent:
                return  # the creation of a session shows it too, and tells
            self._login_shown = True
            self.ask_control(packet, self._on_login)

    def _on_login(self, packet: Packet, now: float) -> None:
        if isinstance(packet, ExceptionResponse):
            self.abort(from_server(packet.code, packet.message), now)
        elif isinstance(packet, CheckForFailoverReply):
            self.limits.logged_in()
        elif self._control:
            self._control.popleft()(packet, now)  # of a server that does not answer it: this is the next answer

    def abort(self, reason: ActiveClientError, now: float) -> None:
        """Give the link up for a reason of ours; it is won back if the settings say so."""
        if self.closed or self.gave_up is not None:
            return
        self.events.append(Abort(reason))
        self._lost(reason, now)

    def fail_protocol(self, text: str, now: float) -> None:
        """The peer broke a rule."""
        self.abort(RemoteProtocolError(text), now)

    def server_said_version(self, version: int) -> None:
        """What the server speaks; we speak the lower of both."""
        self.server_version = version
        if self.reattaches is False and self._learned_of[1] != version:
            self.reattaches = None  # another broker, or another release of it: the next session asks
        self._tell_connected()

    def learned_reattach(self, can: bool) -> None:
        """The server lets sessions be reattached, or it does not."""
        self.reattaches = can
        self._learned_of = (self.link.endpoint, self.server_version)

    def lower_version(self) -> bool:
        """The server refused our version: try the next lower one. False when there is none."""
        lower = [number for number in versions.SUPPORTED if number < self.version]
        if not lower:
            return False
        self.version = max(lower)
        if not self.limits.known:  # a broker with limits closes the connection at a second one
            self.write(encode(SubscribeTopology(False, self.version), 0, self.version))
        return True

    def move_channel(self, session: Session) -> None:
        """A session leaves its channel for a new one; what still comes on the old one is dropped."""
        before, channel = session.channel_id, self._take_channel()
        session.channel_id = channel
        self.sessions[channel] = session  # first: an interrupt must not lose it (`mend`)
        self.sessions.pop(before, None)

    def leave_behind(self, session: Session) -> None:
        """The link was lost while the server was creating `session`: it may have one that nobody knows.

        A server that keeps sessions for a reattachment would keep that one for its TTL, so the next link asks for it
        and closes it, and if that is lost before the server has said that it did, the one after it asks again. Its
        channel is left to it.
        """
        if self.reattaches is not False and session.reattachable and len(self._left_behind) < MAX_LEFT_BEHIND:
            self._left_behind.setdefault(session.name, session.channel_id)
            self.move_channel(session)

    def _close_left_behind(self, names: Iterable[str]) -> None:
        self._look_again_at = None
        for name in list(names):
            channel = self._left_behind.get(name, -1)

            def answered(packet: Packet, now: float, name: str = name, channel: int = channel) -> None:
                if isinstance(packet, ReattachSessionResponse) and packet.reattached:
                    self.write(encode(SessionClose(), channel, self.version))
                elif name in self._looked_for or not isinstance(packet, ReattachSessionResponse):
                    self._not_behind(name)
                elif name in self._left_behind:
                    self._looked_for.add(name)
                    self._look_again_at = self._look_again_at or now + LOOK_AGAIN_SECONDS

            self.ask_control(ReattachSession(name, -1), answered)

    def answered_behind(self, channel: int) -> None:
        """The server answered on a channel that is nobody's now: it has closed the session that was left there."""
        for name, left in list(self._left_behind.items()):
            if left == channel:
                self._not_behind(name)

    def _not_behind(self, name: str) -> None:
        self._left_behind.pop(name, None)
        self._looked_for.discard(name)

    def forget(self, session: Session) -> None:
        """The session ended."""
        if self.sessions.get(session.channel_id) is session:
            del self.sessions[session.channel_id]

    def lost_of(self, queue: str) -> Lost:
        """What this connection has acknowledged on a queue and may get once more."""
        lost = self._acknowledged.get(queue)
        if lost is None:
            lost = self._acknowledged[queue] = Lost()
        return lost

    @property
    def settled(self) -> bool:
        """Is there no session, neither here nor one that the server may have made for nobody?

        One that it did not have when it was asked does not count.
        """
        return not self.sessions and self._looked_for.issuperset(self._left_behind)

    @property
    def gates_open(self) -> bool:
        """True while a session still waits for the end of the one before it, where any made a temporary queue.

        The server deletes the queue when it ends the connection of before, and ends all its sessions in one go.
        """
        sessions = self.sessions.values()
        return any(session.temporary_queues for session in sessions) and any(
            session.recovery is not None and not session.recovery.gate_passed for session in sessions
        )

    @property
    def ended_with_writes(self) -> bool:
        """True if the server writes to its journal while it ends the sessions of a lost connection of ours.

        It rolls transactions back, deletes temporary queues, and stores the delivery counts of what returns from a
        consumer; what returns from the next one waits for that.
        """
        sessions = self.sessions.values()
        return sum(len(session.consumers) for session in sessions) > 1 or any(
            session.temporary_queues or (session.recovery is not None and session.recovery.undone)
            for session in sessions
        )

    def gate_passed(self) -> None:
        """The session before one of ours has ended; those that wait for all of them go on when it was the last."""
        if not self.gates_open:
            for session in self.sessions.values():
                if session.recovery is not None and session.recovery.awaits_others and session.resume_at is not None:
                    session.resume_at = min(session.resume_at, self.now)

    def session_diverged(self, session: Session, error: ReattachDiverged | DeliveryStopped, now: float) -> None:
        """The server's session is of no use, though it was reattached: it is made anew.

        Raises:
            RemoteProtocolError: This happens on one link again and again.
        """
        self._divergences += 1
        if self._divergences > DIVERGENCES:
            raise RemoteProtocolError(f"the server keeps confirming what cannot be: {error}")
        session.life.diverged(error, now)

    def session_ready(self, now: float) -> None:
        """A new session became usable, or could not be made."""
        self._check_established(now)

    def session_reattached(self, now: float) -> None:
        """A session continues."""
        self._reattached += 1
        self._check_established(now)

    def session_recreated(self, now: float, in_doubt: tuple[bytes | str | None, ...]) -> None:
        """A session was made anew."""
        self._recreated += 1
        self._in_doubt.extend(in_doubt)
        self._check_established(now)

    @property
    def outage_began(self) -> float | None:
        """When the connection was lost that is being won back now; None when it is up, or has never been."""
        return None if self._outage is None else self._outage[1]

    # --- for the inbox --------------------------------------------------------------------------------------------

    def knows(self, channel: int) -> bool:
        """Is, or was, this a channel of ours? What is left over on one that was is ignored."""
        return 0 <= channel <= 1 or FIRST_SESSION_CHANNEL <= channel < self._next_channel

    def handle_connection(self, packet: Packet, channel: int, now: float) -> None:
        """A packet of channel 0 or 1."""
        if isinstance(packet, Ping):
            self._pong(packet.connection_ttl)
            if not self._ponged:
                self._ponged = True
                if self.hello_waits:
                    self.hello_waits = False
                    self._say_hello(now)
                self._check_established(now)
        elif isinstance(packet, ClusterTopology):
            if packet.server_version:
                self.server_version = packet.server_version
                self._tell_connected()
            self.limits.told(packet, self.link.endpoint)
            self.topology.told(packet)
            if self.limits.known and not self.sessions and self.config.user is not None:
                # Such a broker names its cluster after a login only. Without a user none is shown: the sessions to
                # come may show one of their own, and a login that is refused would cost the connection.
                self.show_login(self.config.user, self.config.password)
        elif isinstance(packet, Disconnect):
            self._on_disconnect(packet, now)
        elif isinstance(packet, DisconnectConsumerKill):
            self.abort(DisconnectedByServer("the broker ended this connection: a consumer was too slow"), now)
        elif channel == 1:
            if not self._control:
                raise RemoteProtocolError(f"{type(packet).__name__} answers nothing", kind=packet.KIND)
            self._control.popleft()(packet, now)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _take_channel(self) -> int:
        channel = self._next_channel
        self._next_channel += 1
        return channel

    def _on_disconnect(self, packet: Disconnect, now: float) -> None:
        target = endpoint_of(packet.target_connector)
        if packet.reason in REDIRECTS and target is not None:
            self.endpoints.redirect(target)
            reason = f"the broker sends us to {target}"
        else:
            reason = f"the broker is going away (reason {packet.reason})"
        self.abort(DisconnectedByServer(reason, code=ServerCode.DISCONNECTED), now)

    def _ping(self, now: float) -> None:
        for session in self.sessions.values():
            session.confirm_received()  # so that an idle server's buffer empties too
        self.write(self._ping_frame())

    def _ping_frame(self) -> bytes:
        """A ping, which asks the server for a time to live: of a silent connection, and of sessions without one."""
        ttl, keep = self.config.connection_ttl, self.config.keep_for
        asked = None if ttl is None else max(ttl, keep or 0.0)
        return encode(Ping(TTL_NEVER if asked is None else int(asked * 1000)), 0, self.version)

    def _pong(self, ttl: int) -> None:
        """The server repeats the time to live that it was asked for, or says the one that it allows."""
        keep = self.config.keep_for
        if keep is not None:
            self.link.outage_limit = min(keep, ttl / 1000) if ttl > 0 else keep

    def _reset_link_state(self) -> None:
        self.outbox = []
        self.pending_bytes = 0
        self._control.clear()
        self.inbox.clear()
        self._login_shown = False
        self.lives += 1

    def _transport_gone(self, reason: ActiveClientError, now: float) -> None:
        self.last_error = reason
        self._reset_link_state()
        self._divergences = 0
        self._look_again_at = None  # the next link asks for all of them
        for session in list(self.sessions.values()):
            session.life.link_lost(now)

    def _lost(self, reason: ActiveClientError, now: float) -> None:
        was_up = self.link.state is LinkState.UP
        if was_up:
            self._tell_connected()
        self._connected = None
        endpoint, attempt = self.link.endpoint, self.link.attempts
        nonsense = isinstance(reason, RemoteProtocolError)
        stuck = self.suspects.link_lost(reason)
        if self.suspects.goes_on:
            self.link.retry_at_once()
        if was_up:
            self._unheard = isinstance(reason, (HeartbeatMissed, CallTimeout, SessionUnanswered))
            if not nonsense and not stuck and self._progress() != self._progress_before:
                self.link.lived()
        else:
            if self._control:
                self._unheard = True
            if not nonsense:
                self._tell_progress(now)
        if not was_up and (nonsense or type(reason) is ConnectionLost):
            # Whoever listens there is not what we look for, or not yet: another host, or another try, may be.
            hint = self.limits.login_hint()
            failed = ConnectFailed(f"{endpoint}: {reason}{hint and f'; {hint}'}", code=reason.code)
            failed.__cause__ = reason
            reason = failed
        if (
            not reason.retriable
            and not isinstance(reason, (JMSSecurityError, IncompatibleVersion, MessagesMissing))
            and self._ever_connected
        ):
            # A broker that has worked speaks nonsense, or refuses for a while: worth another attempt.
            lost = ConnectionLost(str(reason), code=reason.code)
            lost.__cause__ = reason
            reason = lost
        self._transport_gone(reason, now)
        if was_up:
            if self._outage is not None and self._has_event(Reconnected):
                self._outage = None  # an interrupt came before that
            if self._outage is None:
                self._reattached = self._recreated = 0
                self._in_doubt = []
                if not self._has_event(Detached):
                    self.events.append(Detached(reason, endpoint))
                self._outage = (reason, now, endpoint)
        self.link.lost(reason, now)
        if was_up and self.link.gave_up is None:
            self._turn(SessionState.RECOVERING_RECONNECT)
        if not was_up:
            self._attempt_failed(reason, endpoint, attempt, now)
        self._follow_link()

    def _progress(self) -> int:
        """Grows whenever the server did something for a session."""
        return sum(session.received + session.buffer.first + session.epoch for session in self.sessions.values())

    def _received(self) -> int:
        """Packets of the sessions that the handshake waits for: what the others do says nothing of these."""
        return sum(session.received for session in self.sessions.values() if session.state not in SETTLED)

    def _received_again(self) -> int:
        """The same of sessions that are reattached: what they got once does not come on the next connection."""
        return sum(session.received for session in self.sessions.values() if session.state in REATTACHED)

    def _tell_progress(self, now: float) -> None:
        """Has the server replayed anything on a connection whose sessions are not settled?"""
        if self.link.state is LinkState.HANDSHAKING:
            replayed, missed = self._received(), self._received_again()
            if replayed > self._replayed:
                self.link.progressed(now, further=missed > self._missed or self.suspects.passed)
            self._replayed, self._missed = replayed, missed

    def _attempt_failed(self, reason: ActiveClientError, endpoint: Endpoint | None, attempt: int, now: float) -> None:
        if self.link.gave_up is None:
            due = self.link.retry_at
            self.events.append(
                ConnectAttemptFailed(reason, endpoint, attempt, 0.0 if due is None else max(0.0, due - now))
            )

    def _follow_link(self) -> None:
        error = self.link.gave_up
        if error is not None and not self._told_end and not self.closed:
            self.gave_up = error
            in_doubt = list(self._in_doubt)
            for session in list(self.sessions.values()):
                in_doubt.extend(session.life.end(error, self.now))
            self._reset_link_state()
            self._turn(SessionState.CLOSED_BY_SERVER if _is_by_server(error) else SessionState.CLOSED_FAILED)
            self.events.append(Abort(error))
            self.events.append(GaveUp(error, self.link.attempts, tuple(in_doubt)))
            self._told_end = True
            return
        question = self.link.take_question()
        if question is not None:
            self.events.append(Ask(question))
            self._asked = question.serial
        connect = self.link.take_connect()
        if connect is not None:
            self.events.append(connect)

    def _check_established(self, now: float) -> None:
        """The link counts as won when the server answered and every session that it had is usable again."""
        if self.link.state is not LinkState.HANDSHAKING:
            return
        if not self._ponged and not any(session.usable for session in self.sessions.values()):
            return
        if any(session.state not in SETTLED for session in self.sessions.values()):
            return
        attempts = self.link.attempts
        endpoint = self.link.endpoint
        if self._outage is None:
            self._connected, self._tell_connected_by = endpoint, now + VERSION_SECONDS
        self._progress_before = self._progress()
        self.link.established(now)
        self._ever_connected = True
        self._turn(SessionState.CONNECTED_ACTIVE)
        if self._outage is not None and endpoint is not None:
            reason, since, before = self._outage
            self.events.append(
                Reconnected(
                    endpoint,
                    reason,
                    self._reattached,
                    self._recreated,
                    before is not None and (before.host, before.port) != (endpoint.host, endpoint.port),
                    attempts,
                    now - since,
                    tuple(self._in_doubt),
                )
            )
            self._outage = None
        elif self.server_version:
            self._tell_connected()

    def _turn(self, state: SessionState) -> None:
        """Enter a state; no other follows one that is closed."""
        old = self.state
        if old is not state and not old.is_closed:
            self.state = state
            self.events.append(StateChanged(old, state))

    def _tell_connected(self) -> None:
        if self._connected is not None:
            if not self._has_event(Connected):
                self.events.append(Connected(self._connected, self.server_version))
            self._connected = None

    def _has_event(self, kind: type[Event]) -> bool:
        """Is one that is told once waiting? Then it was told, and an interrupt came before that was noted."""
        return any(isinstance(event, kind) for event in self.events)


def _is_by_server(error: ActiveClientError) -> bool:
    """Did the server end the connection on purpose: say goodbye, or refuse the login?"""
    return any(isinstance(each, (DisconnectedByServer, JMSSecurityError)) for each in (error, error.__cause__))
