"""A program that writes into a file is killed again and again, with the broker away and while it delivers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from activeclient import Queue, connect
from activeclient.broker.embedded import EmbeddedBroker
from activeclient.testing.ports import free_port

SOON = 60.0
KILLS = int(os.environ.get("ACTIVECLIENT_WRITER_KILLS", "6"))
NAME = "killed"
PROGRAM = """
import sys
from activeclient.writer import ReconnectOptions, StreamWriter

url, path, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
with StreamWriter(url, "killed", store=path, reconnect=ReconnectOptions(unlimited=True, period=100)) as writer:
    number = first
    while True:
        writer.write(str(number))
        print(number, flush=True)  # it is written: it must arrive
        number += 1
"""


def test_what_was_written_arrives_once_and_in_order_however_often_the_program_is_killed(tmp_path: Path) -> None:
    rng = random.Random(7)
    port = free_port()
    url = f"tcp://localhost:{port}"
    written: list[int] = []
    attempted = 0
    for round_ in range(KILLS):
        reachable = round_ % 2 == 1  # away, then draining what was stored, then away ...
        broker = EmbeddedBroker(port=port, folder=tmp_path / "broker")
        if reachable:
            broker.start()
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, str(tmp_path / "store"), str(attempted)],
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout is not None
            wanted = rng.randrange(50, 400)
            for line in program.stdout:
                written.append(int(line))
                if len(written) % 10_000 == 0 or written[-1] - attempted >= wanted:
                    program.send_signal(signal.SIGKILL)
                    break
            for line in program.stdout:  # what it had written before the signal came
                if line.endswith("\n"):
                    written.append(int(line))
        attempted = written[-1] + 2  # one more may have been stored and not be told
        broker.stop()
    with EmbeddedBroker(port=port, folder=tmp_path / "broker") as broker:
        from activeclient.writer import StreamWriter

        with StreamWriter(url, NAME, store=tmp_path / "store") as writer:
            assert writer.flush(SOON)
        with connect(broker.url) as connection, connection.create_session() as session:
            found = [int(message.text or "") for message in session.create_consumer(Queue(NAME)).messages(0)]
    untold = set(found) - set(written)
    assert found == sorted(found)
    assert len(found) == len(set(found))
    assert set(written) <= set(found)
    assert len(untold) <= KILLS
