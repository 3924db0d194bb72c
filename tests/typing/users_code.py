"""What type checkers say of users' code: `python -m tests.typing.users_code`, a part of `./dev types`.

Every block of code in the README and in docs/, and the programs of `PROGRAMS`, go through mypy and pyright as a user of
the installed package would run them. Blocks need not annotate their functions; all else is mypy's strict mode. Every
name of the package that a user can reach has a type that all type checkers read alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.pages import PAGES, ROOT, blocks

PROGRAMS = {
    "listener": """
import activeclient

with activeclient.connect("tcp://localhost:61616", retry_interval=50) as connection:
    session = connection.create_session()
    consumer = session.create_consumer(session.create_queue("orders"))

    @consumer.on_message
    def handle(message: activeclient.TextMessage) -> None:
        print(message.text)
""",
    "kinds": """
from typing import assert_type

import activeclient

with activeclient.connect("tcp://localhost:61616") as connection, connection.create_session() as session:
    queue = session.create_queue("orders")
    for message in session.create_consumer(queue).messages(timeout=1):
        assert_type(message, activeclient.Message)
        if isinstance(message, activeclient.TextMessage):
            print(message.text)
        elif isinstance(message, activeclient.MapMessage):
            print(message["number"], message.get_int("number") + 1)
    texts = session.create_consumer(queue, kind=activeclient.TextMessage)
    assert_type(texts, activeclient.MessageConsumer[activeclient.TextMessage])
    for text in texts.messages(timeout=1):
        assert_type(text.text, str | None)

def worker(consumer: activeclient.MessageConsumer) -> None:
    assert_type(consumer, activeclient.MessageConsumer[activeclient.Message])
""",
}
MISTAKES = {
    "a setting that does not exist": """
import activeclient

activeclient.connect("tcp://localhost:61616", retryInterval=50)
""",
    "a setting of the wrong type": """
import activeclient

activeclient.ActiveMQConnectionFactory("tcp://localhost:61616", retry_interval="50")
""",
    "an attribute that messages do not have": """
import activeclient

with activeclient.connect() as connection, connection.create_session() as session:
    print(session.create_consumer(session.create_queue("q")).receive(1).bodi)
""",
}
"""Programs that both type checkers must refuse."""
ANNOTATED_ELSEWHERE = (
    "--allow-untyped-defs",
    "--allow-incomplete-defs",
    "--allow-untyped-calls",
    "--allow-untyped-decorators",
    "--allow-redefinition-new",
    "--local-partial-types",
)


def files() -> Iterator[tuple[str, str]]:
    """Name and text of each module: the blocks of a page that share their names are one."""
    for page in PAGES:
        name = "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_").lower()
        found = list(blocks(page, "python"))
        together = [block.text for block in found if block.needs_broker]
        if together:
            yield f"page_{name}", "\n".join(together)
        for number, block in enumerate(block for block in found if not block.needs_broker):
            yield f"page_{name}_{number}", block.text
    for name, text in PROGRAMS.items():
        yield f"program_{name}", text


def run(tool: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *tool], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def incomplete(folder: Path) -> list[str]:
    """Names of the package whose type is missing, or could be inferred differently."""
    told = run(["pyright", "--pythonpath", sys.executable, "--verifytypes", "activeclient", "--ignoreexternal"], folder)
    if "Type completeness score: 100%" in told.stdout:
        return []
    lines = [line.strip() for line in told.stdout.splitlines() if " error:" in line and "partially unknown" not in line]
    return lines or [told.stdout[-2000:] + told.stderr[-2000:]]


def check(folder: Path, names: list[str], *, loose: bool) -> list[str]:
    """What both type checkers say against modules of `folder`."""
    paths = [f"{name}.py" for name in names]
    cache = f"--cache-dir={ROOT / '.mypy_cache'}"
    tools = (
        ["mypy", "--config-file=", "--strict", *(ANNOTATED_ELSEWHERE if loose else ()), cache, *paths],
        ["pyright", "--pythonpath", sys.executable, *paths],
    )
    said: list[str] = []
    for tool in tools:
        told = run(tool, folder)
        lines = [line.strip() for line in told.stdout.splitlines() if " error:" in line]
        said += lines if lines or told.returncode == 0 else [told.stdout[-2000:] + told.stderr[-2000:]]
    return said


def main() -> int:
    """Check everything; returns the exit code."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        written = dict(files())
        for name, text in written.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        said = check(folder, [name for name in written if name.startswith("page_")], loose=True)
        said += check(folder, [name for name in written if name.startswith("program_")], loose=False)
        said += incomplete(folder)
        for number, (what, text) in enumerate(MISTAKES.items()):
            (folder / f"mistake_{number}.py").write_text(text, encoding="utf-8")
            refused = check(folder, [f"mistake_{number}"], loose=False)
            if sum("error:" in line for line in refused) < 2:  # one of each tool at least
                said.append(f"not refused by both: {what}: {refused}")
    sys.stdout.write(("\n".join(said) or f"{len(written)} modules of users' code are typed as they should be") + "\n")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
