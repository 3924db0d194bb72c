"""`python -m benchmarks`: peers side by side on one broker, as ratios.

Law of this file: it ends with a page, whatever failed; only a missing broker ends it without one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks import javapeer, machine, plan, report
from benchmarks.driver import Command, Driver
from benchmarks.queues import ManagementError, Queues
from benchmarks.stats import Results

ALL = "throughput,latency,startup,memory,scale,reattach"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 1 if there is no broker, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="of a broker (default: ACTIVECLIENT_ARTEMIS_URL, else one is provided)")
    parser.add_argument("--suite", default=ALL, help=f"comma-separated, of {ALL}")
    parser.add_argument("--peers", default=",".join(plan.PEERS), help=f"comma-separated, of {','.join(plan.PEERS)}")
    parser.add_argument("--group", default="", help="only what has this in its name, as '1 KiB, durable'")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a fifth of everything")
    parser.add_argument("--limit", type=float, default=2400.0, help="seconds for each suite")
    parser.add_argument("--out", type=Path, help="the page (default: standard output only)")
    options = parser.parse_args(arguments)
    try:
        suites = plan.suites(
            options.suite.split(","), plan.QUICK if options.quick else plan.FULL, options.peers.split(",")
        )
    except ValueError as wrong:
        parser.error(str(wrong))
    suites = [plan.only(suite, options.group) for suite in suites]
    _allow_files()
    with contextlib.ExitStack() as stack:
        url = options.url or os.environ.get("ACTIVECLIENT_ARTEMIS_URL") or _provided(stack)
        parts = urlsplit(url)
        if not parts.hostname or not parts.port:
            parser.error("the broker URL must name host and port: tcp://host:port")
        query = parse_qs(parts.query)
        user = parts.username or query.get("user", ["admin"])[0]
        password = parts.password or query.get("password", ["admin"])[0]
        try:
            queues = stack.enter_context(Queues(parts.hostname, parts.port, user, password))
            version = queues.version()
        except Exception as failure:
            _say(f"no broker that speaks STOMP at {parts.hostname}:{parts.port}: {type(failure).__name__} {failure}")
            return 1
        commands, client = _commands()
        described = {
            **machine.describe(),
            "broker": f"Artemis {version}",
            "Java core client": client,
            "stomp.py": machine.package("stomp.py"),
            "python-qpid-proton": machine.package("python-qpid-proton"),
            "rounds": str(options.rounds),
        }
        bare = f"tcp://{parts.hostname}:{parts.port}"
        driver = Driver(bare, parts.hostname, parts.port, queues, commands, _environment(user, password), _say)
        results = Results()
        groups, cut_short = {}, {}
        for suite in suites:
            before = len(results.groups())
            try:
                cut_short[suite.name] = driver.run(suite, options.rounds, options.limit, results)
            except (ManagementError, OSError) as failure:
                cut_short[suite.name] = f"ended by the broker: {failure}"
            except KeyboardInterrupt:
                cut_short[suite.name] = "interrupted"
            groups[suite.name] = results.groups()[before:]
            if cut_short[suite.name] == "interrupted":
                break
        described["load average at the end"] = machine.load()
    done = [suite for suite in suites if suite.name in groups]
    text = report.page(done, groups, results, described, cut_short, _repeat(options))
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 0


def _provided(stack: contextlib.ExitStack) -> str:
    from integration.artemis import LocalBroker

    _say("providing a broker")
    broker = stack.enter_context(LocalBroker("2.44"))
    broker.start()
    return f"tcp://{broker.user}:{broker.password}@{broker.host}:{broker.port}"


def _commands() -> tuple[dict[str, Command], str]:
    def python(module: str) -> Command:
        return Command((sys.executable, "-m", f"benchmarks.peers.{module}"))

    try:
        arguments, client = javapeer.command()
        java = Command(tuple(arguments))
    except javapeer.JavaPeerError as failure:
        java, client = Command(missing=str(failure)), "missing"
    commands = {"java": java, "stomp": python("stomp_py"), "ours": python("ours"), "proton": python("proton")}
    return commands, client


def _environment(user: str, password: str) -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    # The peers are installed, with their bytecode; ours runs from a checkout, and may keep its own.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "PYTHONPATH": path,
        "ACTIVECLIENT_BENCH_USER": user,
        "ACTIVECLIENT_BENCH_PASSWORD": password,
    }


def _allow_files() -> None:
    """A thousand connections need more open files than many systems allow at first; the peers inherit this."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _repeat(options: argparse.Namespace) -> str:
    chosen = "" if options.suite == ALL else f" --suite {options.suite}"
    quick = " --quick" if options.quick else ""
    return f"python -m benchmarks{chosen} --rounds {options.rounds}{quick} --out docs/benchmarks.md"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
