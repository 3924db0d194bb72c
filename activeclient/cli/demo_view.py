"""How the demo shows what happens: a live view in a terminal, lines elsewhere, and a summary at the end.

Law of this file: it reads the counters and changes none; what a pipe gets has no control characters.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from activeclient.cli.outages import PARTS, Durations, Outages
from activeclient.cli.output import Output
from activeclient.cli.sabotage import Breaker
from activeclient.cli.traffic import Tally

if TYPE_CHECKING:
    from rich.console import RenderableType

RECENT = 8
"""Lines of the live view that tell what happened."""
EVERY = 1.0
"""Seconds between two lines of counters in a pipe."""


@dataclass(slots=True)
class Run:
    """What a demo is about, and where it stands."""

    broker: str
    """In words: which broker it is, and whether it reattaches."""
    seed: int
    planned: int
    """Cuts."""
    tally: Tally
    outages: Outages
    breaker: Breaker
    interrupted: bool = False
    """Ended by Ctrl-C, before all was cut and sent."""

    @property
    def cuts(self) -> int:
        """Made so far."""
        return self.breaker.cuts

    @property
    def passed(self) -> bool:
        """Nothing lost, nothing twice, order kept, everything confirmed, every cut made."""
        enough = self.interrupted or (self.tally.sent > 0 and self.cuts >= self.planned)
        return self.complete and not self.wrong and enough

    @property
    def complete(self) -> bool:
        """Everything that was sent was confirmed and received."""
        return self.tally.missing == 0 and self.tally.confirmed == self.tally.sent

    @property
    def wrong(self) -> bool:
        """Something was duplicated, out of order, or failed: no time could mend it."""
        tally = self.tally
        unasked = tally.again > 0 and self.outages.recreated == 0
        return tally.duplicates > 0 or not tally.in_order or unasked or bool(tally.errors)

    def record(self) -> dict[str, object]:
        """The result for programs; durations in milliseconds."""
        tally, outages = self.tally, self.outages
        return {
            "passed": self.passed,
            "interrupted": self.interrupted,
            "broker": self.broker,
            "seed": self.seed,
            "cuts": self.cuts,
            "sent": tally.sent,
            "confirmed": tally.confirmed,
            "received": tally.received,
            "received_again": tally.again,
            "lost": tally.missing,
            "duplicates": tally.duplicates,
            "in_order": tally.in_order,
            "connections_lost": outages.lost,
            "sessions_reattached": outages.reattached,
            "sessions_recreated": outages.recreated,
            "replayed": outages.replayed,
            "not_repeated": outages.spared,
            "outage_ms": outages.outages.record(),
            "reattach_ms": {part: durations.record() for part, durations in outages.parts.items()},
            "errors": list(tally.errors),
        }


class View(Protocol):
    """Where a demo is shown."""

    def say(self, text: str) -> None:
        """Something happened; called by any thread."""

    def refresh(self, run: Run) -> None:
        """The counters may have changed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None: ...


class Lines:
    """Lines with the seconds since the start; nothing at all when the output is JSON."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began = self._last = time.monotonic()
        self._lock = threading.Lock()
        self._broken: BaseException | None = None

    def say(self, text: str) -> None:
        """Print it; a reader that went away is told by `refresh`, on the command's own thread."""
        if self._output.as_json:
            return
        with self._lock:
            if self._broken is None:
                try:
                    self._output.line(f"{time.monotonic() - self._began:8.3f} s  {text}")
                except OSError as error:
                    self._broken = error

    def refresh(self, run: Run) -> None:
        """Print the counters, now and then."""
        if self._broken is not None:
            raise self._broken
        now = time.monotonic()
        if now - self._last >= EVERY:
            self._last = now
            tally = run.tally
            self.say(
                f"sent {tally.sent}, confirmed {tally.confirmed}, replayed {run.outages.replayed},"
                f" received {tally.received}, duplicates {tally.duplicates}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass


class Screen:
    """A live view in a terminal."""

    def __init__(self, output: Output) -> None:
        from rich.live import Live

        self._began = time.monotonic()
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._live = Live(console=output.console(), auto_refresh=False, transient=True)

    def say(self, text: str) -> None:
        """Show it among the newest lines."""
        self._recent.append(f"{time.monotonic() - self._began:8.3f} s  {text}")

    def refresh(self, run: Run) -> None:
        """Draw anew."""
        self._live.update(picture(run, list(self._recent), time.monotonic() - self._began), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()


def picture(run: Run, recent: list[str], seconds: float) -> RenderableType:
    """The live view."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    tally, outages = run.tally, run.outages
    counters = Table.grid(padding=(0, 2))
    counters.add_column(style="bold")
    counters.add_column(justify="right", min_width=10)
    good, bad = "green", "bold red"
    for name, value, style in (
        ("sent", str(tally.sent), ""),
        ("confirmed", str(tally.confirmed), ""),
        ("replayed", str(outages.replayed), ""),
        ("received", str(tally.received), ""),
        ("under way", str(tally.missing), ""),
        ("duplicates", str(tally.duplicates), bad if tally.duplicates else good),
        ("order", "kept" if tally.in_order else "BROKEN", good if tally.in_order else bad),
        ("errors", str(len(tally.errors)), bad if tally.errors else good),
    ):
        counters.add_row(name, Text(value, style))
    times = Table(box=None, pad_edge=False, header_style="dim")
    times.add_column("reattached in ms", style="bold")
    for column in ("last", "median", "longest"):
        times.add_column(column, justify="right", min_width=8)
    for name, durations in _times(outages):
        times.add_row(name, *(_milliseconds(value) for value in (durations.last, durations.median, durations.longest)))
    head = Table.grid(padding=(0, 2), expand=True)
    head.add_row(
        Text(f"cuts {run.cuts} of {run.planned}", "bold"),
        ProgressBar(total=max(1, run.planned), completed=run.cuts, width=30),
        Text(f"{seconds:.0f} s, {outages.reattached} reattached, {outages.recreated} made anew"),
    )
    middle = Table.grid(padding=(0, 6))
    middle.add_row(counters, times)
    newest = Text("\n".join([*recent, *[""] * (RECENT - len(recent))]), "dim", no_wrap=True, overflow="ellipsis")
    title = Text(f"activeclient demo: {run.broker}")
    return Panel(Group(head, Text(), middle, Text(), newest), title=title, title_align="left")


def summary(run: Run) -> Iterator[str]:
    """The closing lines, the verdict last."""
    tally, outages = run.tally, run.outages
    yield f"broker      {run.broker}"
    yield f"cuts        {run.cuts} of {run.planned}, seed {run.seed}; outages: {outages.lost}, ended: {outages.back}"
    yield f"sent        {tally.sent} durable messages, {tally.confirmed} confirmed"
    yield f"replayed    {outages.replayed}; {outages.spared} more were finished by the broker and not repeated"
    again = f", and {tally.again} again, marked as redelivered" if tally.again else ""
    yield f"received    {tally.received}{again}"
    yield f"lost        {tally.missing}"
    yield f"duplicates  {tally.duplicates}"
    yield f"order       {'kept' if tally.in_order else f'BROKEN {tally.steps_back} times'}"
    if outages.reattached:
        yield f"reattached  {outages.reattached} sessions"
        for name, durations in _times(outages):
            if durations.values:
                median, longest = _milliseconds(durations.median), _milliseconds(durations.longest)
                yield f"  {name:<9} median {median:>9} ms, longest {longest:>9} ms"
    if outages.recreated:
        yield f"made anew   {outages.recreated} sessions: this broker does not reattach, or did not have them any more"
    yield from (f"error       {error}" for error in tally.errors)
    yield f"verdict     {verdict(run)}"


def verdict(run: Run) -> str:
    """The verdict in words."""
    exact = "nothing was lost, nothing was duplicated, the order was kept"
    if not run.interrupted or run.wrong:
        return f"PASSED: {exact}" if run.passed else "FAILED"
    early = f"INTERRUPTED after {run.cuts} of {run.planned} cuts"
    if run.complete:
        return f"{early}: {exact} until then"
    return f"{early}: {run.tally.missing} messages were under way, of the others none was duplicated or out of order"


def _times(outages: Outages) -> list[tuple[str, Durations]]:
    return [*((part, outages.parts[part]) for part in PARTS), ("outage", outages.outages)]


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f}"
