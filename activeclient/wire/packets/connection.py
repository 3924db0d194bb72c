"""Packets of the connection itself: pings, goodbyes, session creation, reattachment, and the general answers.

Law of this file: what stands here and is sent on channel 0 or 1 never takes a command id; the answers that also travel
on session channels (exception, null response) do. Source: PacketImpl and the classes of wireformat of Artemis.
"""

from __future__ import annotations

from typing import Final

from activeclient.wire.fields import (
    I8,
    I32,
    I64,
    Bool,
    NullableSimpleString,
    NullableString,
    NullableTransport,
    OptionalI64,
    String,
)
from activeclient.wire.login import OptionalLogin, OptionalServerVersion
from activeclient.wire.packet import Packet, packet, wire
from activeclient.wire.versions import V1_0, V2_7, V2_18


@packet(10, counted=False, sent_by="both")
class Ping(Packet):
    """A sign of life. The client's carries the time to live, in ms, that the server shall apply (-1: for ever); the
    server sends the frame back."""

    connection_ttl: I64


Ping.REPLY = (Ping,)


@packet({11: 0, 124: V1_0, -19: V2_18}, counted=False, sent_by="server")
class Disconnect(Packet):
    """The server goes, and says why: 0 redirect, 1 redirect on critical error, 2 scale down, 3 scale down on critical
    error, 4 shut down, 5 shut down on critical error, -1 none, also of servers before 131. A clean stop of a clustered
    node may read 2 without a target. A target before 131 means that the server scales down to that node."""

    node_id: NullableSimpleString = None
    reason: I8 = wire(default=-1, since=V2_18)
    target_node_id: NullableSimpleString = wire(default=None, since=V1_0, optional=True)
    target_connector: NullableTransport = wire(default=None, since=V2_18)


@packet(13, counted=False, sent_by="server")
class DisconnectConsumerKill(Packet):
    """A consumer was too slow; the server closes the connection right after."""

    node_id: NullableSimpleString = None


@packet(31, counted=False, sent_by="server")
class CreateSessionResponse(Packet):
    """The session exists. The number is the server's own, whatever the client asked for: speak the smaller one."""

    server_version: I32


@packet({30: 0, -18: V2_18}, counted=False, reply=(CreateSessionResponse,))
class CreateSession(Packet):
    """Make a session; the client chooses its channel and name. `window_size` in bytes: how often the server confirms
    commands; -1 switches counting and reattachment off. `client_id` is the connection's (131 and later)."""

    name: String
    session_channel_id: I64
    version: I32
    username: NullableString
    password: NullableString = wire(repr=False)
    min_large_message_size: I32
    xa: Bool
    auto_commit_sends: Bool
    auto_commit_acks: Bool
    window_size: I32
    pre_acknowledge: Bool
    default_address: NullableString = None
    client_id: NullableString = wire(default=None, since=V2_18)


@packet(33, counted=False, sent_by="server")
class ReattachSessionResponse(Packet):
    """The last command that the server had *finished and counted*, and whether the session lives on."""

    last_confirmed_command_id: I32
    reattached: Bool


@packet(32, counted=False, reply=(ReattachSessionResponse,))
class ReattachSession(Packet):
    """Move the session of this name to this connection; the last command that the client received, -1 for none. The
    name is the only credential that Artemis asks for (CVE-2026-57967, up to 2.56), hence it does not show in logs."""

    name: String = wire(repr=False)
    last_confirmed_command_id: I32


@packet(-5, counted=False, sent_by="server")
class CheckForFailoverReply(Packet):
    """The answer to `CheckForFailover`; since 2.57 with the server's version."""

    ok_to_failover: Bool
    server_version: OptionalServerVersion = wire(default=None, optional=True)


@packet(-4, counted=False, reply=(CheckForFailoverReply,))
class CheckForFailover(Packet):
    """May a client of this node fail over to you? Since 2.57 (CONNECT) with the client's version and credentials: a
    login before the first session. One for each connection: 2.57 closes the connection at the second. Older servers
    pass over the login."""

    node_id: NullableString = None
    login: OptionalLogin = wire(default=None, optional=True)


@packet(20, sent_by="server")
class ExceptionResponse(Packet):
    """A request failed. The correlation id is that of the request if it had one; else the field is absent. The
    server does not count a command that it answers like this."""

    code: I32
    message: NullableString = None
    correlation_id: OptionalI64 = wire(default=None, since=V2_7, optional=True)


@packet(21, sent_by="server")
class NullResponse(Packet):
    """A request is done. -1: the request had no correlation id, or the peer is older than 130."""

    correlation_id: I64 = wire(default=-1, since=V2_7, optional=True)


NULL: Final[tuple[type[Packet], ...]] = (NullResponse,)
"""Answers of a request that is answered by no more than that it is done."""


@packet(22, counted=False, sent_by="both")
class PacketsConfirmed(Packet):
    """Every command up to and including `command_id` has been processed; durable work is on disk."""

    command_id: I32
