"""Tables, verdicts and the page of a benchmark run.

Law of this file: no broker, no peer; the results are made up.
"""

from __future__ import annotations

from benchmarks import plan, report
from benchmarks.stats import Key, Results
from benchmarks.table import Column, group_table, markdown, number
from benchmarks.targets import TARGETS, Target, verdicts


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def test_numbers_have_three_digits_and_thousands_a_comma() -> None:
    shown = [number(value) for value in (None, 0.0, 0.01234, 1.0, 45.67, 123.4, 54_447.4)]
    assert shown == ["–", "0.00", "0.0123", "1.00", "45.7", "123", "54,447"]


def test_a_table_keeps_its_shape_whatever_a_cell_holds() -> None:
    table = markdown(["a", "b", "c"], [["x|y", "1", "two\nlines"], ["long" * 60, "22", ""]])
    lines = table.splitlines()
    assert len(lines) == 4
    assert "x\\|y" in lines[2]
    assert "two lines" in lines[2]
    assert "..." in lines[3]


def test_a_group_shows_values_ratios_and_why_a_row_failed() -> None:
    results = Results()
    results.add(Key("send", "java", "default"), 1, {"messages": 100, "seconds": 1.0})
    results.add(Key("send", "ours", "default"), 1, {"messages": 250, "seconds": 1.0})
    results.fail(Key("send", "proton"), 1, "not installed")
    results.add(Key("send", "stomp"), 1, {"messages": 50, "seconds": 1.0})
    results.fail(Key("send", "stomp"), 2, "no result in 5 s")
    table = group_table(results, "send", [Column("rate", "msg/s", ratio=True)], Key("send", "java", "default"))
    rows = cells(table)
    assert rows[0] == ["", "msg/s", "ratio", "rounds"]
    assert rows[2:] == [
        ["java, default", "100", "1.00x", "1"],
        ["ours, default", "250", "2.50x", "1"],
        ["proton", "–", "–", "failed: not installed"],
        ["stomp", "50.0", "0.50x", "1, failed 1: no result in 5 s"],
    ]


def test_a_column_scales_what_it_shows_and_not_its_ratio() -> None:
    results = Results()
    results.add(Key("cut", "java"), 1, {"p50": 16_000.0})
    results.add(Key("cut", "ours"), 1, {"p50": 4_000.0})
    table = group_table(results, "cut", [Column("p50", "ms", 0.001, ratio=True)], Key("cut", "java"))
    assert cells(table)[2:] == [["java", "16.0", "1.00x", "1"], ["ours", "4.00", "0.25x", "1"]]


def test_a_target_is_met_missed_or_not_measured() -> None:
    results = Results()
    results.add(Key("send", "ours"), 1, {"messages": 300, "seconds": 1.0, "rss": 31.0})
    results.add(Key("send", "java"), 1, {"messages": 100, "seconds": 1.0})
    faster = Target("faster", Key("send", "ours"), "rate", "at least", 2.0, Key("send", "java"))
    small = Target("small", Key("send", "ours"), "rss", "at most", 30.0)
    absent = Target("absent", Key("receive", "ours"), "rss", "at most", 30.0)
    assert [target.verdict(results) for target in (faster, small, absent)] == ["met", "missed", "not measured"]
    assert cells(verdicts(results, [faster]))[2] == ["faster", "at least 2.00x", "3.00x", "met"]


def test_every_target_refers_to_rows_that_the_suites_make() -> None:
    names = ["throughput", "latency", "startup", "memory", "scale", "reattach"]
    made = {
        Key(step.group, case.peer, step.mode)
        for suite in plan.suites(names, plan.FULL)
        for case in suite.cases
        for step in case.steps
    }
    for target in TARGETS:
        assert target.key in made, target
        assert target.base is None or target.base in made, target


def test_no_plan_leaves_a_queue_above_its_budget() -> None:
    for suite in plan.suites(["throughput"], plan.FULL):
        for case in suite.cases:
            task = case.steps[0].task
            held = (int(str(task["warm"])) + int(str(task["messages"]))) * (int(str(task["size"])) + 600)
            assert held <= plan.QUEUE_BUDGET


def test_the_page_has_a_section_for_each_suite_and_says_what_was_cut_short() -> None:
    suites = plan.suites(["latency", "memory"], plan.QUICK)
    results = Results()
    results.add(Key("after start, idle", "java"), 1, {"messages": 0, "rss": 100.0})
    groups = {"latency": [], "memory": results.groups()}
    text = report.page(
        suites, groups, results, {"cores": "2"}, {"latency": "stopped after 5 s"}, "python -m benchmarks"
    )
    assert "## Round trip" in text
    assert "This suite was stopped after 5 s." in text
    assert "| Java core client" in text
    assert "not measured" in text
    assert "`python -m benchmarks` writes this page" in text
