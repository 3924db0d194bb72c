"""The demo on a broker of its own: it passes, it repeats itself, it ends when it is told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from activeclient.__main__ import main
from activeclient.broker.embedded import EmbeddedBroker

SHORT = ("--seconds", "1", "--cuts", "4", "--seed", "1")


@pytest.mark.parametrize("way", [(), ("--tcp",)], ids=["in memory", "over sockets"])
def test_it_passes_on_a_broker_of_its_own(way: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *SHORT, *way, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is True
    assert found["cuts"] >= 4
    assert found["sent"] == found["confirmed"] == found["received"] > 0
    assert found["sessions_reattached"] > 0
    assert found["sessions_recreated"] == 0


def test_in_a_pipe_it_is_lines_with_the_verdict_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *SHORT]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "verdict     PASSED: nothing was lost, nothing was duplicated, the order was kept"
    assert sum(" cut " in line and " of 4: " in line for line in lines) == 4


def test_no_cuts_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--seconds", "0.3", "--cuts", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["connections_lost"] == 0


def test_an_interrupt_ends_it_with_a_verdict() -> None:
    command = [sys.executable, "-m", "activeclient", "demo", "--seconds", "60", "--cuts", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        last = process.stdout.read().splitlines()[-1]
        assert process.wait(30) == 130
        assert last.startswith("verdict     INTERRUPTED after ")
        assert last.endswith("nothing was lost, nothing was duplicated, the order was kept until then")
        assert process.stderr.read() == ""


def test_a_reader_that_goes_away_ends_it() -> None:
    command = [sys.executable, "-m", "activeclient", "demo", "--seconds", "60", "--cuts", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


def test_sockets_are_for_a_broker_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--tcp", "--url", "tcp://localhost:1"]) == 2
    assert "is for the demo's own broker" in capsys.readouterr().err


def test_an_interrupt_while_the_broker_is_away_ends_it_soon() -> None:
    with EmbeddedBroker("demo-away", port=0) as broker:
        command = [sys.executable, "-m", "activeclient", "demo", "--url", broker.url, "--seconds", "60", "--cuts", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            broker.stop(abrupt=True)
            assert any("lost: " in line for line in iter(process.stdout.readline, ""))
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            assert process.stderr.read() == ""
