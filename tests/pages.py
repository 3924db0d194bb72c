"""The pages of documentation, and the blocks of code in them.

Law of this file: a block is what stands between fences, as a reader would copy it. A Python block that says `broker`
after the language needs one; those of a page share one namespace, in their order. All others stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_FENCE = re.compile(r"^```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its page, the line where its text begins, its language, and whether it needs a broker."""

    page: Path
    line: int
    language: str
    needs_broker: bool
    text: str

    def run(self, namespace: dict[str, object]) -> None:
        """Execute it; tracebacks name page and line."""
        source = "\n" * (self.line - 1) + self.text
        exec(compile(source, str(self.page.relative_to(ROOT)), "exec"), namespace)

    @property
    def where(self) -> str:
        """`page:line`."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str) -> Iterator[Block]:
    """The blocks of one language on a page."""
    content = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(content):
        if found["language"] == language:
            line = content.count("\n", 0, found.start("text")) + 1
            yield Block(page, line, language, "broker" in found["rest"].split(), found["text"])


def pages_with(language: str, *, broker: bool) -> list[Path]:
    """The pages that have a block of the language which needs a broker, or one which needs none."""
    return [page for page in PAGES if any(block.needs_broker is broker for block in blocks(page, language))]
