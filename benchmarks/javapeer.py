"""The Java peer of the benchmarks: where its sources are and how it is run.

Law of this file: it says nothing about how Java is fetched and built; `integration.javaprogram` knows.
"""

from __future__ import annotations

from pathlib import Path

SOURCES = Path(__file__).parent / "java"


class JavaPeerError(Exception):
    """The Java peer cannot be built here; the text says why."""


def command() -> tuple[list[str], str]:
    """The command that runs the peer, built when needed, and the version of its client. JavaPeerError."""
    from integration.javaprogram import java_command
    from integration.toolchain import UnavailableError

    try:
        arguments, version = java_command("benchmark-core-client", SOURCES, "CorePeer")
    except UnavailableError as failure:
        raise JavaPeerError(str(failure)) from failure
    return list(arguments), version
