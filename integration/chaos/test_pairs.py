"""Pairs of brokers whose live half is killed under load, again and again: nothing is lost, nothing comes twice."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator

import pytest

from integration.artemis import GENERATIONS, LocalBroker
from integration.chaos.load import Load
from integration.chaos.pulse import SERIES, JavaPulse, OurPulse
from integration.chaos.report import Report
from integration.chaos.traffic import fresh
from integration.clusters import KINDS, Pair
from integration.conftest import missing
from integration.toolchain import UnavailableError

KILLS = int(os.environ.get("ACTIVECLIENT_HA_KILLS", "2"))
"""Kills of each pair; 20 and more are the long form, which also compares with Java's client."""
LONG = KILLS >= 20


@contextlib.contextmanager
def started(kind: str, generation: str) -> Iterator[Pair]:
    """A pair that serves, or the test is skipped."""
    try:
        pair = Pair(kind, generation)
    except UnavailableError as failure:
        missing(failure)
    with pair:
        pair.start()
        yield pair


class Killer:
    """Kills, and what became of the service."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.kills: list[tuple[float, float]] = []
        """When each was ordered, and when it was done, in seconds since the epoch."""
        self.took_over: list[float] = []
        """Seconds until the other half served."""

    def kill(self) -> LocalBroker:
        """Kill the live half and wait until the other one serves."""
        victim = self.pair.live
        ordered = time.time()
        victim.kill()
        self.kills.append((ordered, time.time()))
        self.pair.wait_live(self.pair.other(victim))
        self.took_over.append(time.time() - ordered)
        return victim


@pytest.mark.soak
@pytest.mark.timeout(300 + 60 * KILLS)
@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_alternating_kills_lose_and_repeat_nothing(kind: str, generation: str) -> None:
    with started(kind, generation) as pair:
        killer = Killer(pair)
        url = pair.url(ha="true", profile="reliable", callTimeout=120_000, callFailoverTimeout=600_000)
        load = Load(url)
        report = Report(f"{kind}, alternating SIGKILL", generation, load.ledgers, load.watches)
        try:
            with pulses(pair) as measured:
                for number in range(KILLS):
                    load.wait_for_traffic()
                    victim = killer.kill()
                    load.wait_for_traffic()
                    if number < KILLS - 1:
                        pair.restore(victim)
                load.stop()
                report.cuts = KILLS
                report.notes += compared(killer, measured)
        finally:
            load.close()
    for ledger in load.ledgers:
        ledger.losses.clear()  # a transaction that a kill met may be rolled back, or end as unknown
    report.check(reattached=False)


Measured = dict[str, "JavaPulse | OurPulse"]


@contextlib.contextmanager
def pulses(pair: Pair) -> Iterator[Measured]:
    """In the long form: both clients' pulses beside the load."""
    running: Measured = {}
    if not LONG:
        yield running
        return
    try:
        running["Java"] = JavaPulse(pair.url(ha="true", **SERIES), fresh("pulse.java"))
        running["ours"] = OurPulse(pair.url(ha="true", profile="reliable"), fresh("pulse.ours"))
        yield running
    finally:
        for pulse in running.values():
            pulse.kill()


def compared(killer: Killer, measured: Measured) -> list[str]:
    """Print what was measured; returns what is wrong."""
    wrong: list[str] = []
    print(f"\n{killer.pair}: the other half serves after {_shown(killer.took_over)}")
    continued: dict[str, list[float]] = {}
    for name, pulse in measured.items():
        notes = pulse.stop()
        continued[name] = notes.continued(killer.kills)
        print(
            f"  {name}: continues after {_shown(continued[name])}; {len(notes.sent)} sent, {notes.lost} lost,"
            f" {notes.duplicated} received twice"
        )
        if isinstance(pulse, JavaPulse) and notes.lost:
            print(pulse.errors)
        if name == "ours" and (notes.lost or notes.duplicated):
            wrong.append(f"the pulse lost {notes.lost} and got {notes.duplicated} twice")
    if continued and statistics.median(continued["ours"]) > statistics.median(continued["Java"]) * 1.1:
        wrong.append("Java's client goes on sooner")
    return wrong


def _shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[0]:.2f} to {ordered[-1]:.2f} s, {statistics.median(ordered):.2f} s in the median"
