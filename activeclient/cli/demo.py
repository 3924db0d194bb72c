"""`activeclient demo`: a producer and a consumer whose connection is cut again and again, and a verdict.

Law of this file: the application in `traffic` knows nothing of the cuts; the exit code is the verdict.
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from activeclient.cli.demo_view import Lines, Run, Screen, View, summary
from activeclient.cli.exits import Exit
from activeclient.cli.options import CONNECTION, JsonOption, PasswordFileOption, Target, UserOption, target
from activeclient.cli.outages import Outages
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.cli.sabotage import Breaker, ProxyBreaker, Saboteur, through
from activeclient.cli.traffic import HEAD, Traffic
from activeclient.errors import ActiveClientError
from activeclient.jms.connection import Connection
from activeclient.jms.connection_factory import connect
from activeclient.testing.cutter import Cutter
from activeclient.urls import parse_url

LOOK = 0.1
"""Seconds between two looks at the counters."""
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
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=0, max=86400, help="How long it sends.")] = 10.0,
    cuts: Annotated[
        int, typer.Option("--cuts", "-c", min=0, max=100_000, help="How often the connection is cut.")
    ] = 25,
    size: Annotated[int, typer.Option("--size", min=HEAD, max=1_000_000, help="Bytes of each message.")] = 1024,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Of the cuts' moments and places.", show_default="another each time"),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live view, in a terminal too.")] = False,
    as_json: JsonOption = False,
) -> Exit:
    """Send and receive while the connection is cut, and say whether anything was lost, doubled or out of order.

    Exit code 0: nothing was; 1: something was.
    """
    output = Output(as_json)
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    view: View = Screen(output) if output.on_terminal and not plain else Lines(output)
    with contextlib.ExitStack() as stack:
        named = target(url, user, password_file)
        stage = stack.enter_context(_proxied(named))
        connection = stack.enter_context(connect(stage.url, **named.settings))
        run = _carry_out(connection, stage, view, Plan(seconds, cuts, size, chosen))
    if as_json:
        output.record(run.record())
    else:
        for line in summary(run):
            output.line(line)
    return Exit.OK if run.passed else Exit.NO


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
def _proxied(named: Target) -> Iterator[Stage]:
    """A running broker, by a way that can be cut."""
    parsed = parse_url(named.url)
    endpoint = parsed.endpoints[0]
    with Cutter(endpoint.host, endpoint.port) as cutter:
        yield Stage(str(endpoint), through(cutter, parsed), ProxyBreaker(cutter))


def _carry_out(connection: Connection, stage: Stage, view: View, plan: Plan) -> Run:
    name = f"activeclient.demo.{uuid.uuid4()}"
    with connection.create_session() as producing, connection.create_session() as consuming:
        producing.core.create_queue(name)
        queue = producing.create_queue(name)
        try:
            with producing.create_producer(queue) as producer, consuming.create_consumer(queue) as consumer:
                return _under_cuts(connection, Traffic(producer, consumer, plan.size), stage, view, plan)
        finally:
            with contextlib.suppress(ActiveClientError):
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
    with view:
        try:
            traffic.start()
            saboteur.start()
            _watch(run, traffic, saboteur, view)
        finally:
            saboteur.join()
            traffic.join(PATIENCE)
    return run


def _watch(run: Run, traffic: Traffic, saboteur: Saboteur, view: View) -> None:
    """Until everything was cut, sent, confirmed and received, or there is no hope of it."""
    while not (saboteur.done.wait(LOOK) or traffic.ended.is_set()):
        view.refresh(run)
    saboteur.join()
    traffic.stop()
    while not traffic.settled and not run.tally.errors and traffic.quiet < PATIENCE:
        view.refresh(run)
        time.sleep(LOOK)
