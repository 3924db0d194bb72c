"""What the options mean: whose broker, which destination, and URLs with a parameter changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.cli.options import destination, pairs, queue, target, with_parameters
from activeclient.destination import Queue, Topic
from activeclient.errors import ConfigError
from activeclient.urls import parse_url


def test_user_and_password_of_the_url_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQ_USER", "env")
    monkeypatch.setenv("AMQ_PASSWORD", "from-env")
    assert target("tcp://h?user=me&password=mine").settings == {}
    assert target("tcp://h").settings == {"user": "env", "password": "from-env"}


def test_an_option_wins_over_the_url(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first line\nsecond\n")
    assert target("tcp://h?user=me&password=mine", "other", file).settings == {
        "user": "other",
        "password": "first line",
    }


def test_the_target_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQ_PASSWORD", "marker")
    made = target("tcp://h?keyStorePassword=marker")
    assert "marker" not in repr(made) + made.shown


def test_without_a_url_the_environment_names_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQ_HOST", "elsewhere")
    assert target(None).url == "tcp://elsewhere:61616"


def test_a_password_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        target("tcp://h", None, tmp_path / "absent")
    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        target("tcp://h", None, broken)


def test_a_bare_name_is_a_queue_and_prefixes_say_otherwise() -> None:
    assert destination("orders") == Queue("orders")
    assert destination("queue://orders") == Queue("orders")
    assert destination("topic://prices") == Topic("prices")
    assert destination("prices::mine").queue_name == "mine"


@pytest.mark.parametrize("text", ["", "::x", "orders?nonsense=1"])
def test_a_wrong_destination_is_a_usage_error(text: str) -> None:
    with pytest.raises(ConfigError):
        destination(text)


def test_a_topic_is_no_queue_to_browse() -> None:
    with pytest.raises(ConfigError, match="must be a queue"):
        queue("topic://prices")


def test_pairs_are_split_at_the_first_sign() -> None:
    assert pairs("--property", ["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    for wrong in ("a", "=1"):
        with pytest.raises(ConfigError, match="must be name=value"):
            pairs("--property", [wrong])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://h:1", "tcp://h:1?ha=true"),
        ("tcp://h:1?x=1", "tcp://h:1?x=1&ha=true"),
        ("tcp://h:1?ha=false&x=1", "tcp://h:1?x=1&ha=true"),
        ("tcp://h:1?%68a=false", "tcp://h:1?ha=true"),
        ("tcp://h:1?a=1;ha=false", "tcp://h:1?a=1&ha=true"),
        ("(tcp://a:1?y=2,tcp://b:2)?x=1", "(tcp://a:1?y=2,tcp://b:2)?x=1&ha=true"),
        ("(tcp://a:1?y=2,tcp://b:2)", "(tcp://a:1?y=2,tcp://b:2)?ha=true"),
        ("tcp://a:1?x=1#tcp://b:2", "tcp://a:1?x=1&ha=true#tcp://b:2"),
    ],
)
def test_a_parameter_is_set_wherever_the_url_keeps_them(url: str, expected: str) -> None:
    assert with_parameters(url, ha="true") == expected


def test_an_empty_value_removes_the_parameter() -> None:
    assert with_parameters("tcp://h:1?trustAll=true&x=1", trustAll="") == "tcp://h:1?x=1"
    assert with_parameters("tcp://h:1?trustAll=true", trustAll="") == "tcp://h:1"


@given(
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True),
    st.dictionaries(st.sampled_from(["ha", "retryInterval", "callTimeout"]), st.integers(1, 9).map(str)),
    st.sampled_from(["callTimeout", "retryInterval"]),
)
def test_the_changed_url_has_the_new_value_and_all_others(hosts: list[str], before: dict[str, str], key: str) -> None:
    listed = ",".join(f"tcp://{host}:1" for host in hosts)
    url = (listed if len(hosts) == 1 else f"({listed})") + "?" + "&".join(f"{k}={v}" for k, v in before.items())
    after = parse_url(with_parameters(url, **{key: "77"}))
    assert dict(after.parameters) == {**before, key: "77"}
    assert [endpoint.host for endpoint in after.endpoints] == hosts
