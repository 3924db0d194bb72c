"""Exit codes: what a script learns from a command without reading its output.

Law of this file: every command ends with one of these, and an error's code is decided in `code_of` alone.
"""

from __future__ import annotations

import enum

from activeclient.errors import ActiveClientError, ConfigError, ConnectionLost, JMSSecurityError, OutageTimeout, Outcome


class Exit(enum.IntEnum):
    """The exit codes; `MEANING` has them in words."""

    OK = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3
    DENIED = 4
    REFUSED = 5
    UNKNOWN = 6
    INTERRUPTED = 130
    PIPE = 141
    TERMINATED = 143


MEANING: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.NO: "done, and the answer is no: fewer messages than asked for, no such queue, a finding of doctor, a demo"
    " that failed",
    Exit.USAGE: "a wrong argument, URL or setting; nothing was connected",
    Exit.UNREACHABLE: "no broker could be reached, or the connection was given up; nothing is in doubt",
    Exit.DENIED: "wrong credentials, or no permission",
    Exit.REFUSED: "the broker refused: no such queue, a wrong selector, no room",
    Exit.UNKNOWN: "it may have taken effect: the answer was lost",
    Exit.INTERRUPTED: "interrupted with Ctrl-C; everything was closed",
    Exit.PIPE: "the reader of the output went away; what was not written was not acknowledged",
    Exit.TERMINATED: "ended by SIGTERM; everything was closed",
}


def code_of(error: ActiveClientError) -> Exit:
    """The exit code of an error that ended a command."""
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, JMSSecurityError):
        return Exit.DENIED
    if error.outcome is Outcome.UNKNOWN:
        return Exit.UNKNOWN
    if isinstance(error, ConnectionLost | OutageTimeout):
        return Exit.UNREACHABLE
    return Exit.REFUSED
