"""The code of the documentation that needs a broker runs, on each generation, as a reader would run it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.pages import ROOT, blocks, pages_with

IN_THE_PAGES = "tcp://localhost:61616"


@pytest.mark.parametrize("page", pages_with("python", broker=True), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_runs(page: Path, broker_url: str) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        if block.needs_broker:
            dataclasses.replace(block, text=block.text.replace(IN_THE_PAGES, broker_url)).run(namespace)
