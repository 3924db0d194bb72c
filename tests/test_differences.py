"""What the embedded broker does differently is on its page, word for word, and each of it has a test that shows it."""

from __future__ import annotations

import ast

from integration.differences import DIFFERENCES
from tests.pages import ROOT


def _marked() -> set[str]:
    """The words of the markers of all integration tests."""
    found: set[str] = set()
    for path in (ROOT / "integration").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="differs"), args=[ast.Constant(value=str(word))]):
                    found.add(word)
    return found


def test_each_difference_has_a_test_that_shows_it() -> None:
    assert _marked() == set(DIFFERENCES)


def test_the_page_of_the_embedded_broker_lists_them_word_for_word() -> None:
    page = (ROOT / "docs" / "embedded.md").read_text(encoding="utf-8")
    _, _, after = page.partition("(`integration/differences.py`")
    listed = [line.removeprefix("- ") for line in after.split("\n\n")[1].splitlines()]
    assert listed == list(DIFFERENCES.values())
