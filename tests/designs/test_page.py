"""The page of designs: the tests that it names exist, and so do its options."""

from __future__ import annotations

import ast
import re

import pytest

from activeclient.settings import OPTIONS_OF, parameters
from tests.pages import ROOT

PAGE = (ROOT / "docs" / "designs.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| design"))
]
TESTS = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[3])})


def test_each_promise_has_a_test() -> None:
    assert {row[0] for row in ROWS} == {"all", "Artemis", "Diffusion", "RTMP writer"}
    assert [row for row in ROWS if len(row) != 4 or not re.search(r"`(tests|integration)/", row[3])] == []


@pytest.mark.parametrize("named", TESTS)
def test_the_tests_that_it_names_exist(named: str) -> None:
    path, _, function = named.partition("::")
    assert path.endswith(".py")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert (function in found) if function else any(name.startswith(("test_", "Test")) for name in found)


def test_every_option_of_a_design_stands_on_it() -> None:
    keys = {parameter.attribute: parameter.key for parameter in parameters()}
    own = {keys[name] for design in ("diffusion", "rtmp") for name in OPTIONS_OF[design]}
    named = {word for row in ROWS for word in re.findall(r"\w+", row[2])}
    assert own - named == set()
