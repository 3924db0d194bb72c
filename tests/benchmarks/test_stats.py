"""Medians and ratios of benchmark rounds.

Law of this file: every expected number was worked out by hand.
"""

from __future__ import annotations

import pytest

from benchmarks.peers import common
from benchmarks.stats import Key, Results, measure, median_ratio

OURS, JAVA = Key("send", "ours"), Key("send", "java", "default")


def run(messages: float, seconds: float, cpu: float) -> dict[str, float]:
    return {"messages": messages, "seconds": seconds, "cpu": cpu}


def test_rates_and_cpu_are_derived_from_the_values_of_a_run() -> None:
    values = run(50_000, 2.0, 0.5)
    assert measure(values, "rate") == 25_000
    assert measure(values, "cpu_100k") == 1.0
    assert measure(values, "cpu") == 0.5
    assert measure(values, "p50") is None


def test_a_run_of_no_messages_has_no_rate() -> None:
    assert measure(run(0, 2.0, 0.5), "rate") is None
    assert measure(run(0, 2.0, 0.5), "cpu_100k") is None
    assert measure(run(10, 0.0, 0.5), "rate") is None


def test_a_ratio_is_taken_within_each_round_before_the_median() -> None:
    results = Results()
    # The machine halves its speed with each round; both peers suffer, and the ratio stays 2, 2, 4.
    for number, (ours, java) in enumerate([(400, 200), (200, 100), (200, 50)], start=1):
        results.add(OURS, number, run(ours, 1.0, 1.0))
        results.add(JAVA, number, run(java, 1.0, 1.0))
    assert results.ratio(OURS, JAVA, "rate") == 2.0
    assert results.rows[OURS].median("rate") == 200


def test_a_round_in_which_one_of_the_two_failed_says_nothing() -> None:
    results = Results()
    results.add(OURS, 1, run(100, 1.0, 1.0))
    results.fail(JAVA, 1, "no result in 5 s")
    assert results.ratio(OURS, JAVA, "rate") is None
    results.add(OURS, 2, run(300, 1.0, 1.0))
    results.add(JAVA, 2, run(100, 1.0, 1.0))
    assert results.ratio(OURS, JAVA, "rate") == 3.0


def test_a_ratio_to_nothing_or_to_zero_is_none() -> None:
    assert Results().ratio(OURS, JAVA, "rate") is None
    assert median_ratio([(1.0, 0.0), (1.0, None), (None, 1.0)]) is None


def test_groups_keep_the_order_in_which_they_came() -> None:
    results = Results()
    for group in ("b", "a", "b"):
        results.add(Key(group, "java"), 1, {})
    assert results.groups() == ["b", "a"]


@pytest.mark.parametrize(
    ("values", "p50", "p99", "top"),
    [([7.0], 7.0, 7.0, 7.0), (list(range(1, 101)), 50, 99, 100), ([4.0, 1.0, 3.0, 2.0], 2.0, 4.0, 4.0)],
)
def test_percentiles_are_by_nearest_rank(values: list[float], p50: float, p99: float, top: float) -> None:
    found = common.latencies(values)
    assert (found["p50"], found["p99"], found["max"]) == (p50, p99, top)


def test_no_values_have_no_percentiles() -> None:
    assert common.latencies([]) == {}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://127.0.0.1:61616", ("127.0.0.1", 61616)),
        ("tcp://broker:5?a=b", ("broker", 5)),
        ("(tcp://one:1,tcp://two:2)?a=b", ("one", 1)),
        ("tcp://[::1]:61616", ("::1", 61616)),
    ],
)
def test_the_first_host_of_a_url_is_found(url: str, expected: tuple[str, int]) -> None:
    assert common.host_and_port(url) == expected
