"""The page of the embedded broker names every setting."""

from __future__ import annotations

import ast
import dataclasses

import pytest

from activeclient.broker.configuration import AddressSettings, BrokerConfiguration
from tests.pages import ROOT


@pytest.mark.parametrize("kind", [AddressSettings, BrokerConfiguration])
def test_every_setting_is_documented_with_its_default(kind):
    page = (ROOT / "docs" / "embedded.md").read_text(encoding="utf-8")
    page = page[page.index(f"| `{kind.__name__}` | |") :]
    for each in dataclasses.fields(kind):
        assert f"`{each.name}" in page, each.name
        start = page.index(f"`{each.name}")
        written = page[start + 1 : page.index("`", start + 1)].partition("=")[2]
        if written and not written.startswith("FullPolicy"):
            assert ast.literal_eval(written) == each.default, each.name
