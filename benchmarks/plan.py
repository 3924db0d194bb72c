"""What is measured, as data: suites of cases, each a peer doing some steps on a queue of its own.

Law of this file: within a group all peers do the same work with the same numbers; only the mode differs, and the mode's
name stands in the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.table import Column

PEERS = ("java", "stomp", "ours", "proton")
"""In the order of each round. Proton is last: a receiver that it closes badly can leave one of the broker's threads
busy for good."""

LABELS = {"java": "Java core client", "stomp": "stomp.py", "ours": "activeclient", "proton": "python-qpid-proton"}
SIZES = {100: "100 B", 1024: "1 KiB", 10240: "10 KiB"}
QUEUE_BUDGET = 384 * 1024 * 1024
"""Bytes that a queue may hold in the broker, with `MESSAGE_OVERHEAD` for each message.

A broker with 1 GiB of heap begins to page at 512 MiB.
"""
MESSAGE_OVERHEAD = 600
MOST_MESSAGES = 200_000


@dataclass(frozen=True, slots=True)
class Step:
    """One process: what it is told besides URL and queue, and how long it may take (seconds)."""

    group: str
    mode: str
    task: Mapping[str, object]
    timeout: float


@dataclass(frozen=True, slots=True)
class Case:
    """Steps of one peer, one after the other on the same fresh queue (or on `queues` of them, `name.0` and so on)."""

    peer: str
    steps: tuple[Step, ...]
    queues: int = 0


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases whose groups are shown with the same columns; `bases` is the mode of Java's row that ratios refer to."""

    name: str
    title: str
    columns: tuple[Column, ...]
    cases: tuple[Case, ...]
    bases: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything: a full run or a quick one."""

    share: float
    warm_seconds: float
    seconds: float
    pings: int
    cuts: int
    counts: tuple[int, ...]
    scale_messages: int
    idle_seconds: float


FULL = Scale(1.0, 5.0, 8.0, 5_000, 20, (1, 10, 100, 1000), 20_000, 3.0)
QUICK = Scale(0.2, 1.5, 1.5, 1_000, 4, (1, 10, 100), 4_000, 1.0)

GRACE = 45.0
"""Seconds for starting, connecting and the last confirmations of one process."""

SEND_RECEIVE: dict[str, tuple[tuple[str, str], ...]] = {
    "java": (("default", "each"), ("unlimited", "batched")),
    "stomp": (("receipts", "client-individual"), ("plain", "auto")),
    "ours": (("default", "each"), ("unlimited", "batched")),
    "proton": (("event", "blocking"),),
}
"""The modes of a send and of the receive that takes what it sent."""

MODES = """\
Modes of sending: *default* asks for an answer to each message (window 1 MiB) at the client's defaults, *unlimited* the
same with `producerWindowSize=-1`; *receipts*: a receipt each, at most 4,096 outstanding; *plain*: one receipt at the
end; *event*: an unsettled delivery each. Modes of receiving: *each* acknowledges every message to the broker
(`ackBatchSize=0`), *batched* at the client's defaults; *client-individual* and *auto* are STOMP's; *blocking* accepts
each. Every receiver reads the body. Each takes what the same peer sent, so no peer waits for a conversion of another's
protocol."""


def durability(durable: bool) -> str:
    return "durable" if durable else "non-durable"


def work(name: str, size: int, durable: bool) -> str:
    """The name of a group."""
    return f"{name}, {SIZES.get(size, f'{size} B')}, {durability(durable)}"


def suites(names: Sequence[str], scale: Scale, peers: Sequence[str] = PEERS) -> list[Suite]:
    """The suites by name, for these peers. ValueError: an unknown name."""
    makers = {
        "throughput": throughput,
        "latency": latency,
        "startup": startup,
        "memory": memory,
        "scale": scaling,
        "reattach": reattach,
    }
    for name in names:
        if name not in makers:
            raise ValueError(f"suite must be one of {', '.join(makers)}, not {name!r}")
    for peer in peers:
        if peer not in PEERS:
            raise ValueError(f"peer must be one of {', '.join(PEERS)}, not {peer!r}")
    return [makers[name](scale, [peer for peer in PEERS if peer in peers]) for name in names]


def throughput(scale: Scale, peers: Sequence[str]) -> Suite:
    cases = []
    for size in SIZES:
        for durable in (True, False):
            total = min(MOST_MESSAGES, QUEUE_BUDGET // (size + MESSAGE_OVERHEAD)) * scale.share
            numbers = {
                "size": size,
                "durable": int(durable),
                "warm": int(total / 2),
                "messages": int(total / 2),
                "warm_seconds": scale.warm_seconds,
                "seconds": scale.seconds,
            }
            limit = scale.warm_seconds + scale.seconds + GRACE
            for peer in peers:
                for send, receive in SEND_RECEIVE[peer]:
                    steps = (
                        Step(work("send", size, durable), send, {"task": "send", "mode": send, **numbers}, limit),
                        Step(
                            work("receive", size, durable),
                            receive,
                            {"task": "receive", "mode": receive, **numbers},
                            2 * limit,
                        ),
                    )
                    cases.append(Case(peer, steps))
    columns = (
        Column("rate", "messages/s", ratio=True),
        Column("cpu_100k", "CPU s per 100,000", ratio=True),
        Column("peak_rss", "peak RSS MB"),
    )
    return Suite("throughput", "Throughput", columns, tuple(cases), {"send": "default", "receive": "each"}, MODES)


def latency(scale: Scale, peers: Sequence[str]) -> Suite:
    cases = []
    for durable in (True, False):
        task = {
            "task": "pingpong",
            "size": 1024,
            "durable": int(durable),
            "warm": scale.pings,
            "messages": scale.pings,
            "warm_seconds": scale.warm_seconds,
            "seconds": scale.seconds,
        }
        limit = scale.warm_seconds + scale.seconds + GRACE
        cases += [Case(peer, (Step(work("round trip", 1024, durable), "", task, limit),)) for peer in peers]
    columns = (
        Column("p50", "p50 µs", ratio=True),
        Column("p90", "p90 µs"),
        Column("p99", "p99 µs", ratio=True),
        Column("max", "max µs"),
        Column("cpu_100k", "CPU s per 100,000", ratio=True),
    )
    note = "One message outstanding, from the send to its own receipt."
    return Suite("latency", "Round trip", columns, tuple(cases), note=note)


def startup(scale: Scale, peers: Sequence[str]) -> Suite:
    cases = []
    for durable in (True, False):
        task = {"task": "first", "size": 1024, "durable": int(durable)}
        cases += [Case(peer, (Step(work("first message", 1024, durable), "", task, GRACE),)) for peer in peers]
    columns = (
        Column("confirmed", "confirmed after s", ratio=True),
        Column("received", "received after s", ratio=True),
        Column("cpu", "CPU s", ratio=True),
        Column("rss", "RSS MB", ratio=True),
    )
    note = "From the start of the process: interpreter, imports, connection, session, producer, consumer, one message."
    return Suite("startup", "Start to first message", columns, tuple(cases), note=note)


def memory(scale: Scale, peers: Sequence[str]) -> Suite:
    idle = {"task": "idle", "size": 1024, "durable": 1, "seconds": scale.idle_seconds}
    cases = [Case(peer, (Step("after start, idle", "", idle, GRACE + scale.idle_seconds),)) for peer in peers]
    columns = (
        Column("rss", "RSS MB", ratio=True),
        Column("peak_rss", "peak RSS MB", ratio=True),
        Column("threads", "threads"),
        Column("cpu", "CPU s while idle"),
    )
    note = "One connection, session, producer and consumer. Memory under load stands with the throughput."
    return Suite("memory", "Memory after start", columns, tuple(cases), note=note)


def scaling(scale: Scale, peers: Sequence[str]) -> Suite:
    cases = []
    for kind in ("connections", "sessions"):
        for count in scale.counts:
            task = {
                "task": "scale",
                "kind": kind,
                "count": count,
                "size": 1024,
                "durable": 0,
                "messages": scale.scale_messages,
            }
            for peer in peers:
                if kind == "connections" or peer in ("java", "ours"):
                    step = Step(f"{count:,} {kind}", "", task, GRACE + 45)
                    cases.append(Case(peer, (step,), queues=count))
    columns = (
        Column("threads", "threads added"),
        Column("kb_each", "KB each"),
        Column("open", "opened in s", ratio=True),
        Column("rate", "messages/s", ratio=True),
        Column("cpu_100k", "CPU s per 100,000", ratio=True),
        Column("peak_rss", "peak RSS MB"),
    )
    note = (
        f"Each connection (or session of one connection) has its own queue, producer and consumer; "
        f"{scale.scale_messages:,} non-durable messages of 1 KiB in all are sent round robin, then received. "
        "No warm-up. STOMP, and proton's blocking API, have one session a connection."
    )
    return Suite("scale", "From one to a thousand", columns, tuple(cases), note=note)


def reattach(scale: Scale, peers: Sequence[str]) -> Suite:
    task = {"task": "reattach", "size": 8, "durable": 0, "messages": scale.cuts}
    cases = []
    for peer in peers:
        for mode in ("window", "no window") if peer in ("java", "ours") else ("",):
            step = Step("reset of the connection", mode, {**task, "mode": mode}, GRACE + scale.cuts * 2)
            cases.append(Case(peer, (step,)))
    columns = (
        Column("p50", "p50 ms", 0.001, ratio=True),
        Column("p90", "p90 ms", 0.001),
        Column("max", "max ms", 0.001, ratio=True),
    )
    note = (
        "A forwarder resets both sides and accepts again at once, while a producer beside it sends every 2 ms: from "
        "the reset to the receipt of the first message that was sent after it. *window*: `confirmationWindowSize` "
        "1 MiB, so the session is reattached; *no window*: a new session is made. stomp.py connects and subscribes "
        "again when told of the loss; proton uses its own reconnection."
    )
    bases = {"reset of the connection": "window"}
    return Suite("reattach", "Continuing after a cut", columns, tuple(cases), bases, note)


def only(suite: Suite, text: str) -> Suite:
    """The suite with those cases that have a group with *text* in its name."""
    cases = tuple(case for case in suite.cases if any(text in step.group for step in case.steps))
    return replace(suite, cases=cases)
