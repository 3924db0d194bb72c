"""What the demo shows, and what it calls passed."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from activeclient.cli.demo_view import Lines, Run, picture, summary
from activeclient.cli.outages import Outages
from activeclient.cli.output import Output
from activeclient.cli.traffic import Tally
from activeclient.events import SessionReattached
from tests.cli.test_sabotage import Breaker

GOOD = {"sent": 10, "confirmed": 10, "received": 10}


def run(recreated: int = 0, cuts: int = 3, **tally: Any) -> Run:
    outages = Outages(lambda _: None, lambda _: None)
    outages.recreated = recreated
    outages(SessionReattached("s", 10, 3, 4, 0.6, 0.1, 0.2, 0.3, 0.05))
    breaker = Breaker()
    breaker.cuts = cuts
    return Run("broker, reattaches sessions", 7, 3, Tally(**{**GOOD, **tally}), outages, breaker)


def test_nothing_lost_doubled_or_out_of_order_is_passed() -> None:
    assert run().passed
    assert list(summary(run()))[-1].startswith("verdict     PASSED")


@pytest.mark.parametrize(
    "wrong",
    [
        {"received": 9},
        {"confirmed": 9},
        {"duplicates": 1},
        {"again": 1},
        {"steps_back": 1},
        {"errors": ["gave up"]},
        {"cuts": 2},
        {"sent": 0, "confirmed": 0, "received": 0},
    ],
)
def test_anything_else_is_failed(wrong: dict[str, Any]) -> None:
    assert not run(**wrong).passed
    assert list(summary(run(**wrong)))[-1] == "verdict     FAILED"


def test_a_marked_redelivery_is_allowed_where_sessions_were_made_anew() -> None:
    assert run(recreated=1, again=1).passed


def test_the_summary_has_the_parts_of_a_reattachment() -> None:
    lines = list(summary(run()))
    assert "  settle    median     300.0 ms, longest     300.0 ms" in lines
    assert "replayed    4; 3 more were finished by the broker and not repeated" in lines


def test_the_record_is_json_and_says_the_same() -> None:
    found = json.loads(json.dumps(run(errors=["x"]).record()))
    assert found["passed"] is False
    assert found["reattach_ms"]["detect"] == {"last": 50.0, "median": 50.0, "longest": 50.0}
    assert found["errors"] == ["x"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_picture_fits_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture(run(duplicates=1), ["  1.0 s  [red]no markup[/red]"], 1.0))
    file = console.file
    assert isinstance(file, io.StringIO)
    drawn = file.getvalue()
    assert max(map(len, drawn.splitlines())) <= width
    assert "[red]no markup[/red]" in drawn


def test_in_a_pipe_there_are_lines_and_in_json_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Lines(Output()).say("cut")
    assert capsys.readouterr().out.endswith(" s  cut\n")
    Lines(Output(as_json=True)).say("cut")
    assert capsys.readouterr().out == ""


def test_a_reader_that_went_away_is_told_on_the_commands_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(Output())

    def broken(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(lines._output, "line", broken)
    lines.say("by any thread")
    with pytest.raises(BrokenPipeError):
        lines.refresh(run())
