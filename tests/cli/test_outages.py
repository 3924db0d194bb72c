"""What is made of a connection's events."""

from __future__ import annotations

from activeclient.cli.outages import Durations, Outages
from activeclient.errors import ConnectionLost, ReconnectGaveUp
from activeclient.events import (
    Closed,
    Detached,
    Endpoint,
    Event,
    GaveUp,
    Reconnected,
    ReplayConfirmed,
    SendFailed,
    SessionReattached,
    SessionRecreated,
)

HERE = Endpoint(host="h", port=1)
LOST = ConnectionLost("reset")


def heard(*events: Event) -> tuple[Outages, list[str], list[str]]:
    said: list[str] = []
    failed: list[str] = []
    outages = Outages(said.append, failed.append)
    for event in events:
        outages(event)
    return outages, said, failed


def test_a_reattachment_is_counted_with_its_parts() -> None:
    outages, said, failed = heard(
        Detached(LOST, HERE),
        SessionReattached("s", 10, 3, 4, 0.6, 0.1, 0.2, 0.3, 0.05),
        Reconnected(HERE, LOST, 1, 0, False, 1, 0.6),
        ReplayConfirmed("s", 10, 4, 0.7),
        Closed(),
    )
    assert (outages.lost, outages.back, outages.reattached, outages.recreated) == (1, 1, 1, 0)
    assert (outages.replayed, outages.spared) == (4, 3)
    parts = {part: durations.last for part, durations in outages.parts.items()}
    assert parts == {"detect": 0.05, "connect": 0.1, "reattach": 0.2, "settle": 0.3, "replay": 0.7}
    assert said == ["lost: reset", "back after 600.0 ms: 1 sessions reattached"]
    assert failed == []


def test_a_recreation_is_counted_as_one() -> None:
    outages, said, _ = heard(
        SessionRecreated("s", 10, LOST, 5, (), False), Reconnected(HERE, LOST, 1, 2, False, 3, 0.1)
    )
    assert (outages.recreated, outages.replayed) == (2, 5)
    assert said == ["back after 100.0 ms, at attempt 3: 1 sessions reattached and 2 sessions made anew"]


def test_what_must_not_happen_is_told_as_a_failure() -> None:
    _, _, failed = heard(GaveUp(ReconnectGaveUp("no attempts left"), 3), SendFailed(10, LOST))
    assert failed == ["gave up: no attempts left", "a send failed: reset"]


def test_durations_are_told_in_milliseconds() -> None:
    durations = Durations()
    assert durations.record() == {"last": None, "median": None, "longest": None}
    durations.values.extend([0.003, 0.001, 0.002])
    assert durations.record() == {"last": 2.0, "median": 2.0, "longest": 3.0}
