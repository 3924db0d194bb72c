"""The public names: all there, typed, and imported only when they are used."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import activeclient
import activeclient.testing
from activeclient import EmbeddedBroker
from activeclient.broker.faults import Faults
from tests.pages import PAGES, ROOT


def test_every_public_name_is_there_and_listed() -> None:
    for name in activeclient.__all__:
        assert getattr(activeclient, name) is not None
        assert name in dir(activeclient)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = activeclient.nonsense


def test_every_public_name_stands_in_the_documentation() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    told = {word for code in re.findall(r"`([^`\n]+)`", pages) for word in re.findall(r"\w+", code)}
    assert {*activeclient.__all__, *activeclient.testing.__all__} - told == set()


@pytest.mark.parametrize("name", activeclient.__all__)
def test_every_public_name_has_a_docstring_and_so_has_what_it_offers(name: str) -> None:
    public = getattr(activeclient, name)
    if not inspect.isclass(public):
        assert isinstance(public, str) or public.__doc__
        return
    offered = {key: value for key, value in inspect.getmembers(public) if not key.startswith("_")}
    methods = {key: value for key, value in offered.items() if inspect.isroutine(value) or isinstance(value, property)}
    assert public.__doc__
    assert [key for key, value in methods.items() if not inspect.getdoc(value)] == []


@pytest.mark.parametrize("documented", [EmbeddedBroker, Faults])
def test_the_page_of_the_embedded_broker_has_every_method(documented: type) -> None:
    page = (ROOT / "docs" / "embedded.md").read_text(encoding="utf-8")
    hooks = {"bind", "connected", "disconnected", "incoming", "incoming_bytes", "outgoing", "refuses_reattachment"}
    hooks |= {"next_timeout", "handle_timeout"}  # of Faults, called by the server
    public = {name for name in vars(documented) if not name.startswith("_")} - hooks
    assert public - set(re.findall(r"\w+", page)) == set()
    if documented is EmbeddedBroker:
        (told,) = re.findall(r"`EmbeddedBroker\((.*?)\)`", page)
        parameters = list(inspect.signature(EmbeddedBroker).parameters.values())
        assert re.findall(r"(\w+)=", told) == [each.name for each in parameters]
        assert re.findall(r"=([^,]+)", told.replace('"', "'")) == [repr(each.default) for each in parameters]


def test_importing_the_package_imports_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import activeclient;"
        "print(*sorted(name for name in set(sys.modules) - before if name.startswith('activeclient')))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert printed.split() == ["activeclient", "activeclient.version"]
