"""Results as Markdown tables.

Law of this file: a row that failed is in the table with its reason; nothing that was tried is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.stats import Key, Results, Row


@dataclass(frozen=True, slots=True)
class Column:
    """One metric: its heading, `scale` from the value to what is shown, and whether a ratio to the base follows."""

    metric: str
    title: str
    scale: float = 1.0
    ratio: bool = False


def number(value: float | None) -> str:
    """Three significant digits, thousands with a comma; a dash for nothing."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if abs(value) >= 1 or value == 0:
        return f"{value:.2f}"
    return f"{value:.3g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """A Markdown table, padded so that it reads well as text too.

    The first column is text and with *numbers* those in the middle are numbers; the last may hold a reason, so it is
    text too.
    """
    lines = [[_cell(text) for text in line] for line in (head, *rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(head))]

    right = [numbers and 0 < column < len(head) - 1 for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded).rstrip()} |"

    rule = ["-" * (width - 1) + ":" if to_right else "-" * width for width, to_right in zip(widths, right, strict=True)]
    rule[-1] = "---"
    return "\n".join([line(lines[0]), f"| {' | '.join(rule)} |", *map(line, lines[1:])])


def group_table(
    results: Results, group: str, columns: Sequence[Column], base: Key, labels: Mapping[str, str] | None = None
) -> str:
    """The table of one group; ratios are to the row *base* of it."""
    head = ["", *(title for column in columns for title in _titles(column)), "rounds"]
    rows = []
    for key, row in results.of(group):
        label = (labels or {}).get(key.peer, key.peer) + (f", {key.mode}" if key.mode else "")
        cells = [cell for column in columns for cell in _cells(results, key, row, column, base)]
        rows.append([label, *cells, _rounds(row)])
    return markdown(head, rows)


def _titles(column: Column) -> list[str]:
    return [column.title, "ratio"] if column.ratio else [column.title]


def _cells(results: Results, key: Key, row: Row, column: Column, base: Key) -> list[str]:
    value = row.median(column.metric)
    shown = [number(None if value is None else value * column.scale)]
    if column.ratio:
        ratio = results.ratio(key, base, column.metric)
        shown.append("–" if ratio is None else f"{ratio:.2f}x")
    return shown


def _rounds(row: Row) -> str:
    if not row.failures:
        return str(len(row.rounds))
    reason = next(iter(row.failures.values()))
    if not row.rounds:
        return f"failed: {reason}"
    return f"{len(row.rounds)}, failed {len(row.failures)}: {reason}"


def _cell(text: str) -> str:
    short = " ".join(text.split())
    if len(short) > 140:
        short = short[:137] + "..."
    return short.replace("|", "\\|")
