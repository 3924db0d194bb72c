"""Fixtures: brokers of each generation, links with faults, a cutter, and a guard against leaks.

Law: a test leaves no thread, no child process and no socket behind, and a server that is missing fails the tests in CI.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from activeclient.testing.cutter import Cutter
from integration.artemis import EMBEDDED, GENERATIONS, Broker
from integration.configuration import BrokerSettings
from integration.differences import DIFFERENCES
from integration.faults import Faults, Link
from integration.interrupts import hear_interrupts
from integration.leaks import Leaks
from integration.provision import in_ci, private_broker, shared_broker, toxiproxy_server
from integration.toolchain import UnavailableError
from integration.toxiproxy_server import ToxiproxyServer

MakeBroker = Callable[..., Broker]
hear_interrupts()
BROKERS = (*GENERATIONS, EMBEDDED)
BROKER_IDS = [*(f"artemis-{generation}" for generation in GENERATIONS), EMBEDDED]


def pytest_itemcollected(item: pytest.Item) -> None:
    """What the embedded broker does differently on purpose must fail on it."""
    marker = item.get_closest_marker("differs")
    callspec = getattr(item, "callspec", None)
    if marker is not None and callspec is not None and EMBEDDED in callspec.params.values():
        item.add_marker(pytest.mark.xfail(strict=True, reason=DIFFERENCES[marker.args[0]]))


def missing(failure: UnavailableError) -> NoReturn:
    """What a test needs cannot be had: a failure in CI, else a reason to skip."""
    if in_ci():
        pytest.fail(f"CI must have it: {failure}", pytrace=False)
    pytest.skip(str(failure))


@pytest.fixture(scope="session", params=BROKERS, ids=BROKER_IDS)
def artemis(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running broker of each kind, shared by the session: use names of your own, do not stop it."""
    try:
        broker = shared_broker(request.param)
    except UnavailableError as failure:
        missing(failure)
    with broker:
        yield broker


@pytest.fixture
def broker_url(artemis: Broker) -> str:
    """`tcp://host:port` of the shared broker."""
    return artemis.url()


@pytest.fixture(params=BROKERS, ids=BROKER_IDS)
def private_broker_of(request: pytest.FixtureRequest) -> Iterator[MakeBroker]:
    """`make(settings=None)`: started brokers of the test's own, of each kind, removed at its end."""
    with contextlib.ExitStack() as brokers:

        def make(settings: BrokerSettings | None = None) -> Broker:
            try:
                broker = brokers.enter_context(private_broker(request.param, settings))
                broker.start()
            except UnavailableError as failure:
                missing(failure)
            return broker

        yield make


@pytest.fixture(name="private_broker")
def _private_broker(private_broker_of: MakeBroker) -> Broker:
    """A running broker of each kind that the test may stop, kill and restart."""
    return private_broker_of()


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[ToxiproxyServer]:
    """The Toxiproxy server of the session."""
    try:
        server = toxiproxy_server()
    except UnavailableError as failure:
        missing(failure)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def faults(toxiproxy: ToxiproxyServer) -> Iterator[Faults]:
    """Makes links: `faults.link(host, port)`; they are removed after the test."""
    with Faults(toxiproxy) as made:
        yield made


@pytest.fixture
def proxied(artemis: Broker, faults: Faults) -> Link:
    """A Toxiproxy link to the shared broker."""
    return faults.link(artemis.host, artemis.port)


@pytest.fixture
def cutter(artemis: Broker) -> Iterator[Cutter]:
    """A cutter before the shared broker."""
    with Cutter(artemis.host, artemis.port) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    # pytest sets up fixtures of wider scope first: the servers that they start are no leak of the test.
    leaks = Leaks()
    yield
    left = leaks.left(timeout=15.0)
    if left:
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)
