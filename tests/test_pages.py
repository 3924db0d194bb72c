"""Generated pages are what the code says now."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from activeclient.engine.link import link_diagram
from activeclient.engine.session import State as SessionState
from activeclient.settings import parameters
from activeclient.wire.packet import REGISTRY
from tests.pages import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_packets_is_current(generate: ModuleType) -> None:
    page = (DOCS / "packets.md").read_text(encoding="utf-8")
    assert page == generate.packets_page(), "run ./dev pages"
    assert all(f"`{cls.__name__}`" in page for cls in REGISTRY.values())


def test_the_page_of_parameters_is_current(generate: ModuleType) -> None:
    page = (DOCS / "parameters.md").read_text(encoding="utf-8")
    assert page == generate.parameters_page(), "run ./dev pages"
    assert all(f"`{parameter.key}`" in page for parameter in parameters())


def test_the_keywords_for_type_checkers_are_current(generate: ModuleType) -> None:
    assert generate.KEYWORDS.read_text(encoding="utf-8") == generate.keywords_module(), "run ./dev pages"


def test_the_page_of_jms_cases_is_current(generate: ModuleType) -> None:
    page = (DOCS / "jms-cases.md").read_text(encoding="utf-8")
    assert page == generate.jms_cases_page(), "run ./dev pages"


def test_the_diagrams_are_drawn_from_the_tables_that_run(generate: ModuleType) -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert page == generate.with_diagrams(page), "run ./dev pages"
    assert link_diagram() in page


def test_the_architecture_names_each_state_of_a_session() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert [state.name for state in SessionState if f"| `{state.name}` |" not in page] == []
