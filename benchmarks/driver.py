"""Runs suites: round by round, in each round peer after peer, each case on a fresh queue.

Law of this file: every case ends as values or as a reason, within its limit; a suite ends within its limit.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import runner
from benchmarks.plan import Case, Step, Suite
from benchmarks.queues import Queues
from benchmarks.runner import PeerError, PeerTimeoutError
from benchmarks.stats import Key, Results


@dataclass(frozen=True, slots=True)
class Command:
    """How a peer is started, or why it cannot be."""

    arguments: tuple[str, ...] = ()
    missing: str = ""


class Driver:
    """Runs cases on the broker at *url*; *say* gets a line for each thing that was measured."""

    def __init__(
        self,
        url: str,
        host: str,
        port: int,
        queues: Queues,
        commands: Mapping[str, Command],
        environment: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._url, self._host, self._port = url, host, port
        self._queues = queues
        self._commands = commands
        self._environment = environment
        self._say = say
        self._hopeless: dict[Key, str] = {}

    def run(self, suite: Suite, rounds: int, limit: float, results: Results) -> str:
        """Do *rounds* of *suite*; returns what cut it short, if anything. *limit* in seconds, for the whole suite."""
        end = time.monotonic() + limit
        for number in range(1, rounds + 1):
            for case in suite.cases:
                if time.monotonic() > end:
                    return f"stopped after {limit:.0f} s, in round {number} of {rounds}"
                self._case(case, number, results)
        return ""

    def _case(self, case: Case, number: int, results: Results) -> None:
        command = self._commands[case.peer]
        first = Key(case.steps[0].group, case.peer, case.steps[0].mode)
        reason = command.missing or self._hopeless.get(first, "")
        if reason:
            for step in case.steps:
                results.fail(Key(step.group, case.peer, step.mode), number, reason)
            return
        with self._queues.fresh(case.queues) as queue:
            before: dict[str, float] = {}
            for step in case.steps:
                key = Key(step.group, case.peer, step.mode)
                if reason:
                    results.fail(key, number, reason)
                    continue
                try:
                    before = self._step(command, step, queue, before)
                except PeerError as failure:
                    reason = str(failure)
                    results.fail(key, number, reason)
                    self._say(f"round {number}: {key.group}: {key.peer} {key.mode}: failed: {reason}")
                    if isinstance(failure, PeerTimeoutError):
                        self._hopeless[first] = f"{reason} (not tried again)"
                else:
                    results.add(key, number, before)
                    shown = ", ".join(f"{name} {value:.6g}" for name, value in before.items())
                    self._say(f"round {number}: {key.group}: {key.peer} {key.mode}: {shown}")

    def _step(self, command: Command, step: Step, queue: str, before: Mapping[str, float]) -> dict[str, float]:
        task: dict[str, object] = {"url": self._url, "queue": queue, **step.task}
        if task["task"] == "receive" and "total" in before:
            # A send that was stopped by its time has left fewer messages than were planned: all of them are taken.
            total = int(before["total"])
            task.update(warm=total // 2, messages=total - total // 2)
        with contextlib.ExitStack() as stack:
            cut = None
            if task["task"] == "reattach":
                from activeclient.testing.cutter import Cutter

                forwarder = stack.enter_context(Cutter(self._host, self._port))
                task["proxy"] = forwarder.url()

                def cut() -> tuple[int, int]:
                    before = time.time_ns() // 1000
                    forwarder.cut_now()
                    return before, time.time_ns() // 1000

            if task["task"] == "first":
                task["started"] = f"{time.time():.6f}"
            return runner.run([*command.arguments], task, timeout=step.timeout, environment=self._environment, cut=cut)
