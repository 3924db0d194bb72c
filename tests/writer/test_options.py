"""A writer's options, by every name that they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from activeclient.errors import ConfigError
from activeclient.writer import ReconnectOptions

LARGEST = 2**31 - 1


def test_the_defaults_are_those_of_the_stream_writer() -> None:
    assert ReconnectOptions() == ReconnectOptions(attempts=5, period=5000, unlimited=False, internal=True)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("ReconnectAttempts", 0, ReconnectOptions(attempts=0)),
        ("ReconnectAttempts", LARGEST, ReconnectOptions(attempts=LARGEST)),
        ("ReconnectAttempts", "7", ReconnectOptions(attempts=7)),
        ("ReconnectPeriod", 100, ReconnectOptions(period=100)),
        ("ReconnectPeriod", LARGEST, ReconnectOptions(period=LARGEST)),
        ("UseUnlimitedReconnect", 1, ReconnectOptions(unlimited=True)),
        ("UseUnlimitedReconnect", "0", ReconnectOptions()),
        ("PROPID_nanoRTMPUnlimitedReconnect", 1, ReconnectOptions(unlimited=True)),
        ("UseInternalReconnect", 0, ReconnectOptions(internal=False)),
        ("UseInternalReconnect", True, ReconnectOptions()),
    ],
)
def test_an_option_is_set_by_its_name(option: str, value: object, expected: ReconnectOptions) -> None:
    assert ReconnectOptions().with_option(option, value) == expected


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ReconnectAttempts", -1),
        ("ReconnectAttempts", LARGEST + 1),
        ("ReconnectAttempts", 1.5),
        ("ReconnectAttempts", True),
        ("ReconnectAttempts", "many"),
        ("ReconnectPeriod", 99),
        ("ReconnectPeriod", LARGEST + 1),
        ("UseUnlimitedReconnect", 2),
        ("UseInternalReconnect", None),
        ("reconnectattempts", 1),
    ],
)
def test_a_wrong_value_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(ConfigError, match=option):
        ReconnectOptions().with_option(option, value)


@pytest.mark.parametrize(
    ("options", "reconnects"),
    [
        (ReconnectOptions(), True),
        (ReconnectOptions(attempts=0), False),
        (ReconnectOptions(attempts=0, unlimited=True), True),
        (ReconnectOptions(period=100), True),
        (ReconnectOptions(period=99, unlimited=True), False),
    ],
)
def test_a_period_below_a_tenth_of_a_second_switches_reconnection_off(
    options: ReconnectOptions, reconnects: bool
) -> None:
    assert options.reconnects is reconnects


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '<reconnectinterval attempts="100" interval="6000" restartgraph="0" unlimitedattempts="0"/>',
            ReconnectOptions(attempts=100, period=6000),
        ),
        ('<reconnectinterval restartgraph="1"/>', ReconnectOptions(internal=False)),
        ('<reconnectinterval unlimitedattempts="true"/>', ReconnectOptions(unlimited=True)),
        ('<reconnectinterval interval="50"/>', ReconnectOptions(period=50)),
        (
            "<writer><reconnectinterval><attempts>3</attempts><interval> 200 </interval></reconnectinterval></writer>",
            ReconnectOptions(attempts=3, period=200),
        ),
        ("<reconnectinterval/>", ReconnectOptions()),
    ],
)
def test_xml_is_read_from_text_and_from_a_file(text: str, expected: ReconnectOptions, tmp_path: Path) -> None:
    assert ReconnectOptions.from_xml(text) == expected
    file = tmp_path / "options.xml"
    file.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}', encoding="utf-8")
    assert ReconnectOptions.from_xml(file) == expected
    assert ReconnectOptions.from_xml(str(file)) == expected


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<reconnectinterval attempts="1">&b;</reconnectinterval>'
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><reconnectinterval><attempts>&a;</attempts></reconnectinterval>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<reconnectinterval", "is no XML"),
        ("<other/>", "must have this element once, not 0 times"),
        ("<a><reconnectinterval/><reconnectinterval/></a>", "not 2 times"),
        ('<reconnectinterval attempt="1"/>', "reconnectinterval/attempt: unknown; known are attempts, interval"),
        ('<reconnectinterval attempts="-1"/>', "attempts='-1'|attempts=-1"),
        ('<reconnectinterval restartgraph="maybe"/>', "must be 0 or 1"),
        ('<reconnectinterval attempts="1"><attempts>2</attempts></reconnectinterval>', "is given twice"),
        (BOMB, "is not safe to read"),
        (OUTSIDE, "is not safe to read"),
        (f"<reconnectinterval>{' ' * 70_000}</reconnectinterval>", "larger than 65536 bytes"),
        ("no-such-file.xml", "cannot be read"),
    ],
)
def test_what_is_wrong_with_xml_is_said(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        ReconnectOptions.from_xml(text)
