"""Management of connections and sessions: what the model does not know of.

Law of this file: what is told names no password; a connection that is closed here ends with its sessions at once, as in
Artemis. Source: ActiveMQServerControlImpl.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from activeclient.wire.versions import NEWEST

if TYPE_CHECKING:
    from activeclient.broker.connection import ServerConnection
    from activeclient.broker.control import Json
    from activeclient.broker.server import BrokerServer
    from activeclient.broker.session import ServerSession

CONNECTED: Final = "CONNECTED"
DISCONNECTED: Final = "DISCONNECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """A session as the broker lists it."""

    name: str
    user: str
    client: str
    """Where its client is, or was."""
    state: str
    """`CONNECTED`; `DISCONNECTED` while it is kept for a client whose connection is lost."""
    seconds_left: float | None
    """Until a disconnected one ends; None for one that is connected."""
    consumers: int
    unconfirmed: int
    """Packets sent to the client that it has not confirmed."""


def status_of(session: ServerSession) -> SessionStatus:
    """What is told of a session."""
    server = session.server
    ends = server.kept_until(session)
    return SessionStatus(
        name=session.name,
        user=session.user.name,
        client=session.connection.name,
        state=CONNECTED if ends is None else DISCONNECTED,
        seconds_left=None if ends is None else max(0.0, ends - server.post.clock.monotonic()),
        consumers=len(session.consumers),
        unconfirmed=len(session.buffer),
    )


class ServerControl:
    """The operations of a server; `offer` makes them known to its management."""

    def __init__(self, server: BrokerServer) -> None:
        self._server = server

    def offer(self) -> None:
        """Make the operations known."""
        offer = self._server.post.management.offer
        operations: dict[str, Callable[..., Json]] = {
            "listConnectionIDs": self.connection_ids,
            "listSessions": self.session_names,
            "closeConnectionWithID": self.close_connection,
            "closeSessionWithID": self.close_session,
            "listConnectionsAsJSON": self.connections_as_json,
            "listSessionsAsJSON": self.sessions_as_json,
            "listAllConsumersAsJSON": self.consumers_as_json,
            "listAllSessionsAsJSON": self.all_sessions_as_json,
            "listRemoteAddresses": self.remote_addresses,
            "getConnectionCount": self.connection_count,
            "ConnectionCount": self.connection_count,
            "NodeID": self.node_id,
            "getNodeID": self.node_id,
        }
        for name, call in operations.items():
            offer(name, call)

    def node_id(self) -> str:
        """What clients know the server by."""
        return self._server.node_id

    def connection_count(self) -> int:
        """Connections that stand."""
        return sum(not each.gone for each in self._server.connections)

    def connection_ids(self) -> list[Json]:
        """Their names, the oldest first."""
        return [str(each.serial) for each in self._sorted()]

    def session_names(self, connection_id: str) -> list[Json]:
        """The sessions of a connection."""
        found = self._find(connection_id)
        return [] if found is None else [session.name for session in found.sessions.values()]

    def remote_addresses(self) -> list[Json]:
        """Where the clients are."""
        return [each.name for each in self._sorted()]

    def close_connection(self, connection_id: str) -> bool:
        """End a connection and its sessions; false when there is none."""
        found = self._find(connection_id)
        if found is None:
            return False
        self._server.fail(found)
        return True

    def close_session(self, connection_id: str, name: str) -> bool:
        """End a session, without a word to its client; false when there is none."""
        found = self._find(connection_id)
        for session in list(found.sessions.values()) if found is not None else ():
            if session.name == name:
                self._server.end(session, failed=True)
                return True
        return False

    def connections_as_json(self) -> str:
        """The connections, as a JSON text."""
        return json.dumps(
            [
                {
                    "connectionID": str(each.serial),
                    "clientAddress": each.name,
                    "sessionCount": len(each.sessions),
                    "version": each.version or NEWEST,
                    "state": DISCONNECTED if each.gone else CONNECTED,
                }
                for each in self._sorted()
            ]
        )

    def sessions_as_json(self, connection_id: str) -> str:
        """The sessions of a connection, as a JSON text."""
        found = self._find(connection_id)
        return json.dumps([_row(session) for session in (found.sessions.values() if found is not None else ())])

    def all_sessions_as_json(self) -> str:
        """The sessions of all connections, as a JSON text: those too that wait for their client."""
        return json.dumps([_row(session) for each in self._sorted() for session in each.sessions.values()])

    def consumers_as_json(self) -> str:
        """The consumers of all connections, as a JSON text."""
        return json.dumps(
            [
                {
                    "consumerID": consumer.id,
                    "connectionID": str(connection.serial),
                    "sessionID": session.name,
                    "queueName": consumer.queue.name,
                    "browseOnly": consumer.browse_only,
                    "deliveringCount": len(consumer.delivering),
                    **({} if consumer.filter is None else {"filter": str(consumer.filter)}),
                }
                for connection in self._sorted()
                for session in connection.sessions.values()
                for consumer in session.consumers.values()
            ]
        )

    def _sorted(self) -> list[ServerConnection]:
        return sorted(self._server.connections, key=lambda each: each.serial)

    def _find(self, connection_id: str) -> ServerConnection | None:
        return next((each for each in self._server.connections if str(each.serial) == str(connection_id)), None)


def _row(session: ServerSession) -> dict[str, object]:
    """A session among others in JSON; `timeLeft` in milliseconds, of one that is disconnected."""
    status = status_of(session)
    row: dict[str, object] = {
        "sessionID": status.name,
        "principal": status.user,
        "consumerCount": status.consumers,
        "metadata": session.metadata,
        "state": status.state,
    }
    if status.seconds_left is not None:
        row["timeLeft"] = round(status.seconds_left * 1000)
    return row
