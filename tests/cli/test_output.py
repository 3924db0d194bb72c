"""What reaches stdout and stderr, and in which form."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.cli.output import Output, harmless, plain, seconds_of


def test_results_go_to_stdout_and_remarks_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.line("result")
    output.note("remark")
    output.error("why", kind="JMSError", code=5)
    assert capsys.readouterr() == ("result\n", "remark\nactiveclient: why\n")


def test_in_json_there_are_no_remarks_and_errors_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.record({"a": 1})
    output.note("remark")
    output.error("why", kind="JMSError", code=5)
    told = capsys.readouterr()
    assert told.out == '{"a": 1}\n'
    assert json.loads(told.err) == {"error": "JMSError", "message": "why", "exit_code": 5}


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert harmless("a\x1b[2Jb\x07\r\n\tc") == "a\\x1b[2Jb\\x07\\r\n\tc"


def test_lone_surrogates_are_written_out_and_not_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    Output().line("\ud800")
    Output(as_json=True).record({"a": "\ud800"})
    assert capsys.readouterr().out == '\\ud800\n{"a": "\\ud800"}\n'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), VALUES))
def test_any_value_becomes_json_that_every_reader_takes(value: dict[str, object]) -> None:
    def no_constants(text: str) -> object:
        raise AssertionError(text)

    json.loads(json.dumps(plain(value)), parse_constant=no_constants)


def test_bytes_are_marked_and_numbers_that_are_none_are_text() -> None:
    assert plain({"b": b"\x00\x01", "n": math.nan, "i": math.inf}) == {"b": {"base64": "AAE="}, "n": "nan", "i": "inf"}


def test_no_limit_is_none() -> None:
    assert seconds_of(0) is None
    assert seconds_of(None) is None
    assert seconds_of(2.5) == 2.5
