"""The page of results: machine, verdicts, a table for each group, and how to repeat it.

Law of this file: everything a reader needs to doubt a number stands on the page.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from benchmarks.plan import LABELS, QUEUE_BUDGET, Suite
from benchmarks.stats import Key, Results
from benchmarks.table import group_table, markdown
from benchmarks.targets import verdicts

HEAD = """\
# Benchmarks

Peers side by side on one broker in one run: every peer is a process of its own and does the same work; in each round
they take turns. Values are medians over the rounds. A *ratio* is to the Java core client at its defaults, taken within
each round, and then the median. CPU is user and system time of the client process alone. Compare ratios and CPU first:
broker and client share the machine's cores, and wall-clock figures of different days do not compare.
"""

REPEAT = """\
## How to repeat it

`{command}` writes this page.

It needs a Java development kit and Maven for the Java client, and the extra `bench` for python-qpid-proton; a peer that
is missing fails in its rows. Without `--url` a broker is provided by the test harness. `--suite`, `--group`, `--peers`
and `--rounds` choose less. `--quick` makes everything a fifth as long, and is for trying things out only: so short a
warm-up leaves Java's compiler at work, which costs Java several times its CPU.

Each run has a fresh queue, made before it and destroyed after it, and no queue holds more than {budget} MiB: a broker
begins to page at half its heap and then slows down every peer. A warm-up of as many messages (or of a limited time)
comes before each measurement, the same for all peers; it is what brings Java's compiler to rest. Times of sending end
with the confirmation of the last message.
"""


def page(
    suites: Sequence[Suite],
    groups: Mapping[str, Sequence[str]],
    results: Results,
    machine: Mapping[str, str],
    cut_short: Mapping[str, str],
    command: str,
) -> str:
    """The page as Markdown; *groups*: the groups of each suite by its name; *cut_short*: why a suite ended early."""
    parts = [HEAD, markdown(["machine", ""], [[name, value] for name, value in machine.items()], numbers=False)]
    parts += ["## Targets", verdicts(results)]
    for suite in suites:
        parts.append(f"## {suite.title}")
        if suite.note:
            parts.append(textwrap.fill(" ".join(suite.note.split()), 120))
        if cut_short.get(suite.name):
            parts.append(f"This suite was {cut_short[suite.name]}.")
        for group in groups[suite.name]:
            base = Key(group, "java", suite.bases.get(group.split(",", 1)[0], ""))
            parts += [f"### {group}", group_table(results, group, suite.columns, base, LABELS)]
    parts.append(REPEAT.format(command=command, budget=QUEUE_BUDGET // 2**20))
    return "\n\n".join(part.strip() for part in parts) + "\n"
