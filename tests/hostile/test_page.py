"""The page of errors is that of the table."""

from __future__ import annotations

from tests.hostile.cases import ALL
from tests.hostile.page import PAGE, errors_page


def test_the_page_of_errors_is_current() -> None:
    assert PAGE.read_text() == errors_page(), "run python -m tests.hostile.page"


def test_each_row_has_a_name_of_its_own() -> None:
    names = [case.name for cases in ALL.values() for case in cases]
    assert len(names) == len(set(names))
