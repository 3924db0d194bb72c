"""How much chaos: numbers from the environment, and the table at the end.

Law: the defaults fit into a few minutes; the numbers of the full run come from the environment, never from an edit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from integration.chaos.report import HEADER, ROWS


@dataclass(frozen=True)
class Amount:
    """How many cuts, kills and messages a case makes, and its seed."""

    cuts: int
    kills: int
    seed: int
    full: bool

    def share(self, divisor: int) -> int:
        """Cuts of a case that costs more than others."""
        return max(3, self.cuts // divisor)


@pytest.fixture(scope="session")
def amount() -> Amount:
    """ACTIVECLIENT_CHAOS_CUTS (default 60), ACTIVECLIENT_CHAOS_KILLS (3), ACTIVECLIENT_CHAOS_SEED (1)."""
    cuts = int(os.environ.get("ACTIVECLIENT_CHAOS_CUTS", "60"))
    return Amount(
        cuts=cuts,
        kills=int(os.environ.get("ACTIVECLIENT_CHAOS_KILLS", "3")),
        seed=int(os.environ.get("ACTIVECLIENT_CHAOS_SEED", "1")),
        full=cuts >= 500,
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of every case that ran."""
    if ROWS:
        terminalreporter.section("chaos")
        terminalreporter.write_line(HEADER)
        for row in ROWS:
            terminalreporter.write_line(row)
