"""The server: its connections and sessions, and what time brings to them.

Law of this file: bytes and time in, bytes out; no method blocks, reads a clock or raises for what a client did. A
session belongs to one connection; it outlives it as long as the connection's time to live has not passed, if it counts.
Source: RemotingServiceImpl, ActiveMQServerImpl, CoreProtocolManager.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from activeclient.broker.configuration import GUEST
from activeclient.broker.connection import ServerConnection
from activeclient.broker.faults import Faults
from activeclient.broker.limits import MAX_NAME, Limits
from activeclient.broker.server_control import ServerControl
from activeclient.broker.session import ServerSession
from activeclient.errors import (
    IncompatibleVersion,
    JMSError,
    JMSSecurityError,
    RemoteProtocolError,
    ResourceAllocationError,
)
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p
from activeclient.wire import versions
from activeclient.wire.login import PLAIN

if TYPE_CHECKING:
    from activeclient.broker.consumers import Filter
    from activeclient.broker.postoffice import PostOffice
    from activeclient.wire.login import Login

ROUND_SECONDS: Final = 2.0
"""Longest time between two looks at silent connections and at what is not confirmed
(connection-ttl-check-interval)."""
_LEAST_ROUND: Final = 0.05

SUPPORTED: tuple[int, ...] = versions.SUPPORTED
"""The protocol versions that clients may speak with a server; tests narrow it."""

Report = Callable[[str, BaseException | None], None]


class BrokerServer:
    """Serves a post office over CORE.

    Args:
        node_id: What clients know the server by.
        compile_filter: Makes a filter of a consumer's selector; raises `InvalidSelectorError`.
        report: Told of what a driver should log: misbehaviour of clients, defects of ours.

    After anything that can change something, the driver writes the `data_to_send` of every connection in `dirty`, and
    asks `next_timeout`.
    """

    def __init__(
        self,
        post: PostOffice,
        node_id: str,
        compile_filter: Callable[[str], Filter],
        *,
        limits: Limits | None = None,
        faults: Faults | None = None,
        report: Report | None = None,
    ) -> None:
        self.post = post
        self.node_id = node_id
        self.limits: Limits = limits if limits is not None else Limits()
        self.faults: Faults = faults if faults is not None else Faults()
        self.faults.bind(self)
        self._compile_filter = compile_filter
        self._report = report
        ttl = post.configuration.connection_ttl
        self.default_ttl: float | None = ttl / 1000 if ttl > 0 else None
        self.connections: set[ServerConnection] = set()
        """Those that are gone too, until their sessions end or move."""
        self.sessions: dict[str, ServerSession] = {}
        """By name."""
        self.dirty: list[ServerConnection] = []
        """Connections that have something to write, or are to be closed."""
        self._serial = 0
        self._ending: list[ServerSession] = []
        self._next_round = post.clock.monotonic() + ROUND_SECONDS
        self._owners: dict[ServerConnection, set[ServerSession]] = {}
        """Sessions that were closed and left temporary queues to their connection."""
        self.frames_hold: int = 0
        """Bytes of incomplete frames, of all connections."""
        self.strangers_hold: int = 0
        """Those of connections without a session or login."""
        self.stopping: bool = False
        ServerControl(self).offer()

    # --- connections -------------------------------------------------------------------------------------------------

    def connection_made(self, name: str, now: float) -> ServerConnection | None:
        """A client connected; None: there are too many, close it."""
        if self.stopping:
            return None
        if sum(not each.gone for each in self.connections) >= self.limits.max_connections:
            strangers = [each for each in self.connections if not (each.admitted or each.gone)]
            if not strangers:
                return None
            self.fail(min(strangers, key=lambda each: each.serial))
        self._serial += 1
        connection = ServerConnection(self, self._serial, name, now)
        self.connections.add(connection)
        self._look_within(min(ROUND_SECONDS, self.limits.handshake_timeout))
        self.faults.connected(connection)
        return connection

    def hold_frame(self, connection: ServerConnection, size: int) -> None:
        """A connection has so many bytes of an incomplete frame now. Beyond the bound the one with most is closed."""
        change = size - connection.half_sent
        connection.half_sent = size
        self.frames_hold += change
        if not connection.admitted:
            self.strangers_hold += change
            if self.strangers_hold > self.limits.half_sent_by_strangers:
                self._close_largest([each for each in self.connections if not each.admitted])
        if self.frames_hold > self.limits.half_sent:
            self._close_largest(list(self.connections))

    def _close_largest(self, connections: list[ServerConnection]) -> None:
        victim = max(connections, key=lambda each: each.half_sent)
        victim.refuse(RemoteProtocolError(f"too much of incomplete frames, {victim.half_sent} bytes of it here"))
        self._free_frame(victim)

    def _free_frame(self, connection: ServerConnection) -> None:
        self.frames_hold -= connection.half_sent
        if not connection.admitted:
            self.strangers_hold -= connection.half_sent
        connection.half_sent = 0

    def connection_lost(self, connection: ServerConnection) -> None:
        """A transport ended; called by the connection. Without a session that counts it is over at once."""
        self._free_frame(connection)
        self.faults.disconnected(connection)
        if any(session.window >= 1 for session in connection.sessions.values()):
            for session in connection.sessions.values():
                session.flowing = False
                session.buffer.link_lost()
                if session.kept_for is not None:
                    self._look_within(session.kept_for)
            return
        self.fail(connection)

    def fail(self, connection: ServerConnection) -> None:
        """A connection is given up: its transport is closed, the sessions that are still on it end."""
        self.connections.discard(connection)
        self._free_frame(connection)
        if not connection.gone:
            connection.abort()
            connection.gone = True
        for session in list(connection.sessions.values()):
            self.end(session, failed=True)
        for owner in self._owners.pop(connection, ()):
            self.post.delete_temporary(owner)

    def ttl_changed(self, connection: ServerConnection) -> None:
        """A ping brought another time to live."""
        if connection.ttl is not None:
            self._look_within(connection.ttl / 2)

    def allowed_ttl(self, asked: int) -> int:
        """Milliseconds for which sessions of a lost connection are kept, of those that a ping has asked for."""
        longest = int(self.limits.longest_detached * 1000)
        return asked if asked <= 0 else min(asked, longest)

    def kept_until(self, session: ServerSession) -> float | None:
        """When a session whose connection is lost ends; monotonic. None while it has a connection.

        The lowest counts: what its client asked for, for the connection and for the session, and what we allow.
        """
        connection = session.connection
        if not connection.gone:
            return None
        ends = connection.last_data + self._detached_ttl(connection)
        return ends if session.kept_for is None else min(ends, connection.lost_at + session.kept_for)

    def _detached_ttl(self, connection: ServerConnection) -> float:
        # Nothing is kept for ever for somebody who has left.
        return min(connection.ttl or self.default_ttl or 60.0, self.limits.longest_detached)

    @property
    def newest_version(self) -> int:
        """The newest protocol version that clients may speak with this server."""
        return max(SUPPORTED)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def create_session(self, connection: ServerConnection, packet: p.CreateSession) -> None:
        """A client wants a session.

        Raises:
            IncompatibleVersion: A version that is not in our list (code 108).
            JMSSecurityError: Not with this user and password (105).
            JMSError: The connection has too many (112).
        """
        if packet.version not in SUPPORTED:
            raise IncompatibleVersion(
                "AMQ229033: Server and client versions incompatible",
                code=ServerCode.INCOMPATIBLE_CLIENT_SERVER_VERSIONS,
            )
        if max(len(packet.name), len(packet.username or ""), len(packet.client_id or "")) > MAX_NAME:
            raise JMSError(f"a name is longer than {MAX_NAME} characters", code=ServerCode.SESSION_CREATION_REJECTED)
        user = self.post.authenticate(packet.username, packet.password)
        connection.users.add(user.name)
        if len(connection.sessions) >= self.limits.max_sessions:
            raise JMSError(
                f"the connection has {len(connection.sessions)} sessions", code=ServerCode.SESSION_CREATION_REJECTED
            )
        if len(self.sessions) >= self.limits.max_all_sessions:
            raise JMSError(f"the broker has {len(self.sessions)} sessions", code=ServerCode.SESSION_CREATION_REJECTED)
        # Whoever asks for a used name lost the answer, or the session: what was under it ends now, not at its TTL.
        old = self.sessions.get(packet.name)
        if old is not None:
            if not self._may_take(connection, old):
                raise JMSError("a session of this name exists", code=ServerCode.SESSION_CREATION_REJECTED)
            self.end(old, failed=True)
        # A client that was refused a session for want of credentials, and shows them now, makes a new one of it.
        for refused in [each for each in connection.refused if each.user.name == user.name]:
            connection.refused.discard(refused)
            if self.sessions.get(refused.name) is refused and refused.connection is not connection:
                self.end(refused, failed=True)
        session = ServerSession(self, connection, packet, user)
        self.take_channel(connection, session)
        self.sessions[session.name] = session

    def log_in(self, connection: ServerConnection, login: Login) -> None:
        """Accept the credentials that a connection shows before its first session; without any it stays a stranger,
        unless anybody may connect.

        Raises:
            JMSSecurityError: Not with this user and password, or not in this mechanism (code 105).
        """
        if login.mechanism is None:
            if self.post.is_open_to(GUEST):
                connection.admit()
            return
        if login.mechanism != PLAIN:
            raise JMSSecurityError(
                f"the mechanism {login.mechanism[:20]!r} is not supported", code=ServerCode.SECURITY_EXCEPTION
            )
        connection.users.add(self.post.authenticate(login.user, login.password).name)
        connection.admit()

    def _may_take(self, connection: ServerConnection, session: ServerSession) -> bool:
        """True if this connection has shown the credentials of the session's user, or these are none: the name of a
        session alone is no credential (CVE-2026-57967)."""
        return session.user.name in connection.users or self.post.is_open_to(session.user)

    def take_channel(self, connection: ServerConnection, session: ServerSession) -> None:
        """The session has its channel on this connection; one that had it ends."""
        other = connection.sessions.get(session.channel)
        if other is not None and other is not session:
            self.end(other, failed=True)
        connection.sessions[session.channel] = session
        connection.admit()

    def reattach(self, connection: ServerConnection, name: str, last: int) -> None:
        """A client wants its session on this connection. It waits until nothing of the session is unfinished."""
        session = self.sessions.get(name)
        if session is not None and not self._may_take(connection, session):
            self.report(f"{connection.name}: a session was asked for without the credentials of its user")
            if len(connection.refused) < self.limits.max_sessions:
                connection.refused.add(session)
            session = None
        if session is None or self.faults.refuses_reattachment() or session.window < 0:
            if session is not None and session.window < 0:
                self.end(session, failed=True)
            connection.send(p.ReattachSessionResponse(-1, False))
            return
        old = session.connection
        session.move_to(connection, last)
        if old is not connection:
            # What closed sessions left moves along, as Artemis moves its listeners.
            left = self._owners.pop(old, None)
            if left:
                self._owners.setdefault(connection, set()).update(left)
            if old.gone and not old.sessions:
                self.fail(old)

    def forget(self, session: ServerSession) -> None:
        """A session was closed by its client; its temporary queues stay as long as its connection."""
        if self.sessions.get(session.name) is session:
            del self.sessions[session.name]
        session.leave_connection()
        if self.post.owns_temporary(session):
            self._owners.setdefault(session.connection, set()).add(session)

    def end(self, session: ServerSession, *, failed: bool) -> None:
        """A session ends without being asked: what it had goes back, and its temporary queues go."""
        if self.sessions.get(session.name) is session:
            del self.sessions[session.name]
        session.leave_connection()
        session.close(failed=failed)
        self.post.delete_temporary(session)

    def end_later(self, session: ServerSession) -> None:
        """As `end`, but not now, in the middle of a delivery."""
        self._ending.append(session)
        self._next_round = self.post.clock.monotonic()

    def has_metadata(self, key: str, data: str, *, besides: ServerSession) -> bool:
        """Has another session this pair?"""
        return any(each is not besides and each.metadata.get(key) == data for each in self.sessions.values())

    def compiled(self, text: str | None) -> Filter | None:
        """The filter of a consumer.

        Raises:
            InvalidSelectorError: It cannot be read (code 103).
        """
        return self._compile_filter(text) if text and not text.isspace() else None

    # --- time --------------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do, monotonic; None never."""
        found = [self._next_round] if self.connections or self._ending else []
        for other in (self.post.next_timeout(), self.faults.next_timeout()):
            if other is not None:
                found.append(other)
        return min(found, default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what time has brought."""
        self.post.handle_timeout()
        self.faults.handle_timeout(now)
        if now >= self._next_round:
            self._round(now)

    def _round(self, now: float) -> None:
        ending, self._ending = self._ending, []
        for session in ending:
            self.end(session, failed=True)
        shortest = ROUND_SECONDS
        for connection in list(self.connections):
            ttl = connection.ttl
            if connection.gone:
                ttl = self._detached_ttl(connection)
                shortest = min(shortest, self._end_overdue(connection, now))
                if not connection.sessions:
                    self.fail(connection)
                    continue
            if ttl is not None:
                if now - connection.last_data > ttl:
                    self.fail(connection)
                    continue
                shortest = min(shortest, ttl / 2)
            waited = now - connection.created
            if waited > self.limits.handshake_timeout and not (connection.admitted or connection.gone):
                self.fail(connection)
                continue
            if connection.dropped:
                why = ResourceAllocationError(
                    "there is no room, and the client sends without credits", code=ServerCode.ADDRESS_FULL
                )
                self.report(f"{connection.name}: {connection.dropped} messages dropped", why)
                connection.dropped = 0
            for session in connection.sessions.values():
                session.flush_confirmation(all_counted=True)
        self._keep_to_bounds()
        self._next_round = now + max(shortest, _LEAST_ROUND)

    def _end_overdue(self, connection: ServerConnection, now: float) -> float:
        """End the sessions whose client wanted them kept no longer; seconds until the next one of these ends."""
        left = ROUND_SECONDS
        for session in list(connection.sessions.values()):
            ends = self.kept_until(session)
            if session.kept_for is None or ends is None:
                continue
            if now >= ends:
                self.end(session, failed=True)
            else:
                left = min(left, ends - now)
        return left

    def _keep_to_bounds(self) -> None:
        """Close what holds most, while all together hold too much."""
        outgoing = {each: each.outgoing for each in self.connections if each.outgoing}
        excess = sum(outgoing.values()) - self.limits.all_outgoing
        while excess > 0:
            victim = max(outgoing, key=outgoing.__getitem__)
            excess -= outgoing.pop(victim)
            self.report(f"{victim.name}: closed: it takes nothing, and clients that do so hold too much together")
            self.fail(victim)
        unconfirmed = {each: each.buffer.used for each in self.sessions.values() if each.buffer.used}
        excess = sum(unconfirmed.values()) - self.limits.all_unconfirmed
        while excess > 0:
            session = max(unconfirmed, key=unconfirmed.__getitem__)
            excess -= unconfirmed.pop(session)
            self.report(f"{session.connection.name}: session {session.channel} ended: it does not confirm")
            session.connection.abort()
            self.end(session, failed=True)

    def _look_within(self, seconds: float) -> None:
        self._next_round = min(self._next_round, self.post.clock.monotonic() + max(seconds, _LEAST_ROUND))

    # --- the end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Tell every client that the server goes: confirmations first, then the goodbye. Nobody may come any more."""
        self.stopping = True
        for connection in list(self.connections):
            if connection.gone:
                self.fail(connection)
                continue
            for session in connection.sessions.values():
                session.flush_confirmation(all_counted=True)
            connection.disconnect()

    def close(self) -> None:
        """Everything ends, as if every client had failed."""
        self.stopping = True
        for connection in list(self.connections):
            self.fail(connection)

    def report(self, text: str, error: BaseException | None = None) -> None:
        """Something that a driver should log."""
        if self._report is not None:
            self._report(text, error)
