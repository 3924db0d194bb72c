from __future__ import annotations

import random

import pytest

from activeclient.client.locator import ServerLocator, begin_with
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


def test_its_repr_shows_no_password() -> None:
    assert "marker" not in repr(ServerLocator("tcp://localhost:1?user=u&password=marker"))
