"""The cases of the JMS API that need no line to cut, on a broker in memory."""

from __future__ import annotations

from tests.jms.cases.taken import cases

MODULES = (
    "acknowledging",
    "browsers",
    "completions",
    "connections",
    "contexts",
    "destinations",
    "listeners",
    "names",
    "receiving",
    "redelivery",
    "requests",
    "subscriptions",
    "transactions",
)
globals().update(cases(MODULES))
