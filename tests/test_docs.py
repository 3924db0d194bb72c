"""The documentation holds: its code runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from activeclient.cli.app import app
from tests.pages import PAGES, ROOT, Block, blocks, pages_with

PROGRAM = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
PROGRAM |= {group.name for group in app.registered_groups}
LANGUAGES = {"python", "sh", "text", "properties", "mermaid"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages_with("python", broker=False), ids=name)
def test_the_code_without_broker_runs(page: Path) -> None:
    for block in blocks(page, "python"):
        if not block.needs_broker:
            block.run({"__name__": "__main__"})


@pytest.mark.parametrize("page", pages_with("python", broker=True), ids=name)
def test_the_code_with_broker_compiles(page: Path) -> None:
    # It runs in integration/test_docs.py.
    for block in blocks(page, "python"):
        compile(block.text, block.where, "exec")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_block_has_a_language_that_is_checked(page: Path) -> None:
    fences = re.findall(r"^```([^\n]*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    opening = fences[::2]
    assert len(fences) % 2 == 0
    assert {fence.split()[0] if fence else "none" for fence in opening} <= LANGUAGES


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in blocks(page, "sh"):
            lines = (line.split("  #")[0].strip() for line in block.text.splitlines())
            found += [(block.where, line) for line in lines if line and not line.startswith("#")]
    return found


def dev_commands() -> set[str]:
    told = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  (\w+)  ", told, re.MULTILINE))


@pytest.mark.parametrize(("where", "command"), commands())
def test_each_shell_command_exists(where: str, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "./dev":
        assert words[1] in dev_commands(), where
    elif "activeclient" in words[:3]:
        assert words[words.index("activeclient") + 1] in PROGRAM, where
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None, where
    else:
        assert shutil.which(words[0]), where


def test_each_command_of_dev_is_handled() -> None:
    script = (ROOT / "dev").read_text()
    dispatch = script.rpartition('case "$command" in')[2]
    handled = {word for line in re.findall(r"^    ([\w |]+)\)", dispatch, re.MULTILINE) for word in line.split(" | ")}
    assert handled == dev_commands()


def test_an_unknown_command_of_dev_is_refused() -> None:
    ended = subprocess.run([ROOT / "dev", "nonsense"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no such command: nonsense" in ended.stderr


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_blocks_are_found_with_their_line_and_need(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# T\n\n```python broker\na = 1\n```\n\n```python\nb = 2\nc = 3\n```\n")
    assert list(blocks(page, "python")) == [
        Block(page, 4, "python", True, "a = 1\n"),
        Block(page, 8, "python", False, "b = 2\nc = 3\n"),
    ]
