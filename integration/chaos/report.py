"""One line of the suite's table: what was done, what it cost, what went wrong.

Law: `wrong()` names every deviation from exactness, so that a case asserts that it is empty and a failure explains
itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from activeclient.client.session_factory import ClientSessionFactory
from activeclient.events import Detached, Event, GaveUp, Reconnected, SendFailed, SessionReattached, SessionRecreated
from integration.cases.support import all_told
from integration.chaos.ledger import Ledger

CUTS_PER_DROP = 500
"""Of so many cuts one may make a broker that reattaches drop the session: when a connection ends at the very moment
at which a session is being moved to it, Artemis 2.44 takes it for one without sessions worth keeping, and ends them
with it (AMQ222061 in its log; 4 in 7,000 cuts on a loaded machine). The client makes the session anew then, and sends
without duplicate ids end as unknown: that is told, so it is no fault of the client. A few of them are let pass."""


def drops(cuts: int) -> int:
    """So many lost sessions are let pass on a broker that reattaches."""
    return 1 + cuts // CUTS_PER_DROP


ROWS: list[str] = []
"""What the terminal summary prints."""
HEADER = (
    f"{'case':44} {'gen':5} {'messages':>8} {'cuts':>5} {'inside':>6} {'lost':>4} {'dup':>4} {'twice':>5} {'order':>5} "
    f"{'bad':>4} {'open':>4} {'reatt':>6} {'recr':>4} {'median ms':>9} {'p99 ms':>7} {'sec':>6}"
)


@dataclass
class Watch:
    """An event listener of a connection that counts and keeps the times."""

    counts: Counter[str] = field(default_factory=Counter)
    reattach_seconds: list[float] = field(default_factory=list)
    outages: list[float] = field(default_factory=list)
    replayed: int = 0
    notes: list[str] = field(default_factory=list)
    all_told: Callable[[], object] = lambda: None
    """Waits until everything that has happened so far is counted."""

    def __call__(self, event: Event) -> None:
        self.counts[type(event).__name__] += 1
        if isinstance(event, SessionReattached):
            self.reattach_seconds.append(event.seconds)
            self.replayed += event.replayed
        elif isinstance(event, Reconnected):
            self.outages.append(event.seconds)
        if isinstance(event, (SessionRecreated, GaveUp, SendFailed)):
            self.notes.append(str(event)[:600])

    @classmethod
    def of(cls, factory: ClientSessionFactory) -> Watch:
        watch = cls(all_told=lambda: all_told(factory))
        factory.add_event_listener(watch)
        return watch


@dataclass
class Report:
    """What a case found."""

    case: str
    generation: str
    ledgers: list[Ledger]
    watches: list[Watch]
    cuts: int = 0
    inside: int = 0
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def wrong(self, *, reattached: bool = True, ordered: bool = True, once: bool = True) -> list[str]:
        """Every deviation. *reattached*: sessions must have survived, so that nothing is even marked redelivered; else
        they may have been recreated, which the application must not notice, with two exceptions. Not *ordered*: the
        broker did not notice a loss, so the old session kept its messages and the new one was served others before.
        Not *once*: the application was told that an acknowledgement is in doubt, so its message may come again."""
        found: list[str] = []
        for watch in self.watches:
            watch.all_told()
        recreated = sum(watch.counts["SessionRecreated"] for watch in self.watches)
        let_pass = drops(self.cuts + self.inside)
        dropped = reattached and 0 < recreated <= let_pass
        reattached = reattached and not dropped
        for ledger in self.ledgers:
            faults = {
                "lost": ledger.lost,
                "stored twice": ledger.stored_twice,
                "received again after its acknowledgement": ledger.again,
                "corrupted": len(ledger.corrupted),
                "unexpected": ledger.unexpected,
                "unsettled": ledger.unsettled,
                "failed": len(ledger.failed) - dropped * ledger.unknown,
                "errors": len(ledger.errors),
            }
            if ordered:
                faults["disordered"] = ledger.disordered
            if once:
                faults["duplicated"] = ledger.duplicated
            if reattached:
                faults["redelivered"] = ledger.redelivered
            found += [f"{ledger.name} {count} {fault}".strip() for fault, count in faults.items() if count]
            found += [] if dropped else ledger.failed[:3]
            found += ledger.errors[:5]
        losses = [loss for ledger in self.ledgers for loss in ledger.losses]
        if len(losses) > min(recreated, let_pass):
            found += losses[:5]
        for watch in self.watches:
            if reattached and watch.counts["SessionRecreated"]:
                found.append(f"{watch.counts['SessionRecreated']} sessions were recreated: {watch.notes[:3]}")
            found += [note for note in watch.notes if "GaveUp" in note or "SendFailed" in note][:3]
        return found + self.notes

    def row(self) -> str:
        """The line of the table."""
        ledgers = self.ledgers
        times = sorted(second for watch in self.watches for second in watch.reattach_seconds)
        times = times or sorted(second for watch in self.watches for second in watch.outages)
        median = f"{times[len(times) // 2] * 1e3:9.1f}" if times else f"{'-':>9}"
        p99 = f"{times[int(len(times) * 0.99)] * 1e3:7.1f}" if times else f"{'-':>7}"
        return (
            f"{self.case[:44]:44} {self.generation:5} {sum(len(one.sent) for one in ledgers):8} {self.cuts:5} "
            f"{self.inside:6} {sum(one.lost for one in ledgers):4} {sum(one.duplicated for one in ledgers):4} "
            f"{sum(one.stored_twice for one in ledgers):5} {sum(one.disordered for one in ledgers):5} "
            f"{sum(len(one.corrupted) + one.unexpected for one in ledgers):4} "
            f"{sum(one.unsettled for one in ledgers):4} "
            f"{sum(one.counts['SessionReattached'] for one in self.watches):6} "
            f"{sum(one.counts['SessionRecreated'] for one in self.watches):4} {median} {p99} "
            f"{time.monotonic() - self.began:6.1f}"
        )

    def check(self, *, reattached: bool = True, ordered: bool = True, once: bool = True) -> None:
        """Put the line into the table and fail if anything is wrong."""
        ROWS.append(self.row())
        wrong = self.wrong(reattached=reattached, ordered=ordered, once=once)
        if wrong:
            raise AssertionError("; ".join(wrong))


__all__ = ["HEADER", "ROWS", "Detached", "Report", "Watch"]
