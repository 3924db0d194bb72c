"""Real pairs and clusters: whom a client learns of, where its connections go, and where they go on."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from activeclient import ActiveMQXAConnectionFactory, ServerLocator, connect
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import ReconnectGaveUp
from activeclient.events import Event, TopologyChanged
from activeclient.jms.xa import Vote, new_xid
from activeclient.testing import wait_until
from integration.artemis import GENERATIONS, LocalBroker
from integration.chaos.traffic import fresh
from integration.clusters import REPLICATED, SHARED_STORE, Cluster, Pair
from integration.conftest import missing
from integration.toolchain import UnavailableError

PATIENCE = 120.0
QUICK = {"retryInterval": 50, "callTimeout": 120_000, "callFailoverTimeout": 600_000}

pytestmark = pytest.mark.timeout(600)


def port_of(factory: ClientSessionFactory) -> int:
    """Where a connection is."""
    endpoint = factory.engine.link.endpoint
    assert endpoint is not None
    return endpoint.port


def url_of(member: LocalBroker, host: str | None = None, **parameters: object) -> str:
    """The URL of one broker alone."""
    query = "&".join(f"{key}={value}" for key, value in {**QUICK, **parameters}.items())
    return f"tcp://{host or member.host}:{member.port}?{query}"


@contextlib.contextmanager
def provided(make: Callable[[], Pair | Cluster]) -> Iterator[Pair | Cluster]:
    """What *make* makes, started; or the test is skipped."""
    try:
        made = make()
    except UnavailableError as failure:
        missing(failure)
    with made:
        made.start()
        yield made


# --- two nodes ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=GENERATIONS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two live nodes, of each generation; a test that ends one starts it again."""
    with provided(lambda: Cluster(request.param)) as made:
        assert isinstance(made, Cluster)
        yield made


@pytest.mark.parametrize(
    ("policy", "all_on_one"), [("RoundRobin", False), ("Random", False), ("RandomSticky", True), ("FirstElement", True)]
)
def test_connections_are_spread_over_the_nodes_as_the_policy_says(
    cluster: Cluster, policy: str, all_on_one: bool
) -> None:
    one, two = (member.port for member in cluster.members)
    url = url_of(cluster.members[1], connectionLoadBalancingPolicyClassName=policy, user="admin", password="admin")
    with ServerLocator(url) as locator:
        first = locator.create_session_factory()
        assert port_of(first) == two  # the only host that is known so far
        wait_until(lambda: len(first._members()) == 2, PATIENCE)
        later = Counter(port_of(locator.create_session_factory()) for _ in range(16))
    if policy == "RoundRobin":
        assert later == {one: 8, two: 8}
    elif policy == "FirstElement":
        assert later == {two: 16}
    elif all_on_one:
        assert len(later) == 1
    else:
        assert set(later) == {one, two}  # fails by chance once in 32,768 runs


def test_without_the_topology_they_stay_where_the_url_says(cluster: Cluster) -> None:
    one = cluster.members[0]
    with ServerLocator(url_of(one, useTopologyForLoadBalancing="false")) as locator:
        assert {port_of(locator.create_session_factory()) for _ in range(4)} == {one.port}


def test_when_a_node_is_lost_the_other_one_is_tried_if_that_is_wanted(cluster: Cluster) -> None:
    one, two = cluster.members
    with (
        connect(url_of(one, ha="true", reconnectAttempts=2, failoverAttempts=-1)) as staying,
        connect(
            url_of(one, ha="true", reconnectAttempts=2, failoverAttempts=-1, useTopologyForLoadBalancing="false")
        ) as alone,
        staying.create_session() as session,
    ):
        # The session makes the queue anew on a node that does not have it.
        queue = session.create_queue(fresh("cluster"))
        consumer = session.create_consumer(queue)
        producer = session.create_producer(queue)
        wait_until(lambda: len(staying.factory._members()) == 2, PATIENCE)
        one.kill()
        try:
            producer.send("on the other node")
            assert port_of(staying.factory) == two.port
            message = consumer.receive(timeout=PATIENCE)
            assert message is not None
            assert message.text == "on the other node"
            wait_until(lambda: alone.factory.is_closed, PATIENCE)
            with pytest.raises(ReconnectGaveUp):
                alone.factory.wait_until_connected(PATIENCE)
        finally:
            one.start(PATIENCE)


# --- pairs ----------------------------------------------------------------------------------------------------------

PAIRS = ((SHARED_STORE, "2.44"), (REPLICATED, "2.57"))


@pytest.fixture(scope="module", params=PAIRS, ids=" ".join)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A pair; a test that ends a half has it stand by again."""
    with provided(lambda: Pair(*request.param)) as made:
        assert isinstance(made, Pair)
        yield made


def told_of(factory: ClientSessionFactory) -> list[TopologyChanged]:
    """A list that grows with what the broker tells."""
    told: list[TopologyChanged] = []

    def note(event: Event) -> None:
        if isinstance(event, TopologyChanged):
            told.append(event)

    factory.add_event_listener(note)
    return told


def test_the_backup_is_learned_where_only_the_live_broker_is_named(pair: Pair) -> None:
    live = pair.live
    other = pair.other(live)
    host = {SHARED_STORE: "localhost", REPLICATED: "[::ffff:127.0.0.1]"}[pair.kind]  # the broker says 127.0.0.1
    with connect(url_of(live, host)) as connection, connection.create_session() as session:
        told = told_of(connection.factory)
        wait_until(lambda: connection.factory.engine.endpoints.told, PATIENCE)
        queue = session.create_queue(fresh("backup"))
        producer = session.create_producer(queue)
        producer.send("before")
        live.kill()
        producer.send("after")  # waits until the backup has taken over
        assert port_of(connection.factory) == other.port
        with connect(pair.url(ha="true")) as newcomer:  # whichever half is live, and named first
            assert port_of(newcomer.factory) == other.port
        consumer = session.create_consumer(queue)
        assert [consumer.receive(timeout=PATIENCE).text for _ in range(2)] == ["before", "after"]
        # The pair keeps its id and changes its roles, and is told once the other half stands by again.
        wait_until(lambda: any(_ports(event) == (other.port, None) for event in told), PATIENCE)
        pair.restore(live)
        wait_until(lambda: any(_ports(event) == (other.port, live.port) for event in told), PATIENCE)
        assert len({event.node_id for event in told}) == 1
        # So the way back is known too.
        other.kill()
        producer.send("back again")
        assert port_of(connection.factory) == live.port
        assert consumer.receive(timeout=PATIENCE).text == "back again"
        pair.restore(other)


def _ports(event: TopologyChanged) -> tuple[int | None, int | None]:
    primary, backup = event.primary, event.backup
    return None if primary is None else primary.port, None if backup is None else backup.port


def test_doctor_tells_of_the_pair(pair: Pair) -> None:
    live = pair.live
    ended = subprocess.run(
        [sys.executable, "-m", "activeclient", "doctor", "--json", "--timeout", "60", pair.url(profile="reliable")],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert ended.stdout, ended.stderr
    told = json.loads(ended.stdout)
    (broker,) = [host["broker"] for host in told["hosts"] if host["broker"] is not None]
    (node,) = broker["nodes"]
    other = pair.other(live)
    assert (node["live"], node["backup"]) == (f"{live.host}:{live.port}", f"{other.host}:{other.port}")
    about = [finding["level"] for finding in told["findings"] if f":{other.port}" in finding["text"]]
    assert about == ["note"]


def test_large_messages_and_prepared_branches_outlive_a_take_over(pair: Pair) -> None:
    live = pair.live
    large = bytes(range(256)) * 1200
    factory = ActiveMQXAConnectionFactory(pair.url(ha="true", profile="reliable", **QUICK))
    with (
        factory.create_xa_connection() as connection,
        connection.create_session() as session,
        connection.create_xa_session() as branches,
    ):
        connection.start()
        source, target = session.create_queue(fresh("large")), session.create_queue(fresh("prepared"))
        session.create_producer(source).send(large)
        xid = new_xid()
        with branches.xa_resource.branch(xid):
            branches.create_producer(target).send("prepared")
        assert branches.xa_resource.prepare(xid) is Vote.OK
        live.kill()
        pair.wait_live(pair.other(live))
        message = session.create_consumer(source).receive(timeout=PATIENCE)
        assert message is not None
        assert message.body == large
        assert branches.xa_resource.recover() == [xid]
        branches.xa_resource.commit(xid)
        consumer = session.create_consumer(target)
        found = consumer.receive(timeout=PATIENCE)
        assert found is not None
        assert found.text == "prepared"
        assert consumer.receive(timeout=0) is None
    pair.restore(live)


def test_a_primary_that_comes_back_takes_over_again_and_connections_follow() -> None:
    with provided(lambda: Pair(SHARED_STORE, "2.57", failback=True, failover_on_shutdown=True)) as pair:
        assert isinstance(pair, Pair)
        with connect(pair.url(ha="true", **QUICK)) as connection, connection.create_session() as session:
            queue = session.create_queue(fresh("failback"))
            producer, consumer = session.create_producer(queue), session.create_consumer(queue)
            producer.send("one")
            pair.primary.stop()  # in order: the backup takes over because it is told to
            producer.send("two")
            assert port_of(connection.factory) == pair.backup.port
            pair.primary.launch()
            wait_until(
                lambda: port_of(connection.factory) == pair.primary.port and connection.factory.is_connected, PATIENCE
            )
            producer.send("three")
            assert [consumer.receive(timeout=PATIENCE).text for _ in range(3)] == ["one", "two", "three"]


def test_a_pair_of_two_generations_is_upgraded_half_by_half() -> None:
    with provided(lambda: Pair(SHARED_STORE, ("2.44", "2.57"))) as pair:
        assert isinstance(pair, Pair)
        with connect(pair.url(ha="true", **QUICK)) as connection, connection.create_session() as session:
            queue = session.create_queue(fresh("upgrade"))
            producer, consumer = session.create_producer(queue), session.create_consumer(queue)
            for number, (member, reattaches) in enumerate(((pair.primary, True), (pair.backup, False))):
                producer.send(f"on {member.generation}")
                assert port_of(connection.factory) == member.port
                assert connection.factory.engine.reattaches is reattaches
                message = consumer.receive(timeout=PATIENCE)
                assert message is not None
                assert message.text == f"on {member.generation}"
                if number == 0:
                    member.kill()
                    pair.wait_live(pair.backup)
