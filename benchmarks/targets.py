"""What activeclient is held to, as data, and the verdicts of a run.

Law of this file: a target that was not measured says so; it is never met by silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.plan import work
from benchmarks.stats import Key, Results
from benchmarks.table import markdown, number


@dataclass(frozen=True, slots=True)
class Target:
    """The metric of our row `key`, or its ratio to the row `base`, is to be at least or at most `bound`.

    `scale` leads from the metric to the unit in `text`.
    """

    text: str
    key: Key
    metric: str
    relation: str
    bound: float
    base: Key | None = None
    scale: float = 1.0

    def value(self, results: Results) -> float | None:
        """What was measured; None when it was not."""
        if self.base is not None:
            return results.ratio(self.key, self.base, self.metric)
        median = results.rows[self.key].median(self.metric) if self.key in results.rows else None
        return None if median is None else median * self.scale

    def verdict(self, results: Results) -> str:
        """`met`, `missed` or `not measured`."""
        value = self.value(results)
        if value is None:
            return "not measured"
        return "met" if (value >= self.bound if self.relation == "at least" else value <= self.bound) else "missed"


def _against_java(work_name: str, ours: str, java: str, metric: str, relation: str, bound: float, text: str) -> Target:
    return Target(text, Key(work_name, "ours", ours), metric, relation, bound, Key(work_name, "java", java))


def _targets() -> list[Target]:
    targets = []
    sends, receives = work("send", 1024, True), work("receive", 1024, True)
    for durable in (True, False):
        sending, receiving = work("send", 1024, durable), work("receive", 1024, durable)
        targets += [
            _against_java(
                sending, "default", "default", "rate", "at least", 2.0, f"{sending}: rate by Java's, defaults"
            ),
            _against_java(
                sending, "unlimited", "unlimited", "rate", "at least", 1.0, f"{sending}: the same, no producer window"
            ),
            _against_java(
                receiving, "each", "each", "rate", "at least", 2.0, f"{receiving}: rate by Java's, an ack each"
            ),
            _against_java(receiving, "batched", "batched", "rate", "at least", 1.0, f"{receiving}: the same, batched"),
        ]
    idle = Key("after start, idle", "ours")
    trip, first = work("round trip", 1024, False), work("first message", 1024, True)
    cut = Key("reset of the connection", "ours", "window")
    return [
        *targets,
        _against_java(sends, "default", "default", "cpu_100k", "at most", 0.5, f"{sends}: CPU by Java's"),
        Target(f"{sends}: CPU s per 100,000", Key(sends, "ours", "default"), "cpu_100k", "at most", 0.65),
        _against_java(receives, "each", "each", "cpu_100k", "at most", 0.5, f"{receives}: CPU by Java's"),
        Target(
            f"{receives}: CPU s per 100,000, an ack each", Key(receives, "ours", "each"), "cpu_100k", "at most", 0.5
        ),
        Target(
            f"{sends}: CPU by stomp.py's with receipts",
            Key(sends, "ours", "default"),
            "cpu_100k",
            "at most",
            1 / 3,
            Key(sends, "stomp", "receipts"),
        ),
        _against_java(trip, "", "", "p50", "at most", 1.0, f"{trip}: p50 by Java's"),
        Target(f"{first}: confirmed, s after process start", Key(first, "ours"), "confirmed", "at most", 0.2),
        Target("resident memory after start, MB", idle, "rss", "at most", 30.0),
        Target("1,000 connections: threads added", Key("1,000 connections", "ours"), "threads", "at most", 16.0),
        Target("continuing after a cut, median, ms", cut, "p50", "at most", 10.0, scale=0.001),
    ]


TARGETS: tuple[Target, ...] = tuple(_targets())


def verdicts(results: Results, targets: Sequence[Target] = TARGETS) -> str:
    """The table of targets."""
    rows = []
    for target in targets:
        bound = f"{target.relation} {number(target.bound)}{'x' if target.base else ''}"
        value = target.value(results)
        shown = number(value) + ("x" if target.base and value is not None else "")
        rows.append([target.text, bound, shown, target.verdict(results)])
    return markdown(["target", "bound", "measured", "verdict"], rows)
