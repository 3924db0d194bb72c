"""Which endpoint is tried next: the lost one, its backup, the one before it, those that were configured.

Law of this file: `next` walks a list without repetitions from its beginning to its end and then anew; what is learned
meanwhile counts from the next round on. An endpoint is one host and port: the configured spelling of it, with its
transport options, wins over the one in a broker's topology. Which node of a topology is the own one is told by its
address, not by its spelling alone (`resolved`), and where there is only one node, it is that. Everything learned is
bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cachetools import LRUCache

from activeclient.errors import ConfigError
from activeclient.events import Endpoint

OF_ONE_HOST = ("sniHost",)
"""Parameters that name the host itself: those of one are wrong for any other."""

MAX_NODES = 1024
"""Nodes of a topology that are remembered; the longest unheard of is forgotten first."""

REDIRECTS_WITHOUT_PAUSE = 3
"""Redirects in a row that are followed at once; more are a loop between brokers and get pauses."""


def _key(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.host.lower(), endpoint.port


class EndpointList:
    """The endpoints of one connection, in the order in which they are tried.

    Args:
        endpoints: The configured ones, at least one, already in the order that load balancing chose.
        ha: Believe the broker when it says that a node has left.
        failover_attempts: `failoverAttempts`: rounds over the other servers when the attempts for the own pair are used
            up; 0 none, negative for ever.
        use_topology: Prefer the members of the topology to the configured list for a first connect and for failover
            to other servers. Their addresses may not be reachable from here (NAT, proxies).
        first: Tried before the configured ones at the first connect, and only then.
        configured_only: Learn nothing from brokers: stay with the configured ones.

    Raises:
        ConfigError: no endpoint.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        ha: bool,
        failover_attempts: int,
        use_topology: bool = False,
        first: Sequence[Endpoint] = (),
        configured_only: bool = False,
    ) -> None:
        if not endpoints:
            raise ConfigError("endpoints", None, "at least one is needed")
        self._initial = tuple(endpoints)
        self._configured = {_key(e): e for e in reversed(self._initial)}
        self._ha = ha
        self._failover_attempts = failover_attempts
        self._use_topology = use_topology
        self._first = tuple(first)
        self._configured_only = configured_only
        self.told = False
        """Has a broker named all nodes of its cluster?"""
        self._addresses: LRUCache[str, frozenset[str]] = LRUCache(4 * MAX_NODES)
        """Host, in lower case, to its network addresses, as far as they were looked up."""
        self._nodes: LRUCache[str, tuple[Endpoint | None, Endpoint | None]] = LRUCache(MAX_NODES)
        self.current: Endpoint | None = None
        """The last one that worked, or where a broker redirected us to."""
        self._given: Endpoint | None = None
        """The endpoint of the last attempt: who tells us of others."""
        self._backup: Endpoint | None = None
        self._only_backup: Endpoint | None = None
        """Of the only node that is known: its pair must be ours, whatever name or proxy led us to it."""
        self._previous: Endpoint | None = None
        self._others = False
        self._redirects = 0
        self._follow = False
        self._round: list[Endpoint] = []
        self._position = 0

    def begin_outage(self) -> None:
        """A new series: the current endpoint first, its backup, the previous one, the configured ones."""
        self._others = False
        self._new_round()

    def next(self) -> Endpoint:
        """The endpoint of the next attempt."""
        if self._position >= len(self._round):
            self._new_round()
        self._follow = False
        self._given = endpoint = self._round[self._position]
        self._position += 1
        return endpoint

    def take(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint of the next attempt is one that somebody else chose; the round goes on behind it."""
        self._follow = False
        self._given = endpoint = self._as_member(endpoint) or endpoint
        return endpoint

    def upcoming(self) -> tuple[Endpoint, ...]:
        """What `next` would return, call by call, for a whole round."""
        if self._position >= len(self._round):
            self._new_round()
        return tuple(self._round[self._position :] + self._round[: self._position])

    def round_complete(self) -> bool:
        """Whether `next` would begin a new round: only then a pause is made."""
        return not self._follow and self._position in (0, len(self._round))

    def failover(self, rounds: int) -> bool:
        """Whether round `rounds` + 1 over the other servers may begin, after the own pair was given up.

        From the first yes on `next` gives the others, the lost endpoint last, until the next outage begins.
        """
        if not 0 <= rounds < self._failover_attempts and self._failover_attempts >= 0:
            return False
        if not self._others:
            if all(self._is_own(e) for e in self._members()):
                return False
            self._others = True
            self._new_round()
        return True

    def succeeded(self, endpoint: Endpoint) -> None:
        """A session works there: it is the current one, and the one before it becomes the previous one."""
        self._redirects = 0
        self._follow = False
        self._move_to(endpoint)

    def learn(self, node_id: str, primary: Endpoint | None, backup: Endpoint | None, left: bool) -> None:
        """The broker told of a node; a node without a primary is the one that we are connected to."""
        if self._configured_only:
            return
        if left:
            # The backup of the current endpoint stays known: it is about to take over for the node that left.
            if self._ha:
                self._nodes.pop(node_id, None)
            return
        primary, backup = self._as_member(primary), self._as_member(backup)
        self._nodes[node_id] = (primary, backup)
        if self.current is not None and primary is not None and self._same(primary, self.current):
            self._backup = backup
        pairs = [pair for pair in self._nodes.values() if pair[0] is not None]
        self._only_backup = pairs[0][1] if len(pairs) == 1 else None

    def unresolved(self) -> list[str]:
        """Hosts to look up, because none of the nodes has the spelling of the endpoint that we are connected to."""
        if self.current is None or self._configured_only:
            return []
        primaries = [p for p, _ in self._nodes.values() if p is not None]
        if any(_key(p) == _key(self.current) for p in primaries):
            return []
        hosts = {self.current.host.lower(), *(p.host.lower() for p in primaries if p.port == self.current.port)}
        return sorted(hosts - set(self._addresses)) if len(hosts) > 1 else []

    def resolved(self, addresses: Mapping[str, frozenset[str]]) -> None:
        """Hosts were looked up: in lower case, to their network addresses, of which there may be none."""
        self._addresses.update(addresses)
        if self.current is not None and self._backup is None:
            self._backup = self._backup_of(self.current)

    @property
    def nodes(self) -> tuple[tuple[str, Endpoint | None, Endpoint | None], ...]:
        """What is known of the cluster: id, live broker and backup of each node, by the ids.

        A broker that stands alone tells of one node without addresses, which is itself.
        """
        return tuple((node, live, backup) for node, (live, backup) in sorted(self._nodes.items()))

    @property
    def members(self) -> tuple[Endpoint, ...]:
        """The live brokers of the topology: those that are configured, in that order, then the others by their ids."""
        live = [p for _, (p, _) in sorted(self._nodes.items()) if p is not None]
        return tuple(sorted(live, key=self._rank))

    def redirect(self, target: Endpoint) -> None:
        """The broker sends us elsewhere: the target is tried next, and at once unless redirects go in circles."""
        self._redirects += 1
        self._others = False
        self._move_to(self._as_member(target) or target)
        self._new_round()
        self._follow = self._redirects <= REDIRECTS_WITHOUT_PAUSE

    def _move_to(self, endpoint: Endpoint) -> None:
        if self.current is not None and _key(self.current) != _key(endpoint):
            self._previous = self.current
        if self.current is None or _key(self.current) != _key(endpoint):
            self._backup = self._backup_of(endpoint)
        self.current = endpoint

    def _backup_of(self, endpoint: Endpoint) -> Endpoint | None:
        pairs = [(p, b) for p, b in self._nodes.values() if p is not None and self._same(p, endpoint)]
        exact = (b for p, b in pairs if _key(p) == _key(endpoint))
        return next(exact, pairs[0][1] if pairs else None)

    def _same(self, one: Endpoint, other: Endpoint) -> bool:
        """Whether both are one listener, as far as their hosts were looked up."""
        if one.port != other.port:
            return False
        hosts = one.host.lower(), other.host.lower()
        nowhere: frozenset[str] = frozenset()
        found = [self._addresses.get(host, nowhere) for host in hosts]
        return hosts[0] == hosts[1] or not found[0].isdisjoint(found[1])

    def _rank(self, endpoint: Endpoint) -> int:
        ranks = (rank for rank, known in enumerate(self._initial) if self._same(known, endpoint))
        return next(ranks, len(self._initial))

    def _is_own(self, endpoint: Endpoint) -> bool:
        return any(own is not None and self._same(endpoint, own) for own in (self.current, self._backup))

    def _members(self) -> list[Endpoint]:
        members = [p for p, _ in self._nodes.values() if p is not None] if self._use_topology else []
        return members or list(self._initial)

    def _new_round(self) -> None:
        own = (self.current, self._backup or self._only_backup, self._previous)
        if self._others:
            others = [e for e in self._members() if not self._is_own(e)]
            self._round = _distinct((*others, *own[:2]))
        elif self.current is None:
            self._round = _distinct((*self._first, *self._members(), *self._initial))
        else:
            self._round = _distinct((*own, *self._initial))
        self._position = 0

    def _as_member(self, endpoint: Endpoint | None) -> Endpoint | None:
        """A node of the cluster that we talk to: what that host needs of TLS and transport, the node needs too."""
        known = self._as_configured(endpoint)
        if known is None or known.parameters or _key(known) in self._configured or self._given is None:
            return known
        inherited = tuple((key, value) for key, value in self._given.parameters if key not in OF_ONE_HOST)
        return replace(known, parameters=inherited)

    def _as_configured(self, endpoint: Endpoint | None) -> Endpoint | None:
        return None if endpoint is None else self._configured.get(_key(endpoint), endpoint)


def _distinct(endpoints: Iterable[Endpoint | None]) -> list[Endpoint]:
    found: dict[tuple[str, int], Endpoint] = {}
    for endpoint in endpoints:
        if endpoint is not None:
            found.setdefault(_key(endpoint), endpoint)
    return list(found.values())
