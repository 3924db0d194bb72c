"""`activeclient doctor`: what a URL reaches, what its settings amount to there, and what to change.

Law of this file: it prints; looking is `probing`'s affair and judging that of `findings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.findings import Effective, Finding, Level, effective, judge
from activeclient.cli.options import CONNECTION, JsonOption, PasswordFileOption, UserOption, target
from activeclient.cli.output import Output
from activeclient.cli.probing import Broker, Host, probe
from activeclient.cli.running import command
from activeclient.settings import Settings, explain_cut
from activeclient.urls import parse_url
from activeclient.wire import versions

STYLES = {Level.PROBLEM: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan"}


@command
def doctor(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            envvar="ACTIVECLIENT_URL",
            show_default="tcp://localhost:61616, or what AMQ_HOST and AMQ_PORT say",
            help="tcp://host:port?key=value&...",
        ),
    ] = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", "-t", min=0.1, max=300, help="Seconds for each step.", rich_help_panel=CONNECTION),
    ] = 5.0,
    as_json: JsonOption = False,
) -> Exit:
    """Say what a URL reaches, which settings count there and why, what a cut will do, and what to change.

    Connects to every host of the URL, changes nothing, and ends with exit code 1 when there is a problem or a warning;
    3 when no host can be reached, 4 when the login is refused.
    """
    output = Output(as_json)
    named = target(url, user, password_file)
    parsed = parse_url(named.url)
    settings = parsed.settings().replace(**named.settings)
    hosts = [probe(parsed.scheme, endpoint, settings, timeout) for endpoint in parsed.endpoints]
    findings = judge(named.url, settings, hosts)
    used = list(effective(named.url, settings, named.settings))
    cut = on_a_cut(settings, hosts)
    if as_json:
        output.record(
            {
                "url": named.shown,
                "hosts": [dataclasses.asdict(host) for host in hosts],
                "settings": [dataclasses.asdict(each) for each in used],
                "on_a_cut": cut,
                "findings": [{**dataclasses.asdict(finding), "level": finding.level.value} for finding in findings],
            }
        )
    else:
        output.line(f"url       {named.shown}")
        for line in [*_host_lines(hosts), *_setting_lines(used), f"on a cut  {cut}", ""]:
            output.line(line)
        _print_findings(output, findings)
    return verdict(hosts, findings)


def verdict(hosts: Sequence[Host], findings: Sequence[Finding]) -> Exit:
    """The exit code."""
    if not any(host.broker is not None for host in hosts):
        return Exit.DENIED if any(host.denied is not None for host in hosts) else Exit.UNREACHABLE
    return Exit.NO if any(finding.level is not Level.NOTE for finding in findings) else Exit.OK


def on_a_cut(settings: Settings, hosts: Sequence[Host]) -> str:
    """What a cut will do with these brokers."""
    known = {host.broker.reattaches for host in hosts if host.broker is not None}
    # Brokers of both kinds: what a cut does depends on which of them the connection comes back to.
    return explain_cut(
        settings, hosts=len({host.name for host in hosts}) or None, reattaches=known.pop() if len(known) == 1 else None
    )


def protocol_name(number: int) -> str:
    """A protocol version in words."""
    if number >= versions.V2_37:
        return f"{number} (Artemis 2.37 or newer)"
    return f"{number} ({versions.release(number)})" if number >= versions.V1_0 else str(number)


def _host_lines(hosts: Sequence[Host]) -> Iterator[str]:
    for host in hosts:
        yield f"host      {host.name}"
        for address in host.addresses:
            yield f"  tcp     {address.text}: {address.error or f'open after {address.milliseconds:.1f} ms'}"
        tls = host.tls
        if tls is not None and tls.error is not None:
            yield f"  tls     {tls.error}"
        elif tls is not None:
            left = "" if tls.expires_in_days is None else f", certificate good for {tls.expires_in_days} days"
            yield f"  tls     {tls.version} {tls.cipher} after {tls.milliseconds:.1f} ms{left}"
        broker = host.broker
        if host.denied is not None:
            yield f"  login   refused: {host.denied}"
        elif broker is None:
            yield f"  login   {host.error}"
        else:
            yield f"  login   accepted after {broker.milliseconds:.1f} ms"
            version = broker.version or "version not told"
            yield f"  broker  {version}, protocol {protocol_name(broker.protocol)}, node {broker.node_id or 'not told'}"
            again = {True: "reattached", False: "not reattached: each cut recreates them", None: "not known"}
            yield f"  sessions after a cut are {again[broker.reattaches]}"
            yield from topology_lines(broker)


def topology_lines(broker: Broker) -> Iterator[str]:
    """The cluster that the broker tells clients of."""
    if not broker.nodes:
        yield "  cluster not told"
    for node in broker.nodes:
        if node.live is None:
            yield "  cluster none: the broker stands alone"
        else:
            yield f"  cluster node {node.id}: live {node.live}, backup {node.backup or 'none'}"


def _setting_lines(used: Sequence[Effective]) -> Iterator[str]:
    width = max(len(each.key) for each in used)
    label = "settings"
    for each in used:
        value = "-" if each.value is None else f"{each.value} {each.unit}".rstrip()
        origin = each.origin if each.asked is None else f"{each.origin} from {each.asked}"
        yield f"{label:<9} {each.key:<{width}}  {value:<16} {origin}"
        label = ""


def _print_findings(output: Output, findings: Sequence[Finding]) -> None:
    if not findings:
        output.line("nothing to change")
    for finding in findings:
        if output.on_terminal:
            from rich.text import Text

            output.console().print(Text(f"{finding.level.value:<9}", STYLES[finding.level]), end=" ")
        else:
            output.raw(f"{finding.level.value:<9} ".encode())
        output.line(finding.text)
        if finding.fix is not None:
            output.line(f"{'':<9} write {finding.fix}")
