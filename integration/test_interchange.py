"""Messages between our client and Artemis' Java JMS client on one broker: each sees what the other sent.

Every message goes four ways (Java to Java, Java to us, us to Java, us to us). What Java sees of Java's messages is what
the other three are measured by, and each is compared with its description and with what its sender sees after the send.
The deliberate differences are `integration.interchange.compare.DIFFERENCES`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from integration.artemis import Broker
from integration.conftest import missing
from integration.interchange.cases import CASES, LARGE, MIDDLING, REFUSED
from integration.interchange.compare import DIFFERENCES, mismatches
from integration.interchange.exchange import ROUTES, Exchange, Seen, remove_queues
from integration.interchange.java_peer import JavaPeer
from integration.interchange.notation import Description
from integration.interchange.strategies import descriptions
from integration.toolchain import UnavailableError
from tests.pages import ROOT

Results = dict[str, dict[str, Seen]]
RANDOM_MESSAGES = 300


@pytest.fixture(scope="module")
def java() -> Iterator[JavaPeer]:
    """One Java process for the module."""
    try:
        peer = JavaPeer()
    except UnavailableError as failure:
        missing(failure)
    with peer:
        yield peer


def exchanged(java: JavaPeer, artemis: Broker, batch: dict[str, Description], **parameters: object) -> Results:
    """The batch over all routes; its queues are removed."""
    exchange = Exchange(java, artemis.url(**parameters))
    try:
        return exchange.of(batch)
    finally:
        remove_queues(artemis.url(), exchange.used)


def of_case(results: Results, name: str) -> dict[str, Seen]:
    return {route: results[route][name] for route in ROUTES}


def check(described: Description, results: Results, name: str) -> None:
    found = mismatches(described, of_case(results, name))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.fixture(scope="module")
def small(java: JavaPeer, artemis: Broker) -> Results:
    """All cases that fit a frame, exchanged once for each broker."""
    return exchanged(java, artemis, {**CASES, **REFUSED})


@pytest.fixture(scope="module", params=["plain", "compressed"])
def large(java: JavaPeer, artemis: Broker, request: pytest.FixtureRequest) -> Results:
    """All large messages, and middling ones that are made large."""
    compress = str(request.param == "compressed").lower()
    batch = {**LARGE, **MIDDLING}
    return exchanged(java, artemis, batch, minLargeMessageSize=1000, compressLargeMessage=compress)


@pytest.mark.parametrize("name", CASES)
def test_both_clients_see_the_same_message(small: Results, name: str) -> None:
    check(CASES[name], small, name)


@pytest.mark.parametrize("name", REFUSED)
def test_both_clients_refuse_the_same(small: Results, name: str) -> None:
    for route in ROUTES:
        assert "error" in small[route][name].sent, f"{route}: it was sent"


@pytest.mark.parametrize("name", [*LARGE, *MIDDLING])
def test_both_clients_see_the_same_large_message(large: Results, name: str) -> None:
    check({**LARGE, **MIDDLING}[name], large, name)


def test_hundreds_of_random_messages_in_one_batch(java: JavaPeer, artemis: Broker) -> None:
    batch: dict[str, Description] = {}

    @settings(
        max_examples=RANDOM_MESSAGES, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
    )
    @given(descriptions())
    def collect(described: Description) -> None:
        batch[str(len(batch))] = described

    collect()
    results = exchanged(java, artemis, batch)
    wrong = {name: found for name in batch if (found := mismatches(batch[name], of_case(results, name)))}
    worst = min(wrong, key=lambda name: len(str(batch[name])), default="")
    assert not wrong, f"{len(wrong)} of {len(batch)}; the smallest: {batch[worst]!a}: {wrong[worst]}"


def test_the_differences_are_documented() -> None:
    text = (ROOT / "docs" / "interchange.md").read_text(encoding="utf-8")
    for name in DIFFERENCES:
        assert name in text, f"docs/interchange.md must name the difference {name!r}"
