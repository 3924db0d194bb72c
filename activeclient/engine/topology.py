"""What the broker tells of its cluster: nodes, each with the endpoints of its pair.

Law of this file: what a peer names is believed only when it could be an endpoint; a change is told once, however often
the broker repeats it; everything remembered is bounded.
"""

from __future__ import annotations

from collections import deque

from cachetools import LRUCache

from activeclient.engine.failover import MAX_NODES, EndpointList
from activeclient.events import Endpoint, Event, TopologyChanged
from activeclient.wire.fields import TransportConfiguration
from activeclient.wire.packets import ClusterTopology

MAX_HOST = 255
"""Characters of a host's name (RFC 1035)."""
PLACEHOLDER_NODE = "00000000-0000-0000-0000-000000000000"
"""Of whom Artemis 2.57 tells before a login: no member, with `localhost:61616` as a backup that must never be tried."""
PLACEHOLDER = "PRE_AUTH_CONNECTOR"
"""The name of that backup's connector (CoreProtocolManager)."""


class Topology:
    """The cluster as one connection was told of it.

    Args:
        endpoints: Learns what is told.
        events: Where changes go.
    """

    __slots__ = ("_endpoints", "_events", "_known")

    def __init__(self, endpoints: EndpointList, events: deque[Event]) -> None:
        self._endpoints = endpoints
        self._events = events
        self._known: LRUCache[str, TopologyChanged] = LRUCache(MAX_NODES)

    def told(self, packet: ClusterTopology) -> None:
        """The broker announced a node, or that it has left."""
        if packet.node_id == PLACEHOLDER_NODE:
            return
        if packet.exit:
            change = TopologyChanged(packet.node_id, None, None, True)
        else:
            change = TopologyChanged(packet.node_id, endpoint_of(packet.primary), endpoint_of(packet.backup))
        self._endpoints.learn(change.node_id, change.primary, change.backup, change.left)
        if packet.last:
            self._endpoints.told = True
        if self._known.get(change.node_id) != change:  # each connection is told all of it again
            self._known[change.node_id] = change
            self._events.append(change)


def endpoint_of(connector: TransportConfiguration | None) -> Endpoint | None:
    """Where a connector of the topology listens; None for one that is not reached over TCP."""
    if connector is None or connector.name == PLACEHOLDER:
        return None
    host, port = connector.params.get("host"), connector.params.get("port")
    if not isinstance(host, str) or not 0 < len(host) <= MAX_HOST or not host.isprintable() or " " in host:
        return None
    text = str(port)
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        return None
    return Endpoint(host=host, port=int(text))
