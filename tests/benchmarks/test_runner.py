"""Running a peer: its result, its failure, its silence.

Law of this file: the peers are a few lines of Python given to the interpreter; nothing is connected.
"""

from __future__ import annotations

import sys
import time

import pytest

from benchmarks import runner


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_last_line_of_json_is_the_result() -> None:
    code = "import sys; print('noise'); print('{\"messages\": %s}' % sys.argv[1].split('=')[1])"
    assert runner.run(command(code), {"count": 3}, timeout=60) == {"messages": 3}


def test_an_error_of_the_peer_is_the_reason() -> None:
    with pytest.raises(runner.PeerError, match="no such queue"):
        runner.run(command('print(\'{"error": "no such queue"}\')'), {}, timeout=60)


def test_a_peer_that_dies_is_told_with_its_last_words() -> None:
    with pytest.raises(runner.PeerError, match="ended without a result: it fell"):
        runner.run(command("import sys; sys.exit('it fell')"), {}, timeout=60)


def test_a_peer_that_cannot_be_started_is_an_error_and_not_a_crash() -> None:
    with pytest.raises(runner.PeerError, match="cannot be started"):
        runner.run(["/nonexistent/peer"], {}, timeout=60)


def test_a_peer_that_hangs_is_ended_at_its_limit_with_its_children() -> None:
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    code += "; time.sleep(600)"
    start = time.monotonic()
    with pytest.raises(runner.PeerTimeoutError, match="no result in 0 s"):
        # The child holds the same standard output: only when it is gone too does the reading end.
        runner.run(command(code), {}, timeout=0.4)
    assert time.monotonic() - start < 60


def test_a_cut_is_made_when_asked_for_and_its_time_is_told() -> None:
    code = "print('{\"cut\": 0}', flush=True); print('{\"messages\": %d}' % sum(map(int, input().split())))"
    assert runner.run(command(code), {}, timeout=60, cut=lambda: (2, 40)) == {"messages": 42}
