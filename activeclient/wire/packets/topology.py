"""Packets about the members of a cluster, on channel 0.

Law of this file: a member that goes (`exit`) has no connectors in its frame, whatever the version; Artemis tells
clients from 122 on of it in the form of 122. A broker without a cluster sends one entry without primary and backup,
which means the node that one is connected to. Source: ClusterTopologyChangeMessage and its successors.
"""

from __future__ import annotations

from activeclient.wire.fields import I32, I64, Bool, NullableString, NullableTransport, String
from activeclient.wire.packet import Packet, packet, wire
from activeclient.wire.versions import HORNETQ_TOPOLOGY, OLDEST, V1_0, V2_18


@packet({110: 0, 114: HORNETQ_TOPOLOGY, 122: V1_0, -17: V2_18}, counted=False, sent_by="server")
class ClusterTopology(Packet):
    """A member came, or went (`exit`); with the server's version from 131 on, 0 before."""

    exit: Bool
    node_id: String
    unique_event_id: I64 = wire(default=0, since=HORNETQ_TOPOLOGY)
    primary: NullableTransport = wire(default=None, unless="exit")
    backup: NullableTransport = wire(default=None, unless="exit")
    last: Bool = wire(default=False, unless="exit")
    backup_group_name: NullableString = wire(default=None, since=HORNETQ_TOPOLOGY, optional=True)
    scale_down_group_name: NullableString = wire(default=None, since=V1_0, optional=True)
    server_version: I32 = wire(default=0, since=V2_18, optional=True)


@packet({112: 0, 113: OLDEST}, counted=False, reply=(ClusterTopology,))
class SubscribeTopology(Packet):
    """Tell me of the cluster's members. It sets the version of the whole TCP connection, so it must be the first
    packet, above all where only reattached sessions follow; its oldest form leaves the version open (0)."""

    cluster_connection: Bool = False
    client_version: I32 = wire(default=0, since=OLDEST)
