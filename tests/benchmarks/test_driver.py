"""The order of a benchmark run, and what becomes of peers that fail.

Law of this file: the peers are a few lines of Python, and the queues are names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import plan
from benchmarks.driver import Command, Driver
from benchmarks.plan import Case, Step, Suite
from benchmarks.stats import Key, Results

ECHO = """
import json, sys
task = dict(argument.split("=", 1) for argument in sys.argv[1:])
print(json.dumps({"total": 10, "queue": int(task["queue"]), "warm": int(task.get("warm", 0)),
                  "messages": int(task.get("messages", 0))}))
"""


class Queues:
    """Numbers for names; counts what is open."""

    def __init__(self) -> None:
        self.made = 0
        self.open = 0

    @contextmanager
    def fresh(self, count: int = 0) -> Iterator[str]:
        self.made += 1
        self.open += 1
        try:
            yield str(self.made)
        finally:
            self.open -= 1


def driver(commands: dict[str, Command], said: list[str]) -> tuple[Driver, Queues]:
    queues = Queues()
    made = Driver("tcp://broker:1", "broker", 1, queues, commands, {}, said.append)  # type: ignore[arg-type]
    return made, queues


def python(code: str) -> Command:
    return Command((sys.executable, "-c", code))


def suite(*cases: Case) -> Suite:
    return Suite("some", "Some", (), cases)


def one(peer: str, mode: str = "", timeout: float = 60.0) -> Case:
    return Case(peer, (Step("group", mode, {"task": "send"}, timeout),))


def test_peers_take_turns_within_each_round_each_on_a_queue_of_its_own() -> None:
    said: list[str] = []
    results = Results()
    driven, queues = driver({"java": python(ECHO), "ours": python(ECHO)}, said)
    assert driven.run(suite(one("java"), one("ours")), 2, 60.0, results) == ""
    order = [line.split(":")[0] + line.split(":")[2].rstrip() for line in said]
    assert order == ["round 1 java", "round 1 ours", "round 2 java", "round 2 ours"]
    assert [values["queue"] for values in results.rows[Key("group", "ours")].rounds.values()] == [2, 4]
    assert queues.open == 0


def test_a_receive_takes_all_that_the_send_before_it_left() -> None:
    steps = (
        Step("send", "a", {"task": "send", "warm": 50, "messages": 50}, 60.0),
        Step("receive", "b", {"task": "receive", "warm": 50, "messages": 50}, 60.0),
    )
    results = Results()
    driven, _ = driver({"ours": python(ECHO)}, [])
    driven.run(suite(Case("ours", steps)), 1, 60.0, results)
    received = results.rows[Key("receive", "ours", "b")].rounds[1]
    assert (received["warm"], received["messages"]) == (5, 5)
    assert received["queue"] == results.rows[Key("send", "ours", "a")].rounds[1]["queue"]


def test_a_missing_peer_fails_in_its_row_and_the_others_go_on() -> None:
    results = Results()
    driven, queues = driver({"java": Command(missing="no java here"), "ours": python(ECHO)}, [])
    driven.run(suite(one("java"), one("ours")), 1, 60.0, results)
    assert results.rows[Key("group", "java")].failures == {1: "no java here"}
    assert results.rows[Key("group", "ours")].rounds
    assert queues.made == 1


def test_a_failed_send_fails_the_receive_that_needs_it() -> None:
    steps = (Step("send", "", {"task": "send"}, 60.0), Step("receive", "", {"task": "receive"}, 60.0))
    results = Results()
    driven, queues = driver({"ours": python('print(\'{"error": "refused"}\')')}, [])
    driven.run(suite(Case("ours", steps)), 1, 60.0, results)
    assert results.rows[Key("send", "ours")].failures == {1: "refused"}
    assert results.rows[Key("receive", "ours")].failures == {1: "refused"}
    assert queues.open == 0


def test_a_case_that_hung_is_not_tried_again_and_other_modes_are() -> None:
    results = Results()
    driven, queues = driver({"ours": python("import time; time.sleep(600)")}, [])
    driven.run(suite(one("ours", "a", 0.3)), 2, 60.0, results)
    failures = results.rows[Key("group", "ours", "a")].failures
    assert failures[1] == "no result in 0 s"
    assert failures[2].endswith("(not tried again)")
    assert queues.made == 1


def test_a_suite_ends_at_its_limit_and_says_so() -> None:
    driven, queues = driver({"ours": python(ECHO)}, [])
    assert driven.run(suite(one("ours")), 3, -1.0, Results()) == "stopped after -1 s, in round 1 of 3"
    assert queues.made == 0


def test_a_suite_can_be_narrowed_to_groups() -> None:
    whole = plan.suites(["throughput"], plan.QUICK)[0]
    narrow = plan.only(whole, "1 KiB, durable")
    assert {step.group for case in narrow.cases for step in case.steps} == {
        "send, 1 KiB, durable",
        "receive, 1 KiB, durable",
    }
