"""What docs/architecture.md says of layers and files is so."""

from __future__ import annotations

import configparser
import re

from tests.pages import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_table_of_layers_is_that_of_the_check() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    checked = setup["importlinter:contract:layers"]["layers"].split("\n")
    wanted = [sorted(re.split(r" [:|] ", layer)) for layer in checked if layer]
    rows = PAGE.partition("| layer | knows |")[2].partition("\n\n")[0].splitlines()[2:]
    told = [sorted(re.findall(r"`(\w+)`", row.split("|")[1])) for row in rows]
    assert told == wanted


def test_each_file_that_is_named_is_there() -> None:
    named = re.findall(r"`(\w+(?:/\w+)*(?:\.py|/))`", PAGE)
    assert len(named) > 10
    assert not [name for name in named if not ((ROOT / name).exists() or (ROOT / "activeclient" / name).exists())]
