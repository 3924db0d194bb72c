"""What happened, as frozen values: the engine tells its driver and the user's listeners nothing in any other way.

Law of this file: an event is immutable, carries no secret and no live socket, and is emitted exactly once for each
thing that happened. `seconds` are durations on the engine's monotonic clock.
"""

from __future__ import annotations

import enum
from dataclasses import Field, dataclass, field, fields

from activeclient.errors import ActiveClientError
from activeclient.masking import always_shown, never_raises


@always_shown
@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a broker listens; `parameters` are transport options of this host only."""

    host: str
    port: int
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Not shown: a key store's password may be among them."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class SessionState(enum.Enum):
    """Where a connection and its sessions are in their life; the names are those of Diffusion's session states."""

    CONNECTING = "connecting"
    """For the first time."""
    CONNECTED_ACTIVE = "connected active"
    RECOVERING_RECONNECT = "recovering reconnect"
    """The connection was lost and is being won back; the broker keeps the sessions meanwhile."""
    CLOSED_BY_CLIENT = "closed by client"
    CLOSED_BY_SERVER = "closed by server"
    """The broker said goodbye or refused the login, and the connection was not, or could not be, won back."""
    CLOSED_FAILED = "closed failed"
    """It could not be made or won back: no attempts or no time were left, or messages are missing."""

    @property
    def is_closed(self) -> bool:
        """True in the last three: no other state follows."""
        return self.name.startswith("CLOSED")


class Event:
    """Any event: a value, equal to another of its class with the same contents."""

    # Once here and not generated for each class: that would be a fifth of the time that importing the client takes.
    __slots__ = ()

    @never_raises
    def __repr__(self) -> str:
        values = (f"{each.name}={getattr(self, each.name)!r}" for each in _fields(self) if each.repr)
        return f"{type(self).__name__}({', '.join(values)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, each.name) for each in _fields(self))


def _fields(event: Event) -> tuple[Field[object], ...]:
    return fields(event)  # type: ignore[arg-type]  # every event is a dataclass


# --- for the driver -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Connect(Event):
    """The driver shall open a transport to `endpoint` and tell `connection_made` or `connection_lost`."""

    endpoint: Endpoint
    attempt: int
    timeout: float


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Abort(Event):
    """The driver shall drop the transport at once; `connection_lost` need not be told, the engine knows."""

    reason: ActiveClientError | None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Work(Event):
    """User callbacks of a session are due: completions, listeners. Emitted once for a burst of them."""

    session: object


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Ask(Event):
    """The reconnection strategy shall be asked: `question` is a `reconnection.Question`, answered by `decided`."""

    question: object


# --- for listeners --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Connected(Event):
    """The first connection stands, or a reconnected one with all its sessions."""

    endpoint: Endpoint
    server_version: int
    """The protocol version of the server; 0 when a server before 2.18 has not said it, for want of a session."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class StateChanged(Event):
    """The connection went from one state to another."""

    old: SessionState
    new: SessionState


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Detached(Event):
    """The link was lost and is being won back; calls wait, sends fill the buffer."""

    reason: ActiveClientError
    endpoint: Endpoint | None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ConnectAttemptFailed(Event):
    """One attempt failed; the next comes in `retry_in` seconds."""

    reason: ActiveClientError
    endpoint: Endpoint | None
    attempt: int
    retry_in: float


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SessionReattached(Event):
    """A session continues where it was: nothing was lost or repeated."""

    session_name: str
    channel_id: int
    confirmed: int
    """Commands that the server had received although it had not yet said so."""
    replayed: int
    """Commands that it had missed and got again; when it has confirmed them, `ReplayConfirmed` follows."""
    seconds: float
    """From the loss that was noticed to now: the sum of the next three."""
    connecting: float = 0.0
    """Until a connection stood again, failed attempts and their pauses included."""
    reattaching: float = 0.0
    """Until the server had found the session."""
    settling: float = 0.0
    """Until the server's count was final, so that the replay could begin."""
    silent: float = 0.0
    """Before the loss was noticed: since the last byte had come. On a busy connection the time of detection."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ReplayConfirmed(Event):
    """The server has confirmed all that was replayed to a reattached session."""

    session_name: str
    channel_id: int
    commands: int
    seconds: float
    """Since the replay began."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SessionRecreated(Event):
    """A session was made anew: unacknowledged messages come again, marked redelivered."""

    session_name: str
    channel_id: int
    reason: ActiveClientError
    resent: int
    """Sends repeated with their duplicate id, or never sent before."""
    in_doubt: tuple[bytes | str | None, ...]
    """Duplicate ids (None: had none) of sends that failed with `OutcomeUnknown`."""
    rolled_back: bool
    """An open transaction was lost: its commit will fail with TRANSACTION_ROLLED_BACK."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Reconnected(Event):
    """The link is back and every session usable: all of them reattached, or some recreated, or on another broker."""

    endpoint: Endpoint
    reason: ActiveClientError
    reattached: int
    recreated: int
    failed_over: bool
    """The endpoint is another one than before."""
    attempts: int
    seconds: float
    """From the loss to now."""
    in_doubt: tuple[bytes | str | None, ...] = ()


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class GaveUp(Event):
    """No attempts are left, or trying again cannot help: the connection is closed."""

    reason: ActiveClientError
    attempts: int
    in_doubt: tuple[bytes | str | None, ...] = ()


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Closed(Event):
    """The connection was closed by its user."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SendFailed(Event):
    """The server refused, or may not have got, a send that nobody waits for; or many at once, with their session."""

    channel_id: int
    error: ActiveClientError
    """Of the first of them."""
    count: int = 1
    in_doubt: tuple[bytes | str | None, ...] = ()
    """Of many: the duplicate ids (None: had none) of those whose fate is unknown."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ConsumerLost(Event):
    """The server ended a consumer: its queue was deleted, delivering to it failed, or it could not be recreated."""

    channel_id: int
    consumer_id: int
    error: ActiveClientError


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class StaleAcknowledgement(Event):
    """An acknowledgement for an earlier session generation was dropped; the message comes again."""

    channel_id: int
    consumer_id: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LargeMessageDamaged(Event):
    """A streamed body was damaged by a replay; its message is delivered anew."""

    channel_id: int
    consumer_id: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AddressBlocked(Event):
    """A sender has waited a second for producer credits of `address`, which is full, or whose broker is stuck.

    Told once, until `AddressUnblocked`. A sender meets it with flow control only (`producerWindowSize` is not -1).
    """

    channel_id: int
    address: str


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AddressUnblocked(Event):
    """The broker gave credits for an address that was blocked."""

    channel_id: int
    address: str
    seconds: float
    """Since `AddressBlocked`."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class TopologyChanged(Event):
    """The broker told of a node and its pair of connectors."""

    node_id: str
    primary: Endpoint | None
    backup: Endpoint | None
    left: bool = False
