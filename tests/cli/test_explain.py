"""The command line: what it prints, and what a wrong URL gets."""

from __future__ import annotations

import pytest

from activeclient.__main__ import main
from activeclient.version import __version__


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"activeclient {__version__}\n"


def test_explain_says_what_a_cut_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "tcp://broker:61616?profile=reliable"]) == 0
    out = capsys.readouterr().out
    assert "hosts     broker:61616\n" in out
    assert "on a cut  reattach:" in out
    assert "setting   duplicateDetection=True" in out


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
