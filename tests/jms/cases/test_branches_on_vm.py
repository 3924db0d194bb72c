"""The cases of distributed transactions, whose sessions are of another kind, on a broker in memory."""

from __future__ import annotations

from integration.jms_cases.test_branches import session, xa  # noqa: F401 - fixtures
from tests.jms.cases.taken import cases

globals().update(cases(["branches"]))
