"""Pairs of brokers, of which one takes over for the other, and clusters of two nodes, as processes of this machine.

Law: a member that is killed comes back on its port with its data, and `restore` returns only when the pair could lose
the other member: before that a kill would lose messages, or end the service, and prove nothing.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from activeclient.testing.ports import free_port
from integration import processes
from integration.artemis import BrokerError, LocalBroker
from integration.configuration import BrokerSettings, Membership
from integration.handshake import answers

SHARED_STORE = "shared-store"
"""Both halves have one journal; whoever holds its lock is live."""
REPLICATED = "replicated"
"""Each half has a journal of its own, and the live one copies every write to the other."""
KINDS = (SHARED_STORE, REPLICATED)
LIMIT = 120.0
"""Seconds for a start, a take-over or a synchronisation: a few on an idle machine."""

_STANDS_BY = {
    # AMQ221031: backup announced; AMQ221034: waiting to obtain the primary's lock.
    SHARED_STORE: re.compile(r"AMQ221034|AMQ221031"),
    # AMQ221024: backup is synchronized with its live server.
    REPLICATED: re.compile(r"AMQ221024"),
}
"""What the log of a half says when it could take over."""


_standing: set[_Members] = set()


def standing() -> frozenset[LocalBroker]:
    """The members of all pairs and clusters that are not removed."""
    return frozenset(member for group in _standing for member in group.members)


class _Members:
    """Brokers that start and end together."""

    def __init__(self, members: list[LocalBroker]) -> None:
        self.members = members
        _standing.add(self)

    def url(self, **parameters: object) -> str:
        """`(tcp://a,tcp://b)?key=value`."""
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        hosts = ",".join(f"tcp://{member.host}:{member.port}" for member in self.members)
        return f"({hosts})" + (f"?{query}" if query else "")

    def logs(self) -> str:
        """The end of what each member wrote."""
        return "\n".join(f"--- {member}\n{member.log()[-3000:]}" for member in self.members)

    def remove(self) -> None:
        """Kill and delete everything."""
        for member in self.members:
            member.remove()
        _standing.discard(self)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT
        while not done():
            if time.monotonic() > deadline:
                raise BrokerError(f"{what}: not within {LIMIT:g} s\n{self.logs()}")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.remove()


class Pair(_Members):
    """A primary and its backup.

    Args:
        kind: `SHARED_STORE` or `REPLICATED`.
        generation: Of both halves, or one for each.
        failback: A primary that comes back takes over again from its backup; else it waits as its backup's backup.
        failover_on_shutdown: The backup takes over as well when the live broker is stopped in order.
    """

    def __init__(
        self,
        kind: str,
        generation: str | tuple[str, str],
        settings: BrokerSettings | None = None,
        *,
        failback: bool = False,
        failover_on_shutdown: bool = False,
        ports: tuple[int, int] | None = None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        self.kind = kind
        settings = settings or BrokerSettings()
        generations = (generation, generation) if isinstance(generation, str) else generation
        ports = ports or (free_port(), free_port())
        self._store = Path(tempfile.mkdtemp(prefix="activeclient-pair-")) if kind == SHARED_STORE else None
        if self._store is not None:
            processes.own_folder(self._store)
        policies = _policies(kind, failback=failback, failover_on_shutdown=failover_on_shutdown)
        members: list[LocalBroker] = []
        super().__init__(members)
        try:
            for index, name in enumerate(("primary", "backup")):
                membership = Membership((ports[1 - index],), policies[index], "OFF", name)
                of_half = replace(settings, cluster=membership)
                members.append(LocalBroker(generations[index], of_half, port=ports[index], data=self._store))
        except BaseException:
            self.remove()
            raise
        self.primary, self.backup = members

    def start(self) -> None:
        """Start the primary, then the backup; return when the backup could take over."""
        self.primary.start(LIMIT)
        self.restore(self.backup)

    @property
    def live(self) -> LocalBroker:
        """The half that serves clients; BrokerError when none does."""
        for member in self.members:
            if member.running() and answers(member.host, member.port, timeout=5.0):
                return member
        raise BrokerError(f"no half of the pair serves\n{self.logs()}")

    def other(self, member: LocalBroker) -> LocalBroker:
        """The other half."""
        return self.backup if member is self.primary else self.primary

    def kill_live(self) -> LocalBroker:
        """End the live half by SIGKILL and return it, at once; `wait_live` waits for the other."""
        killed = self.live
        killed.kill()
        return killed

    def wait_live(self, member: LocalBroker) -> None:
        """Return when *member* serves clients."""
        self._wait(lambda: self._alive(member) and self.serves(member), f"{member} takes over")

    def serves(self, member: LocalBroker) -> bool:
        """Whether *member* is the live half."""
        return member.running() and answers(member.host, member.port)

    def restore(self, member: LocalBroker) -> None:
        """Start a half that does not run; return when it could take over from the other one."""
        begin = len(member.log())
        member.launch()
        self._wait(
            lambda: self._alive(member) and _STANDS_BY[self.kind].search(member.log(), begin) is not None,
            f"{member} stands by",
        )

    def _alive(self, member: LocalBroker) -> bool:
        if not member.running():
            raise BrokerError(f"{member} ended: {member.log()[-3000:]}")
        return True

    def remove(self) -> None:
        super().remove()
        if self._store is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._store)
            processes.disown_folder(self._store)

    def __repr__(self) -> str:
        return f"<Pair {self.kind} {'/'.join(member.generation for member in self.members)}>"


class Cluster(_Members):
    """Two live nodes that know each other; messages go to the node that has consumers, unless *balancing* is `OFF`."""

    def __init__(
        self,
        generation: str,
        settings: BrokerSettings | None = None,
        *,
        balancing: str = "OFF",
        ports: tuple[int, int] | None = None,
    ) -> None:
        settings = settings or BrokerSettings()
        ports = ports or (free_port(), free_port())
        members: list[LocalBroker] = []
        super().__init__(members)
        try:
            for index, name in enumerate(("one", "two")):
                membership = Membership((ports[1 - index],), "", balancing, name)
                members.append(LocalBroker(generation, replace(settings, cluster=membership), port=ports[index]))
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Start both; return when each has found the other."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait_ready(LIMIT)
        # AMQ221027: bridge to the other node is connected.
        self._wait(lambda: all("AMQ221027" in member.log() for member in self.members), "the nodes find each other")


def _policies(kind: str, *, failback: bool, failover_on_shutdown: bool) -> tuple[str, str]:
    """The policies of primary and backup."""
    back = f"<allow-failback>{str(failback).lower()}</allow-failback>"
    shutdown = f"<failover-on-shutdown>{str(failover_on_shutdown).lower()}</failover-on-shutdown>"
    if kind == SHARED_STORE:
        return (
            f"<shared-store><primary>{shutdown}</primary></shared-store>",
            f"<shared-store><backup>{back}{shutdown}</backup></shared-store>",
        )
    group = "<group-name>pair</group-name>"
    return (
        f"<replication><primary>{group}<check-for-active-server>true</check-for-active-server></primary></replication>",
        f"<replication><backup>{group}{back}</backup></replication>",
    )
