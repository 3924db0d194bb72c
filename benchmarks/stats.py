"""What the rounds of one case say together: medians, and ratios within a round.

Law of this file: a ratio is taken between two runs of the *same* round and only then is the median taken, so that a
machine that slows down between rounds moves both sides.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Key:
    """Which row: the work (`group`, one table), who did it and how."""

    group: str
    peer: str
    mode: str = ""


@dataclass(slots=True)
class Row:
    """The rounds of one key: the values of those that worked, the reasons of those that did not."""

    rounds: dict[int, Values] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)

    def median(self, metric: str) -> float | None:
        """The median of *metric* over the rounds that have it."""
        values = [value for values in self.rounds.values() if (value := measure(values, metric)) is not None]
        return statistics.median(values) if values else None


class Results:
    """All rows of a run, in the order in which they first came."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}

    def add(self, key: Key, number: int, values: Values) -> None:
        self.rows.setdefault(key, Row()).rounds[number] = values

    def fail(self, key: Key, number: int, reason: str) -> None:
        self.rows.setdefault(key, Row()).failures[number] = reason

    def groups(self) -> list[str]:
        return list(dict.fromkeys(key.group for key in self.rows))

    def of(self, group: str) -> list[tuple[Key, Row]]:
        return [(key, row) for key, row in self.rows.items() if key.group == group]

    def ratio(self, key: Key, base: Key, metric: str) -> float | None:
        """The median over the rounds that both have of key's *metric* by base's; None without such a round."""
        ours, theirs = self.rows.get(key), self.rows.get(base)
        if ours is None or theirs is None:
            return None
        return median_ratio(
            (measure(values, metric), measure(theirs.rounds[number], metric))
            for number, values in ours.rounds.items()
            if number in theirs.rounds
        )


def median_ratio(pairs: Iterable[tuple[float | None, float | None]]) -> float | None:
    """The median of a/b; a pair with a value missing or a zero below says nothing."""
    ratios = [a / b for a, b in pairs if a is not None and b]
    return statistics.median(ratios) if ratios else None


def measure(values: Values, metric: str) -> float | None:
    """A value by name, or one derived: `rate` (messages a second), `cpu_100k` (CPU seconds a 100,000 messages)."""
    messages = values.get("messages", 0)
    if metric == "rate":
        return messages / values["seconds"] if messages and values.get("seconds") else None
    if metric == "cpu_100k":
        return values["cpu"] / messages * 100_000 if messages and "cpu" in values else None
    return values.get(metric)
