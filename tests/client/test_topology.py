"""Brokers of a cluster: new connections are spread over them, and an outage goes on to them when that is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from activeclient import ServerLocator
from activeclient.client import session_factory
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import ReconnectGaveUp
from activeclient.testing import wait_until
from activeclient.wire.fields import TransportConfiguration
from activeclient.wire.packets import ClusterTopology, SubscribeTopology
from tests.hostile.server import Conversation, HostileServer

PATIENCE = 30.0
Nodes = list[tuple[str, int | None, int | None]]
"""Id, port of the live broker, port of its backup."""


class Cluster:
    """Servers that tell of nodes, as a test changes them."""

    def __init__(self, count: int) -> None:
        self.host = "127.0.0.1"
        self.nodes: Nodes = []
        self.servers = [HostileServer(self._script) for _ in range(count)]
        self.ports = [server.port for server in self.servers]

    def _script(self, talk: Conversation) -> None:
        def tell(*_: object) -> None:
            for index, (node, live, backup) in enumerate(self.nodes):
                last = index == len(self.nodes) - 1
                talk.say(ClusterTopology(False, node, 1, self._at(live), self._at(backup), last), 0)

        talk.on[SubscribeTopology] = tell
        talk.serve()

    def _at(self, port: int | None) -> TransportConfiguration | None:
        return None if port is None else TransportConfiguration("c", "f", {"host": self.host, "port": str(port)})

    def end(self, index: int) -> None:
        """As by a power cut."""
        self.servers[index].close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(3)
    yield made
    for server in made.servers:
        server.close()


def port_of(factory: ClientSessionFactory) -> int:
    endpoint = factory.engine.link.endpoint
    assert endpoint is not None
    return endpoint.port


def test_connections_of_one_locator_are_spread_over_the_cluster(cluster: Cluster) -> None:
    one, two, three = cluster.ports
    cluster.nodes = [("a", one, None), ("b", two, None), ("c", three, None)]
    with ServerLocator(f"tcp://127.0.0.1:{one}") as locator:
        made = [port_of(locator.create_session_factory()) for _ in range(7)]
    assert made[0] == one
    assert Counter(made[1:]) == {one: 2, two: 2, three: 2}


@pytest.mark.parametrize(
    "more", ["useTopologyForLoadBalancing=false", "connectionLoadBalancingPolicyClassName=FirstElement"]
)
def test_they_stay_where_the_settings_say_so(cluster: Cluster, more: str) -> None:
    one, two, _ = cluster.ports
    cluster.nodes = [("a", one, None), ("b", two, None)]
    with ServerLocator(f"tcp://127.0.0.1:{one}?{more}") as locator:
        assert {port_of(locator.create_session_factory()) for _ in range(5)} == {one}


def test_a_member_that_cannot_be_reached_costs_the_next_one_and_at_last_the_host_of_the_url(cluster: Cluster) -> None:
    one, two, three = cluster.ports
    cluster.nodes = [("a", two, None), ("b", three, None)]  # as behind a proxy: the URL's is none of them
    with ServerLocator(f"tcp://127.0.0.1:{one}?retryInterval=1") as locator:
        assert port_of(locator.create_session_factory()) == one
        assert port_of(locator.create_session_factory()) in (two, three)
        cluster.end(1)
        cluster.end(2)
        assert port_of(locator.create_session_factory()) == one


def test_without_a_connection_that_stands_the_hosts_of_the_url_count(cluster: Cluster) -> None:
    one, two, _ = cluster.ports
    cluster.nodes = [("a", one, None), ("b", two, None)]
    with ServerLocator(f"tcp://127.0.0.1:{one}") as locator:
        for _ in range(4):
            with locator.create_session_factory() as factory:
                assert port_of(factory) == one


QUICK = "retryInterval=1&reconnectAttempts=2&clientFailureCheckPeriod=200&connectionTTL=1000"


@pytest.mark.parametrize("attempts", [-1, 3])
def test_when_the_own_pair_is_lost_the_others_are_tried(cluster: Cluster, attempts: int) -> None:
    one, two, _ = cluster.ports
    cluster.nodes = [("a", one, None), ("b", two, None)]
    with ServerLocator(f"tcp://127.0.0.1:{one}?{QUICK}&ha=true&failoverAttempts={attempts}") as locator:
        factory = locator.create_session_factory()
        session = factory.create_session()
        assert port_of(factory) == one
        wait_until(lambda: len(factory._members()) == 2, PATIENCE)
        cluster.end(0)
        wait_until(lambda: factory.is_connected and port_of(factory) == two, PATIENCE)
        assert session.query_queue("q").exists


@pytest.mark.parametrize("more", ["failoverAttempts=0", "failoverAttempts=-1&useTopologyForLoadBalancing=false"])
def test_else_it_is_given_up(cluster: Cluster, more: str) -> None:
    one, two, _ = cluster.ports
    cluster.nodes = [("a", one, None), ("b", two, None)]
    with ServerLocator(f"tcp://127.0.0.1:{one}?{QUICK}&ha=true&{more}") as locator:
        factory = locator.create_session_factory()
        wait_until(lambda: len(factory._members()) == 2, PATIENCE)
        cluster.end(0)
        wait_until(lambda: factory.is_closed, PATIENCE)
        with pytest.raises(ReconnectGaveUp):
            factory.wait_until_connected(PATIENCE)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("other", [False, True], ids=["one pair", "several"])
def test_the_backup_is_found_by_whatever_name_we_came(cluster: Cluster, host: str, other: bool) -> None:
    one, two, three = cluster.ports
    cluster.nodes = [("a", one, two)] + ([("b", three, None)] if other else [])
    with ServerLocator(f"tcp://{host}:{one}?{QUICK}&reconnectAttempts=-1") as locator:
        factory = locator.create_session_factory()
        wait_until(lambda: len(factory._members()) == len(cluster.nodes), PATIENCE)
        wait_until(lambda: not factory.engine.endpoints.unresolved(), PATIENCE)
        cluster.end(0)
        wait_until(lambda: factory.is_connected and port_of(factory) == two, PATIENCE)


def test_the_backup_is_found_behind_a_proxy_too(cluster: Cluster) -> None:
    one, two, three = cluster.ports
    cluster.nodes = [("a", three, two)]  # the live one has another port than the one that we know
    with ServerLocator(f"tcp://127.0.0.1:{one}?{QUICK}&reconnectAttempts=-1") as locator:
        factory = locator.create_session_factory()
        wait_until(lambda: len(factory._members()) == 1, PATIENCE)
        cluster.end(0)
        wait_until(lambda: factory.is_connected and port_of(factory) == two, PATIENCE)


def test_with_neither_ha_nor_topology_the_hosts_of_the_url_are_all(cluster: Cluster) -> None:
    one, two, _ = cluster.ports
    cluster.nodes = [("a", one, two)]
    with ServerLocator(f"tcp://127.0.0.1:{one}?{QUICK}&ha=false&useTopologyForLoadBalancing=false") as locator:
        factory = locator.create_session_factory()
        wait_until(lambda: factory.engine.endpoints.told, PATIENCE)
        cluster.end(0)
        wait_until(lambda: factory.is_closed, PATIENCE)


def test_a_look_up_that_fails_changes_nothing(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fails(host: str) -> frozenset[str]:
        asked.append(host)
        return frozenset()

    monkeypatch.setattr(session_factory, "addresses_of", fails)
    one, two, three = cluster.ports
    cluster.host = "no-such-host.invalid"
    cluster.nodes = [("a", one, two), ("b", three, None)]
    with ServerLocator(f"tcp://127.0.0.1:{one}?{QUICK}") as locator:
        factory = locator.create_session_factory()
        wait_until(lambda: sorted(asked) == ["127.0.0.1", "no-such-host.invalid"], PATIENCE)
        assert factory.is_connected
