"""Where jndi.properties is found, and its lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import NamingError
from jndi_props.properties import MAX_FILE, VARIABLE, collect, find_file, parse


def written(directory: Path, name: str, text: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(text, encoding="latin-1")
    return path


def test_the_file_is_searched_for_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explicit = written(tmp_path, "explicit", "k=path")
    variable = written(tmp_path, "variable", "k=variable")
    written(tmp_path / "a", "jndi.properties", "k=sys.path")
    written(tmp_path / "b", "jndi.properties", "k=later")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "none"), str(tmp_path / "a"), str(tmp_path / "b")])
    assert collect(None, None)["k"].value == "sys.path"
    written(Path.cwd(), "jndi.properties", "k=working directory")
    assert collect(None, None)["k"].value == "working directory"
    monkeypatch.setenv(VARIABLE, str(variable))
    assert collect(None, None)["k"].value == "variable"
    assert collect(None, explicit)["k"].value == "path"
    assert collect({"k": "mapping"}, explicit)["k"].value == "mapping"


def test_a_mapping_wins_key_by_key(tmp_path: Path) -> None:
    path = written(tmp_path, "p", "a=1\nb=2")
    found = collect({"b": "3", "c": "4"}, path)
    assert {key: entry.value for key, entry in found.items()} == {"a": "1", "b": "3", "c": "4"}
    assert "mapping" in found["b"].origin


def test_without_any_file_there_are_no_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert find_file() is None
    assert collect(None, None) == {}


def test_a_file_that_was_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NamingError, match=r"path=.*no such file"):
        find_file(tmp_path / "none")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(NamingError, match=f"{VARIABLE}=.*no such file"):
        find_file()


def test_the_syntax_is_javas_and_each_entry_knows_its_line() -> None:
    found = parse(b"# c\n! c\n\na=1 # no comment  \nb: 2\\\n   3\r\nc 4\nd=\\u00e9\xe9\na=5\nurl=tcp://h#tcp://i", "f")
    assert {key: (entry.value, entry.origin) for key, entry in found.items()} == {
        "a": ("5", "f, line 9"),
        "b": ("23", "f, line 5"),
        "c": ("4", "f, line 7"),
        "d": ("éé", "f, line 8"),
        "url": ("tcp://h#tcp://i", "f, line 10"),
    }


def test_trailing_blanks_of_a_value_are_cut_off() -> None:
    assert parse(b"a=tcp://h \t\n", "f")["a"].value == "tcp://h"


def test_an_entry_does_not_show_its_value() -> None:
    assert "hunter2" not in repr(parse(b"a=tcp://h?password=hunter2", "f"))


def test_a_byte_order_mark_is_no_part_of_the_first_key_and_utf_16_is_an_error() -> None:
    assert parse(b"\xef\xbb\xbfa=1", "f")["a"].value == "1"
    for mark in (b"\xff\xfe", b"\xfe\xff"):
        with pytest.raises(NamingError, match="UTF-16"):
            parse(mark + b"a\0=\0", "f")


def test_a_broken_escape_is_an_error_with_the_file() -> None:
    with pytest.raises(NamingError, match=r"f.*escape"):
        parse(b"a=1\nb=\\u12", "f")


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"#" * (MAX_FILE + 1))
    with pytest.raises(NamingError, match="at most"):
        collect(None, path)


@given(st.binary())
def test_any_bytes_end_in_entries_or_a_naming_error(content: bytes) -> None:
    try:
        found = parse(content, "f")
    except NamingError:
        return
    assert all(entry.key == key for key, entry in found.items())
