"""`activeclient demo`: a producer and a consumer whose connection is cut again and again, and a verdict.

Law of this file: the application in `traffic` knows nothing of the cuts; the exit code is the verdict.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

import typer

from activeclient.cli.demo_view import Lines, Run, Screen, View, summary
from activeclient.cli.exits import Exit
from activeclient.cli.options import CONNECTION, JsonOption, PasswordFileOption, UserOption, target
from activeclient.cli.outages import Outages
from activeclient.cli.output import Output
from activeclient.cli.running import command, first_interrupt_asks
from activeclient.cli.sabotage import SHORT_TTL, Breaker, FaultBreaker, ProxyBreaker, Saboteur
from activeclient.cli.traffic import HEAD, Traffic
from activeclient.errors import ActiveClientError, ConfigError, UnsettledError
from activeclient.jms.connection import Connection
from activeclient.jms.connection_factory import connect
from activeclient.testing.cutter import Cutter
from activeclient.testing.detour import detour, endpoint_of

LOOK = 0.1
"""Seconds between two looks at the counters."""
GRACE = 3.0
"""Seconds that the threads have to end; without an outage they need a fraction of one."""
PATIENCE = 30.0
"""Seconds without any message after which what is missing is called lost."""


@command
def demo(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            "-u",
            show_default="a broker of its own, in this process",
            help="A running broker: tcp://host:port?key=value&...; its connections are cut by a proxy in this process.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    tcp: Annotated[
        bool, typer.Option("--tcp", help="Reach the broker of its own over sockets and a proxy, instead of in memory.")
    ] = False,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=0, max=86400, help="How long it sends.")] = 10.0,
    cuts: Annotated[int, typer.Option("--cuts", "-c", min=0, max=5_000, help="How often the connection is cut.")] = 25,
    size: Annotated[int, typer.Option("--size", min=HEAD, max=1_000_000, help="Bytes of each message.")] = 1024,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Of the cuts' moments and places.", show_default="another each time"),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live view, in a terminal too.")] = False,
    as_json: JsonOption = False,
) -> Exit:
    """Send and receive while the connection is cut, and say whether anything was lost, doubled or out of order.

    Exit code 0: nothing was; 1: something was. Ctrl-C ends it early, with a verdict on what was sent until then and
    exit code 130, or 1; a second one ends it without.
    """
    output = Output(as_json)
    if tcp and url is not None:
        raise ConfigError("--tcp", None, "is for the demo's own broker, not for that of --url")
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    view: View = Screen(output) if output.on_terminal and not plain else Lines(output)
    run: Run | None = None
    with _interrupted_run_has_told(lambda: run), contextlib.ExitStack() as stack:
        if url is None:
            stage = stack.enter_context(_own_on_socket() if tcp else _own_in_memory())
            connection = stack.enter_context(connect(stage.url))
        else:
            named = target(url, user, password_file)
            stage = stack.enter_context(_proxied(named.url))
            connection = stack.enter_context(connect(stage.url, **named.settings))
        run = _carry_out(connection, stage, view, Plan(seconds, cuts, size, chosen))
    if as_json:
        output.record(run.record())
    else:
        for line in summary(run):
            output.line(line)
    if run.interrupted and not run.wrong:
        return Exit.INTERRUPTED
    return Exit.OK if run.passed else Exit.NO


@contextlib.contextmanager
def _interrupted_run_has_told(run: Callable[[], Run | None]) -> Iterator[None]:
    """Of a run that was interrupted the verdict says what was under way: its closing need not say it again."""
    try:
        yield
    except UnsettledError:
        found = run()
        if found is None or not found.interrupted:
            raise


@dataclass(frozen=True, slots=True)
class Plan:
    """What a demo does."""

    seconds: float
    cuts: int
    size: int
    seed: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it does it."""

    name: str
    """The broker in words."""
    url: str
    breaker: Breaker


@contextlib.contextmanager
def _own_in_memory() -> Iterator[Stage]:
    """A broker in this process, and connections in memory that it cuts itself."""
    from activeclient.broker.embedded import EmbeddedBroker  # nobody else pays for it

    with EmbeddedBroker(f"demo-{uuid.uuid4()}") as broker:
        way = f"{broker.vm_url}?{urlencode(SHORT_TTL)}"
        yield Stage("a broker in this process, in memory", way, FaultBreaker(broker))


@contextlib.contextmanager
def _own_on_socket() -> Iterator[Stage]:
    """A broker in this process, by a way over sockets that can be cut."""
    from activeclient.broker.embedded import EmbeddedBroker

    with EmbeddedBroker(port=0) as broker, _proxied(broker.url) as stage:
        yield replace(stage, name="a broker in this process, on a socket")


@contextlib.contextmanager
def _proxied(url: str) -> Iterator[Stage]:
    """A running broker, by a way that can be cut."""
    endpoint = endpoint_of(url)
    with Cutter(endpoint.host, endpoint.port) as cutter:
        yield Stage(str(endpoint), detour(url, cutter, SHORT_TTL), ProxyBreaker(cutter))


def _carry_out(connection: Connection, stage: Stage, view: View, plan: Plan) -> Run:
    name = f"activeclient.demo.{uuid.uuid4()}"
    producing, consuming = connection.create_session(), connection.create_session()
    producing.core.create_queue(name)
    queue = producing.create_queue(name)
    # What is made here is closed with the connection: one by one it would wait for a broker that is away.
    traffic = Traffic(producing.create_producer(queue), consumer := consuming.create_consumer(queue), plan.size)
    try:
        return _under_cuts(connection, traffic, stage, view, plan)
    finally:
        with contextlib.suppress(ActiveClientError):
            if connection.factory.is_connected:
                consumer.close()
                producing.core.delete_queue(name)


def _under_cuts(connection: Connection, traffic: Traffic, stage: Stage, view: View, plan: Plan) -> Run:
    reattaches = connection.factory.engine.reattaches is True
    outages = Outages(view.say, traffic.tally.fail)
    connection.add_event_listener(outages)
    # A broker that makes sessions anew cannot keep the order while it takes the old one for a living one.
    saboteur = Saboteur(
        stage.breaker, plan.cuts, plan.seconds, random.Random(plan.seed), view.say, unnoticed=reattaches
    )
    how = "reattaches sessions" if reattaches else "does not reattach sessions: each cut makes them anew"
    run = Run(f"{stage.name}, {how}", plan.seed, plan.cuts, traffic.tally, outages, stage.breaker)
    with view, first_interrupt_asks() as interrupted:
        try:
            traffic.start()
            saboteur.start()
            _watch(run, traffic, saboteur, view, interrupted)
        finally:
            saboteur.join()
            if not traffic.join(GRACE):
                errors = len(run.tally.errors)
                with contextlib.suppress(UnsettledError):  # the tally says it
                    connection.close()  # wakes who waits for a connection that does not come
                traffic.join(GRACE)
                if interrupted.is_set():
                    del run.tally.errors[errors:]  # these are of the closing, not of an outage
        run.interrupted = interrupted.is_set()
    return run


def _watch(run: Run, traffic: Traffic, saboteur: Saboteur, view: View, interrupted: threading.Event) -> None:
    """Until everything was cut, sent, confirmed and received, or there is no hope of it."""
    while not (saboteur.done.wait(LOOK) or traffic.ended.is_set() or interrupted.is_set()):
        view.refresh(run)
    if interrupted.is_set():
        view.say("interrupted: nothing more is sent or cut; what is under way is waited for")
    saboteur.join()
    traffic.stop()
    while not traffic.settled and not run.tally.errors:
        if traffic.quiet >= (GRACE if interrupted.is_set() else PATIENCE):
            return
        view.refresh(run)
        time.sleep(LOOK)
