"""What all Python peers share: their task, their clocks and their one line of results.

Law of this file: it imports nothing heavy (the time to the first message is measured with it), and a number means the
same here as in `java/CorePeer.java`.

A task comes as `key=value` arguments. Every task has `task`, `url`, `queue` (it exists), `size` (bytes of body),
`durable` (0 or 1), `messages`, `seconds` (a send or ping-pong stops at whichever comes first), `warm` and
`warm_seconds` (the same work before it, not measured) and `mode` (a way of doing it, named by the peer):

| task | what is done |
|---|---|
| `send` | sends, up to the confirmation of the last one |
| `receive` | receives, reads each body and acknowledges |
| `pingpong` | one message outstanding, from send to its own receipt; latencies in microseconds |
| `first` | seconds since `started` (epoch) to the first message confirmed, and to it received |
| `idle` | connection, session, producer and consumer, then nothing for `seconds` |
| `scale` | `count` connections or sessions (`kind`), each with its own queue `queue.N`; `messages` in all |
| `reattach` | a consumer through `proxy`, a producer beside it every 2 ms; the gap in microseconds after each cut |

The result is one line of JSON: `messages`, `seconds`, `cpu` (user and system seconds of the process in that time),
`rss` and `peak_rss` (MB), and what the task adds; or `error`. For a cut the peer writes `{"cut": N}` and reads
two times, in microseconds since the epoch: just before it and just after it. The gap begins before the cut and ends
with a message that was sent after it.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

RECEIVE_TIMEOUT = 10.0
CONFIRM_TIMEOUT = 60.0
CUT_SETTLE = 0.3
LOAD_INTERVAL = 0.002
OUTSTANDING = 4096

Result = dict[str, float]


class Task:
    """The `key=value` arguments of this process."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.name = self.values["task"]
        self.url = self.values["url"]
        self.queue = self.values["queue"]
        self.mode = self.values.get("mode", "")
        self.durable = self.values.get("durable") == "1"
        self.user = os.environ.get("ACTIVECLIENT_BENCH_USER") or None
        self.password = os.environ.get("ACTIVECLIENT_BENCH_PASSWORD") or None

    def integer(self, key: str) -> int:
        return int(self.values[key])

    def number(self, key: str) -> float:
        return float(self.values[key])

    def body(self) -> bytes:
        return bytes(self.integer("size"))


def host_and_port(url: str) -> tuple[str, int]:
    """The first host of a broker URL, for clients that have no URLs."""
    authority = url.split("://", 1)[-1].split("?", 1)[0].strip("/()").split(",", 1)[0]
    host, _, port = authority.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


def main(tasks: Mapping[str, Callable[[Task], Result]]) -> None:
    """Run the task of this process and write its result; leaves without waiting for the client's threads."""
    task = Task(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    try:
        if task.name not in tasks:
            raise ValueError(f"task={task.name}: not one this peer knows")
        line = json.dumps(tasks[task.name](task))
        code = 0
    except BaseException as error:
        line = json.dumps({"error": f"{type(error).__name__}: {error}"[:500]})
        code = 1
    say(line)
    sys.stderr.flush()
    os._exit(code)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def cut(number: int) -> tuple[int, int]:
    """Have the connection cut; returns the microseconds since the epoch before and after that."""
    say(json.dumps({"cut": number}))
    before, after = sys.stdin.readline().split()
    return int(before), int(after)


def measured(work: Callable[[], int]) -> Result:
    """Do `work`, which returns how many messages it did, between two time stamps."""
    cpu = cpu_seconds()
    start = time.perf_counter()
    messages = work()
    seconds = time.perf_counter() - start
    return {"messages": messages, "seconds": seconds, "cpu": cpu_seconds() - cpu, **memory()}


def sends(task: Task, send_up_to: Callable[[int, float], int]) -> Result:
    """The `send` task over `send_up_to(messages, seconds)`, which returns how many were sent and confirmed."""
    warm = send_up_to(task.integer("warm"), task.number("warm_seconds"))
    result = measured(lambda: send_up_to(task.integer("messages"), task.number("seconds")))
    return {**result, "total": warm + result["messages"]}


def receives(task: Task, receive_up_to: Callable[[int], int]) -> Result:
    """The `receive` task over `receive_up_to(messages)`; the number is known, so there is no limit of time."""
    receive_up_to(task.integer("warm"))
    return measured(lambda: receive_up_to(task.integer("messages")))


def ping_pongs(task: Task, once: Callable[[], None]) -> Result:
    """The `pingpong` task over `once()`, a send and its own receipt."""

    def rounds(messages: int, seconds: float) -> list[int]:
        times: list[int] = []
        clock = time.perf_counter_ns
        deadline = clock() + int(seconds * 1e9)
        while len(times) < messages:
            start = clock()
            if start >= deadline:
                break
            once()
            times.append(clock() - start)
        return times

    rounds(task.integer("warm"), task.number("warm_seconds"))
    times: list[int] = []

    def work() -> int:
        times.extend(rounds(task.integer("messages"), task.number("seconds")))
        return len(times)

    result = measured(work)
    return {**result, **latencies([value / 1000 for value in times])}


def idles(task: Task) -> Result:
    """The `idle` task, once everything is open."""

    def work() -> int:
        time.sleep(task.number("seconds"))
        return 0

    return {**measured(work), "threads": threads()}


def reattaches(task: Task, receive: Callable[[], bytes]) -> Result:
    """The `reattach` task over `receive()`, which returns the next body; the load is running."""

    def after(sent_after: int) -> int:
        while True:
            sent = int.from_bytes(receive()[:8], "big")
            now = epoch_micros()
            if sent > sent_after:
                return now

    gaps: list[float] = []
    for number in range(task.integer("messages")):
        settled = time.perf_counter() + CUT_SETTLE
        while time.perf_counter() < settled:
            after(0)
        before_cut, after_cut = cut(number)
        gaps.append(after(after_cut) - before_cut)
    return {"messages": len(gaps), **latencies(gaps), **memory()}


def stamp() -> bytes:
    """The body of a message of the load: when it was sent."""
    return epoch_micros().to_bytes(8, "big")


def epoch_micros() -> int:
    return time.time_ns() // 1000


def latencies(values: Sequence[float]) -> Result:
    """Percentiles by nearest rank."""
    ordered = sorted(values)
    if not ordered:
        return {}
    quantiles = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    return {name: ordered[max(0, math.ceil(share * len(ordered)) - 1)] for name, share in quantiles}


def cpu_seconds() -> float:
    """User and system time of all threads; finer than `os.times`, which counts in hundredths of a second."""
    return time.process_time()


def memory() -> Result:
    """Resident memory now and at its peak, in MB.

    Not by `getrusage`: its peak of a fresh process is that of the process that started it.
    """
    return {"rss": _status("VmRSS:") / 1024, "peak_rss": _status("VmHWM:") / 1024}


def threads() -> int:
    return _status("Threads:")


def _status(key: str) -> int:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith(key):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0
