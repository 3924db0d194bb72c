"""The public names: all there, typed, and imported only when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import activeclient


def test_every_public_name_is_there_and_listed() -> None:
    for name in activeclient.__all__:
        assert getattr(activeclient, name) is not None
        assert name in dir(activeclient)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = activeclient.nonsense


def test_importing_the_package_imports_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import activeclient;"
        "print(*sorted(name for name in set(sys.modules) - before if name.startswith('activeclient')))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert printed.split() == ["activeclient", "activeclient.version"]
