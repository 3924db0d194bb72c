"""Which tests of `integration/jms_cases` run without a real broker.

Law: they are those functions themselves; nothing is written twice.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

from tests.jms.cases import conftest

_FIXTURES = frozenset(name for name in vars(conftest) if not name.startswith("_"))


def cases(names: Iterable[str]) -> dict[str, Callable[..., None]]:
    """The tests of these modules that take nothing but the fixtures that are here, each under a name of its own."""
    return {
        f"{case}__{name}": test
        for name in names
        for case, test in _fitting(importlib.import_module(f"integration.jms_cases.test_{name}"))
    }


def _fitting(module: ModuleType) -> Iterator[tuple[str, Callable[..., None]]]:
    for name, test in vars(module).items():
        if not name.startswith("test_"):
            continue
        given: set[str] = set()
        marks = getattr(test, "pytestmark", ())
        for mark in marks:
            if mark.name == "parametrize":
                names = mark.args[0]
                given.update(map(str.strip, names.split(",") if isinstance(names, str) else names))
        on_purpose = any(mark.name == "differs" for mark in marks)
        if not on_purpose and set(inspect.signature(test).parameters) <= _FIXTURES | given:
            yield name, test
