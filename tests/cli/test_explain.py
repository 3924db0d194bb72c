"""`activeclient explain`: what it prints, and what a wrong URL gets."""

from __future__ import annotations

import json

import pytest

from activeclient.__main__ import main


def test_explain_says_what_a_cut_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "tcp://broker:61616?profile=reliable"]) == 0
    out = capsys.readouterr().out
    assert "hosts     broker:61616\n" in out
    assert "on a cut  reattach:" in out
    assert "setting   duplicateDetection=True" in out


def test_explain_in_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "(tcp://a:1,tcp://b:2)?retryInterval=5&password=marker", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hosts"] == ["a:1", "b:2"]
    assert found["settings"] == {"retryInterval": 5, "password": "***"}
    assert found["on_a_cut"].startswith("fail:")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("tcp://a:1?failoverAttempts=3", "fail: "),
        ("(tcp://a:1,tcp://A:1)?failoverAttempts=3", "fail: "),
        ("(tcp://a:1,tcp://b:1)?failoverAttempts=3", "tried 3 rounds at the other brokers"),
    ],
)
def test_explain_counts_the_brokers(url: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", url]) == 0
    assert told in capsys.readouterr().out


def test_explain_shows_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "tcp://broker:61616?user=me&password=marker"]) == 0
    out = capsys.readouterr().out
    assert "marker" not in out
    assert "setting   password=***" in out


def test_explain_warns_of_a_window_without_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "tcp://broker:61616?confirmationWindowSize=1000"]) == 0
    assert "warning   confirmationWindowSize has no use with reconnectAttempts=0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("tcp://broker:61616?reconectAttempts=1", "did you mean reconnectAttempts?"),
        ("tcp://broker:61616?retryInterval=1s", "retryInterval"),
        ("tcp://broker:61616?retryinterval=1", "write retryInterval"),
    ],
)
def test_a_wrong_url_is_told_with_its_key(url: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", url]) == 2
    assert text in capsys.readouterr().err
