"""What a measurement says of its numbers."""

from __future__ import annotations

import pytest

from activeclient.__main__ import main
from activeclient.cli.perf import Measured, lines


def test_rates_and_latencies_are_those_of_what_was_done() -> None:
    measured = Measured(1024, sent=100, confirmed=100, received=100, sending_seconds=2.0, receiving_seconds=4.0)
    measured.latencies = [number / 1000 for number in range(100, 0, -1)]
    found = measured.record()
    assert (found["confirmed_per_second"], found["received_per_second"]) == (50.0, 25.0)
    assert found["latency_ms"] == {"median": 51.0, "p99": 100.0, "longest": 100.0}
    assert lines(found)[0] == "confirmed  100 of 100 messages of 1024 bytes, 50.0 a second"


def test_nothing_received_is_no_division_by_zero() -> None:
    found = Measured(8).record()
    assert (found["received_per_second"], found["latency_ms"]) == (
        0.0,
        {"median": None, "p99": None, "longest": None},
    )


def test_it_says_each_second_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perf", "--url", "vm://perf-progress", "--seconds", "1.5", "--rate", "50"]) == 0
    shown = capsys.readouterr()
    assert "1 s  sent " in shown.err
    assert shown.out.startswith("confirmed ")


def test_programs_are_not_told_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perf", "--url", "vm://perf-progress", "--seconds", "1.2", "--rate", "50", "--json"]) == 0
    assert capsys.readouterr().err == ""
