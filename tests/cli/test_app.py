"""The program as a whole: help, version, wrong usage; nothing here reaches a broker."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from activeclient.__main__ import main
from activeclient.cli.app import app
from activeclient.cli.exits import MEANING
from activeclient.cli.queue import queue
from activeclient.version import __version__
from tests.pages import ROOT

COMMANDS = ("demo", "broker", "run", "send", "receive", "browse", "stat", "check", "perf", "doctor", "explain")
GROUPS = ("queue",)
"""Commands that have commands of their own."""
NOBODY = "tcp://127.0.0.1:1"
"""A port where nobody listens."""


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"activeclient {__version__}\n"


def test_the_help_names_every_command_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for command in COMMANDS:
        assert f" {command} " in told
    for code in ("0", "1", "2", "3", "4", "5", "6", "130", "141", "143"):
        assert f" {code} " in told


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Usage: activeclient {command}" in told
    assert "--json" in told


def test_the_help_of_arguments_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    # Some releases of the library lose it.
    assert main(["send", "--help"]) == 0
    assert "queue://name" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["send"],
        ["send", "q", "x", "--priority", "12"],
        ["send", "q", "x", "--lines", "--url", NOBODY],
        ["send", "q", "x", "--property", "nonsense", "--url", NOBODY],
        ["send", "a::b::c", "x", "--url", NOBODY],
        ["send", "q", "--file", "/does/not/exist", "--url", NOBODY],
        ["receive", "q", "--all", "--follow", "--url", NOBODY],
        ["receive", "q", "--timeout", "-1", "--url", NOBODY],
        ["browse", "topic://t", "--url", NOBODY],
        ["perf", "--size", "1"],
        ["doctor", "http://h"],
        ["explain", "tcp://broker:x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_tells_why(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err


@pytest.mark.parametrize("arguments", [["send", "q", "x"], ["receive", "q"], ["browse", "q"], ["stat"], ["perf"]])
def test_no_broker_ends_with_3(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--url", f"{NOBODY}?password=marker", "--json"]) == 3
    told = capsys.readouterr()
    assert json.loads(told.err)["error"] == "ConnectFailed"
    assert "marker" not in told.out + told.err


def test_text_that_is_not_utf8_names_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "activeclient", "send", "q", "--url", NOBODY]
    ended = subprocess.run(command, input=b"ab\xff", capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"stdin is not UTF-8 at byte 2; --bytes sends it as it is" in ended.stderr


def test_the_libraries_of_the_command_line_are_loaded_by_it_alone() -> None:
    code = "import sys, activeclient.jms.connection_factory; print({'typer', 'rich', 'click'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_the_page_names_every_command_and_every_exit_code() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {*COMMANDS, *GROUPS}
    codes = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE)}
    assert codes == {int(code): meaning for code, meaning in MEANING.items()}


def test_the_commands_are_those_that_are_tested() -> None:
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} == set(COMMANDS)
    assert {group.name for group in app.registered_groups} == set(GROUPS)


def test_each_command_of_queues_has_help_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    for command in queue.registered_commands:
        assert command.callback is not None
        assert main(["queue", command.name or command.callback.__name__, "--help"]) == 0
        assert "--json" in capsys.readouterr().out
    assert main(["queue", "--help"]) == 0
    assert " purge " in capsys.readouterr().out


def test_without_its_libraries_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("activeclient.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["explain", "tcp://localhost"]) == 2
    assert "pip install 'activeclient[cli]'" in capsys.readouterr().err
