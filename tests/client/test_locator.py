from __future__ import annotations

import copy
import pickle
import random
import threading
from collections.abc import Callable, Iterator

import pytest

from activeclient.broker.embedded import EmbeddedBroker
from activeclient.client import locator as module
from activeclient.client.locator import ServerLocator, begin_with
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import ClosedError, ConfigError
from activeclient.events import Endpoint

HOSTS = tuple(Endpoint(host=name, port=1) for name in "abc")


def test_the_first_element_keeps_the_order_of_the_url() -> None:
    assert begin_with("FirstElement", HOSTS, 5, random.Random(1)) == HOSTS


def test_round_robin_takes_the_next_host_for_each_connection() -> None:
    assert [begin_with("RoundRobin", HOSTS, turn, random.Random(1))[0].host for turn in range(4)] == [
        "a",
        "b",
        "c",
        "a",
    ]


@pytest.mark.parametrize("policy", ["RoundRobin", "Random", "RandomSticky", "FirstElement"])
def test_every_policy_keeps_all_hosts(policy: str) -> None:
    assert sorted(host.host for host in begin_with(policy, HOSTS, 7, random.Random(3))) == ["a", "b", "c"]


def test_random_sticky_stays_with_its_host_when_others_become_known() -> None:
    found = set()
    for taste in range(30):
        stuck = begin_with("RandomSticky", HOSTS, 0, random.Random(1), taste)[0]
        found.add(stuck)
        for turn, known in enumerate((HOSTS[::-1], (stuck,), HOSTS)):
            assert begin_with("RandomSticky", known, turn, random.Random(turn), taste)[0] == stuck
    assert found == set(HOSTS)


def test_settings_are_attributes_by_their_name() -> None:
    locator = ServerLocator("tcp://localhost:1?retryInterval=7")
    assert locator.retry_interval == 7
    locator.retry_interval = 9
    assert locator.retry_interval == 9
    with pytest.raises(ConfigError):
        locator.retry_interval = -9
    with pytest.raises(ConfigError):
        locator.no_such_thing = 1


def test_a_closed_locator_refuses() -> None:
    locator = ServerLocator()
    locator.close()
    with pytest.raises(ClosedError):
        locator.create_session_factory()


@pytest.fixture
def url() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.url


def test_a_locator_closed_while_a_connection_is_made_closes_that_one_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    locator = ServerLocator(url)
    made: list[ClientSessionFactory] = []

    def slowly(*args: object, **kwargs: object) -> ClientSessionFactory:
        made.append(ClientSessionFactory(*args, **kwargs))  # type: ignore[arg-type]
        locator.close()  # as another thread may, before the locator knows of the factory
        return made[0]

    monkeypatch.setattr(module, "ClientSessionFactory", slowly)
    with pytest.raises(ClosedError):
        locator.create_session_factory()
    assert made[0].is_closed
    assert not made[0].pump.connected


def test_threads_that_connect_at_once_all_get_a_connection_that_the_locator_closes(url: str) -> None:
    locator = ServerLocator(url)
    made: list[ClientSessionFactory] = []

    def connect() -> None:
        for turn in range(10):
            factory = locator.create_session_factory()
            made.append(factory)
            if turn % 2:
                factory.close()

    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([factory for factory in made if not factory.is_closed]) == 40
    locator.close()
    assert all(factory.is_closed for factory in made)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_copy_has_the_settings_and_not_the_connections(
    url: str, copied: Callable[[ServerLocator], ServerLocator]
) -> None:
    with ServerLocator(url, retry_interval=7) as locator, locator.create_session_factory() as factory:
        with copied(locator) as other:
            assert other.retry_interval == 7
            assert repr(other) == repr(locator)
        assert not factory.is_closed


def test_its_repr_shows_no_password() -> None:
    assert "marker" not in repr(ServerLocator("tcp://localhost:1?user=u&password=marker"))
