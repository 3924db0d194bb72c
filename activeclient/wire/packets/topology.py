"""Packets about the members of a cluster, on channel 0.

Law of this file: a member that goes (`exit`) has no connectors in its frame, whatever the version; clients from 122
on hear of it in the V2 form. A broker without a cluster sends one entry without primary and backup, which means the
node that one is connected to. Source: ClusterTopologyChangeMessage and its successors.
"""

from __future__ import annotations

from activeclient.wire.fields import I32, I64, Bool, NullableString, NullableTransport, String
from activeclient.wire.packet import Packet, packet, wire

_TOPOLOGY = (110, 114, 122, -17)


@packet(112, counted=False, reply=_TOPOLOGY)
class SubscribeTopology(Packet):
    """Tell me of the cluster's members, in the oldest form."""

    cluster_connection: Bool = False


@packet(113, counted=False, reply=_TOPOLOGY)
class SubscribeTopologyV2(Packet):
    """Tell me of the cluster's members. Sets the version of the whole TCP connection, so it must be the first
    packet, above all where only reattached sessions follow."""

    cluster_connection: Bool
    client_version: I32


@packet(110, counted=False, sent_by="server")
class ClusterTopology(Packet):
    """A member came or went (before 122)."""

    exit: Bool
    node_id: String
    primary: NullableTransport = wire(default=None, unless="exit")
    backup: NullableTransport = wire(default=None, unless="exit")
    last: Bool = wire(default=False, unless="exit")


@packet(114, counted=False, sent_by="server")
class ClusterTopologyV2(Packet):
    """A member came (122 to 124) or went (all since 122)."""

    exit: Bool
    node_id: String
    unique_event_id: I64
    primary: NullableTransport = wire(default=None, unless="exit")
    backup: NullableTransport = wire(default=None, unless="exit")
    last: Bool = wire(default=False, unless="exit")
    backup_group_name: NullableString = wire(default=None, optional=True)


@packet(122, counted=False, sent_by="server")
class ClusterTopologyV3(Packet):
    """A member came (125 to 130)."""

    exit: Bool
    node_id: String
    unique_event_id: I64
    primary: NullableTransport = wire(default=None, unless="exit")
    backup: NullableTransport = wire(default=None, unless="exit")
    last: Bool = wire(default=False, unless="exit")
    backup_group_name: NullableString = wire(default=None, optional=True)
    scale_down_group_name: NullableString = wire(default=None, optional=True)


@packet(-17, counted=False, sent_by="server")
class ClusterTopologyV4(Packet):
    """A member came (131 and later); with the server's version."""

    exit: Bool
    node_id: String
    unique_event_id: I64
    primary: NullableTransport = wire(default=None, unless="exit")
    backup: NullableTransport = wire(default=None, unless="exit")
    last: Bool = wire(default=False, unless="exit")
    backup_group_name: NullableString = None
    scale_down_group_name: NullableString = None
    server_version: I32 = wire(default=0, optional=True)
