"""The names of `activeclient.testing`: all there, and imported only when they are used."""

from __future__ import annotations

import pytest

from activeclient import testing
from tests.pages import ROOT


def test_every_public_name_is_there_and_documented() -> None:
    page = (ROOT / "docs" / "testing-your-code.md").read_text(encoding="utf-8")
    assert set(testing._HOMES) == set(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name) is not None
        assert name in dir(testing)
        assert name in page or name in ("Cut", "Direction", "How")


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = testing.nonsense
