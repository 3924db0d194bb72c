"""A stand-in for the connection factory: what is tested here is which URL it is given."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from activeclient.urls import parse_url
from jndi_props.properties import VARIABLE


class Factory:
    """Checks its URL at once, as the real one does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = parse_url(url).settings()


class XAFactory(Factory):
    """The one for distributed transactions."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No properties file but a test's own, and no real connection factory."""
    module = ModuleType("activeclient.jms.connection_factory")
    module.ActiveMQConnectionFactory = Factory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    xa = ModuleType("activeclient.jms.xa")
    xa.ActiveMQXAConnectionFactory = XAFactory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, xa.__name__, xa)
    monkeypatch.delenv(VARIABLE, raising=False)
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
