"""Settings: declared once, checked always, never guessed."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient import foreign_keys
from activeclient.errors import ConfigError
from activeclient.foreign_keys import KNOWN_UNUSED, UNSUPPORTED
from activeclient.parameter import FOREVER, Parameter, Value
from activeclient.settings import (
    PROFILES,
    ReconnectSettings,
    Settings,
    TLSSettings,
    explain_cut,
    parameters,
    seconds,
)

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _nothing_logged_before() -> None:
    foreign_keys._logged.clear()


def test_the_defaults_are_those_of_the_manual() -> None:
    s = Settings()
    assert (s.retry_interval, s.retry_interval_multiplier, s.max_retry_interval) == (2000, 1.0, 2000)
    assert (s.reconnect_attempts, s.initial_connect_attempts, s.failover_attempts) == (0, 1, 0)
    assert (s.call_timeout, s.call_failover_timeout) == (30000, 30000)
    assert (s.client_failure_check_period, s.connection_ttl) == (30000, 60000)
    assert (s.confirmation_window_size, s.producer_window_size, s.consumer_window_size) == (-1, 65536, 1048576)
    assert (s.block_on_durable_send, s.block_on_non_durable_send, s.block_on_acknowledge) == (True, False, False)
    assert (s.ha, s.verify_host, s.trust_all, s.min_large_message_size) == (False, True, False, 102400)


@pytest.mark.parametrize("parameter", tuple(parameters()), ids=lambda p: p.key)
def test_every_default_obeys_its_own_rule_and_survives_as_text(parameter: Parameter) -> None:
    assert parameter.checked(parameter.default) == parameter.default
    if isinstance(parameter.default, bool | int | float):
        assert getattr(Settings.from_parameters({parameter.key: str(parameter.default)}), parameter.attribute) == (
            parameter.default
        )


def test_no_key_is_declared_twice_and_each_has_a_doc() -> None:
    keys = [key for p in parameters() for key in (p.key, *p.aliases)]
    assert len(keys) == len(set(keys))
    assert not set(keys) & (set(KNOWN_UNUSED) | set(UNSUPPORTED))
    assert all(p.doc.endswith(".") for p in parameters())
    assert {p.attribute for p in parameters()} == {f.name for f in dataclasses.fields(Settings)}


@pytest.mark.parametrize(
    ("key", "text", "rule"),
    [
        ("retryInterval", "abc", "whole number of milliseconds"),
        ("retryInterval", "", "whole number"),
        ("retryInterval", "1s", "without unit or fraction"),
        ("retryInterval", "1.5", "without unit or fraction"),
        ("retryInterval", "1_000", "whole number"),
        ("retryInterval", "\u0661", "whole number"),
        ("retryInterval", "0", ">= 1"),
        ("retryInterval", "9223372036854775808", ">= 1"),
        ("confirmationWindowSize", "1M", "whole number of bytes"),
        ("confirmationWindowSize", "-2", "-1 or >= 0"),
        ("confirmationWindowSize", "2147483648", "-1 or >= 0"),
        ("reconnectAttempts", "-2", "-1 or >= 0"),
        ("callTimeout", "-1", ">= 1"),
        ("retryIntervalMultiplier", "abc", "a number"),
        ("retryIntervalMultiplier", "nan", "a number"),
        ("retryIntervalMultiplier", "0.5", ">= 1"),
        ("retryJitter", "1.1", "between 0 and 1"),
        ("ha", "maybe", "true or false"),
        ("ha", "", "true or false"),
        ("compressionLevel", "10", "<= 9"),
        ("localPort", "70000", "<= 65535"),
        ("type", "cf", "one of CF"),
        ("connectionLoadBalancingPolicyClassName", "com.example.Mine", "one of RoundRobin"),
        ("enabledProtocols", "SSLv3", "TLSv1.2"),
        ("trustStoreType", "BKS", "one of PEM"),
        ("profile", "careless", "one of artemis, reliable"),
    ],
)
def test_a_bad_value_is_an_error_that_names_key_and_rule(key: str, text: str, rule: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_parameters({key: text})
    assert caught.value.key == key
    assert rule in caught.value.rule


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("retryInterv", "did you mean retryInterval?"),
        ("RetryInterval", "case-sensitive, write retryInterval"),
        ("connectionTtl", "case-sensitive, write connectionTTL"),
        ("usenio", "case-sensitive, write useNio"),
        ("retry_interval", "as a key it is retryInterval"),
        ("qqqqqqqq", "unknown parameter"),
        ("username", "did you mean user?"),
        ("userName", "did you mean user?"),
        ("passwd", "did you mean password?"),
        ("connectionTimeout", "did you mean connect-timeout-millis?"),
        ("connect_timeout_ms", "connect-timeout-millis"),
        ("maxReconnectAttempts", "did you mean reconnectAttempts?"),
        ("initialReconnectDelay", "did you mean retryInterval?"),
        ("useExponentialBackOff", "did you mean retryIntervalMultiplier?"),
        ("heartbeat", "did you mean clientFailureCheckPeriod?"),
        ("prefetch", "did you mean consumerWindowSize?"),
        ("useSSL", "did you mean sslEnabled?"),
        ("trustStore", "did you mean trustStorePath?"),
        ("keyfile", "did you mean privateKeyPath?"),
        ("verifyHostName", "did you mean verifyHost?"),
        ("clientId", "write clientID"),
        ("client_id", "as a key it is clientID"),
        ("compressLargeMessages", "did you mean compressLargeMessage?"),
        ("retyrInterval", "did you mean retryInterval?"),
        (
            "jms.prefetchPolicy.all",
            "ActiveMQ Classic's client, which has no effect on Artemis' protocol; did you mean consumerW",
        ),
        (
            "jms.useAsyncSend",
            "Classic's client, which has no effect on Artemis' protocol; did you mean blockOnDurableSend?",
        ),
        ("jms.clientID", "did you mean clientID?"),
        ("jms.redeliveryPolicy.maximumRedeliveries", "is set on the broker"),
        ("wireFormat.maxInactivityDuration", "did you mean connectionTTL?"),
        ("wireFormat.nothing", "Classic"),
        ("socket.verifyHostName", "did you mean verifyHost?"),
        ("broker.persistent", "EmbeddedBroker"),
        ("transport.connectTimeout", "did you mean connect-timeout-millis?"),
        ("amqp.idleTimeout", "Qpid JMS (AMQP); did you mean connectionTTL?"),
        ("failover.maxReconnectAttempts", "did you mean reconnectAttempts?"),
        ("QUEUE_CF", "write type=QUEUE_CF"),
        ("vhost", "no virtual hosts"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_known_one(key: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(hint)):
        Settings.from_parameters({key: "1"})


def test_an_unknown_attribute_is_an_error_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match=r"did you mean retry_interval\?"):
        Settings().replace(retry_intervall=1)
    for word, attribute in (
        ("username", "user"),
        ("connection_timeout", "connect_timeout"),
        ("cafile", "trust_store_path"),
    ):
        with pytest.raises(ConfigError, match=rf"did you mean {attribute}\?"):
            Settings().replace(**{word: "x"})
    with pytest.raises(ConfigError, match="as an attribute it is retry_interval"):
        Settings().replace(retryInterval=1)


def test_values_in_python_are_checked_like_texts() -> None:
    with pytest.raises(ConfigError, match="retryInterval=0: must be >= 1"):
        Settings(retry_interval=0)
    with pytest.raises(ConfigError, match="retryInterval"):
        ReconnectSettings(retry_interval=-5)
    with pytest.raises(ConfigError, match="whole number"):
        Settings().replace(retry_interval=True)
    with pytest.raises(ConfigError, match="whole number"):
        Settings().replace(retry_interval="5")
    with pytest.raises(ConfigError, match="true or false"):
        Settings().replace(ha=1)
    with pytest.raises(ConfigError, match="a number"):
        Settings().replace(retry_jitter=float("nan"))
    with pytest.raises(ConfigError, match="text"):
        Settings().replace(user=5)
    with pytest.raises(ConfigError, match="NUL"):
        Settings().replace(user="a\0b")


def test_an_int_does_for_a_float() -> None:
    assert type(Settings(retry_interval_multiplier=2).retry_interval_multiplier) is float


def test_aliases_and_short_names_work() -> None:
    s = Settings.from_parameters({"multiplier": "2", "HA": "yes", "trustStoreType": "p12"})
    assert (s.retry_interval_multiplier, s.ha, s.trust_store_type) == (2.0, True, "PKCS12")
    name = "org.apache.activemq.artemis.api.core.client.loadbalance.RandomStickyConnectionLoadBalancingPolicy"
    policy = "connectionLoadBalancingPolicyClassName"
    assert Settings.from_parameters({policy: name}).load_balancing_policy == "RandomSticky"
    assert Settings.from_parameters({policy: "Random"}).load_balancing_policy == "Random"


def test_the_profile_reliable_brings_its_values_and_explicit_keys_win_in_any_order() -> None:
    s = Settings.from_parameters({"profile": "reliable"})
    assert {name: getattr(s, name) for name in PROFILES["reliable"]} == dict(PROFILES["reliable"])
    assert (s.initial_connect_attempts, s.profile) == (1, "reliable")
    for texts in (
        {"profile": "reliable", "reconnectAttempts": "7", "multiplier": "3"},
        {"reconnectAttempts": "7", "multiplier": "3", "profile": "reliable"},
    ):
        s = Settings.from_parameters(texts)
        assert (s.reconnect_attempts, s.retry_interval_multiplier, s.retry_interval) == (7, 3.0, 50)
    assert Settings().replace(retry_interval=9, profile="reliable").retry_interval == 9


def test_a_change_after_the_profile_does_not_apply_the_profile_again() -> None:
    s = Settings.from_parameters({"profile": "reliable", "retryInterval": "9"}).replace(ha=True)
    assert s.retry_interval == 9
    assert s.effective.retry_interval == 9
    assert Settings.from_parameters({"ha": "true"}, base=s).retry_interval == 9


def test_an_unknown_key_behind_a_password_is_shown_only_if_it_is_like_one_of_ours() -> None:
    for texts in ({"password": "head", "tail": ""}, {"password": "head", "tail": "x"}, {"passwd": "x"}):
        with pytest.raises(ConfigError) as caught:
            Settings.from_parameters(texts)
        assert ("tail" in str(caught.value), "head" in str(caught.value)) == (False, False)
    with pytest.raises(ConfigError, match=r"callTimout: .*did you mean callTimeout"):
        Settings.from_parameters({"password": "head", "callTimout": "5"})
    with pytest.raises(ConfigError, match="tail"):
        Settings.from_parameters({"tail": "x", "password": "head"})


def test_secrets_are_in_no_repr_and_in_no_error() -> None:
    s = Settings(user="me", password="hunter2", key_store_password="hunter2", trust_store_password="hunter2")
    assert "hunter2" not in repr(s)
    assert "password=***" in repr(s)
    assert "user='me'" in repr(s)
    for call in (
        lambda: Settings(password="ENC(hunter2)"),
        lambda: Settings().replace(password=b"hunter2"),  # type: ignore[arg-type]
        lambda: Settings.from_parameters({"keyStorePassword": "hunter2\0"}),
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        assert "hunter2" not in str(caught.value)


def test_repr_shows_only_what_differs_from_the_defaults() -> None:
    assert repr(Settings()) == "Settings()"
    assert repr(Settings(retry_interval=5)) == "Settings(retry_interval=5)"


def test_keys_without_use_are_accepted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "activeclient.settings"):
        for _ in range(3):
            made = Settings.from_parameters({"useNio": "true", "nettyHttpHeader.X": "y", "threadPoolMaxSize": "10"})
    assert made == Settings()
    assert [r.message.split()[0] for r in caplog.records] == ["useNio", "nettyHttpHeader.*", "threadPoolMaxSize"]


@pytest.mark.parametrize("key", tuple(UNSUPPORTED))
def test_a_feature_that_is_missing_is_an_error_when_switched_on_and_none_when_off(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_parameters({key: "true"})
    assert caught.value.key == key
    assert Settings.from_parameters({key: UNSUPPORTED[key].harmless[0]}) == Settings()


def test_a_check_period_not_shorter_than_the_ttl_is_warned_of_and_halved(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "activeclient.settings"):
        s = Settings.from_parameters({"clientFailureCheckPeriod": "6000", "connectionTTL": "1000"})
    assert s.client_failure_check_period == 6000
    assert s.effective.client_failure_check_period == 500
    assert "pinging every 500 ms instead" in caplog.text
    for off in ({"connection_ttl": -1}, {"client_failure_check_period": -1}):
        assert Settings(**off).warnings() == ()
        assert Settings(**off).effective.client_failure_check_period == Settings(**off).client_failure_check_period


def test_effective_values_are_in_relation_to_each_other() -> None:
    s = Settings(retry_interval=3000, initial_connect_attempts=0, write_buffer_low_water_mark=10**6).effective
    assert (s.retry_interval, s.initial_connect_attempts, s.connect_timeout) == (2000, 1, 60000)
    assert s.write_buffer_low_water_mark == s.write_buffer_high_water_mark
    assert s.warnings() == ()
    assert Settings(connection_ttl=-1).effective.connect_timeout == 60000
    assert Settings(connect_timeout=5).effective.connect_timeout == 5


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"retry_interval": 3000}, "every pause is the shorter one"),
        ({"confirmation_window_size": 0, "reconnect_attempts": 1}, "use 1 or more"),
        ({"trust_all": True}, "not encrypted"),
        ({"confirmation_window_size": 5}, "has no use with reconnectAttempts=0"),
    ],
)
def test_doubtful_combinations_are_warned_of(changes: dict[str, Value], part: str) -> None:
    assert [part in warning for warning in Settings().replace(**changes).warnings()] == [True]
    (conflict,) = Settings().replace(**changes).conflicts()
    assert Settings().replace(**{**changes, **conflict.instead}).conflicts() == ()


def test_neither_the_defaults_nor_the_profiles_are_doubtful() -> None:
    for profile in PROFILES:
        assert Settings().replace(profile=profile).warnings() == ()


def test_a_cut_is_explained_in_one_line() -> None:
    assert explain_cut(Settings()).startswith("fail: ")
    recreate = explain_cut(Settings(reconnect_attempts=-1))
    assert recreate.startswith("recreate: ")
    assert "tried for ever, pauses from 2000 to 2000 ms" in recreate
    assert explain_cut(Settings(reconnect_attempts=-1, confirmation_window_size=0)).startswith("recreate: ")
    reliable = explain_cut(Settings().replace(profile="reliable"))
    assert reliable.startswith("reattach: ")
    assert "within 60 s" in reliable
    assert "duplicate id" in reliable
    assert "tried 3 times" in explain_cut(Settings(reconnect_attempts=3))
    assert not any("\n" in line for line in (recreate, reliable))


def test_a_cut_is_explained_for_the_broker_at_hand() -> None:
    reliable = Settings().replace(profile="reliable")
    assert "if the broker reattaches sessions" in explain_cut(reliable)
    able = explain_cut(reliable, reattaches=True)
    assert able.startswith("reattach: sessions go on if the connection is back within 60 s")
    unable = explain_cut(reliable, reattaches=False)
    assert unable.startswith("recreate: sessions are made anew (this broker does not reattach them)")
    without = explain_cut(Settings(reconnect_attempts=-1), reattaches=True)
    assert without.startswith("recreate: sessions are made anew (confirmationWindowSize=-1)")


def test_a_cut_of_a_connection_with_a_strategy_is_explained_by_it() -> None:
    assert "tried as the application's strategy decides" in explain_cut(Settings(), asks=True)


@pytest.mark.parametrize(
    ("attempts", "rounds", "hosts", "told"),
    [
        (0, 3, 1, "fail: a cut closes the connection for good (reconnectAttempts=0; failoverAttempts=3 needs a second"),
        (0, -1, 1, "failoverAttempts=-1 needs a second broker"),
        (0, 3, 2, "tried 3 rounds at the other brokers, pauses"),
        (0, 3, None, "tried 3 rounds at the other brokers, if the URL names any, pauses"),
        (2, 3, 1, "tried 2 times, pauses"),
        (2, 3, 2, "tried 2 times, then 3 rounds at the other brokers, pauses"),
        (1, -1, 2, "tried 1 time, then for ever at the other brokers, pauses"),
        (1, 1, None, "tried 1 time, then 1 round at the other brokers, if the URL names any, pauses"),
        (-1, 3, 2, "tried for ever, pauses"),
        (0, 0, 2, "fail: a cut closes the connection for good (reconnectAttempts=0); profile"),
    ],
)
def test_the_attempts_after_a_cut_are_those_that_will_be_made(
    attempts: int, rounds: int, hosts: int | None, told: str
) -> None:
    settings = Settings(reconnect_attempts=attempts, failover_attempts=rounds)
    assert told in explain_cut(settings, hosts=hosts)


def test_settings_are_each_of_their_groups() -> None:
    s = Settings(trust_all=True)
    tls: TLSSettings = s.tls
    assert tls.trust_all
    assert s.reconnect.retry_interval == s.windows.group_id or s.reconnect.retry_interval == 2000
    assert {p.group for p in parameters()} == {base.__name__ for base in Settings.__bases__} | {"Settings"}


def test_milliseconds_become_seconds_and_negative_ones_nothing() -> None:
    assert seconds(1500) == 1.5
    assert seconds(0) == 0
    assert seconds(-1) is None
    assert seconds(2**63 - 1) == FOREVER


@given(
    st.dictionaries(
        st.sampled_from(sorted({*(p.key for p in parameters()), *KNOWN_UNUSED, *UNSUPPORTED})) | st.text(max_size=20),
        st.text(max_size=20) | st.integers().map(str) | st.floats().map(str) | st.sampled_from(["true", "off"]),
        max_size=4,
    )
)
def test_any_texts_end_in_settings_or_in_a_config_error(texts: dict[str, str]) -> None:
    try:
        made = Settings.from_parameters(texts)
    except ConfigError:
        return
    assert made.effective.effective == made.effective
    assert explain_cut(made)


def test_the_page_of_parameters_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert page == generate.parameters_page(), "run python docs/generate.py"
    assert all(f"`{p.key}`" in page for p in parameters())
