"""URLs: every text ends in hosts and parameters, or in an error that shows no password."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activeclient.errors import ConfigError
from activeclient.settings import Settings
from activeclient.urls import (
    MAX_URL,
    ParsedURL,
    default_parameters,
    default_url,
    endpoint_settings,
    masked,
    parse_url,
)


def hosts(url: str) -> list[str]:
    return [str(endpoint) for endpoint in parse_url(url).endpoints]


@pytest.mark.parametrize(
    ("url", "scheme", "expected", "parameters"),
    [
        ("tcp://localhost:61616", "tcp", ["localhost:61616"], {}),
        ("tcp://localhost", "tcp", ["localhost:61616"], {}),
        ("tcp://localhost/", "tcp", ["localhost:61616"], {}),
        (" TCP://localhost:1 ", "tcp", ["localhost:1"], {}),
        ("\ufefftcp://localhost:1", "tcp", ["localhost:1"], {}),
        ("(tcp://a:1, tcp://b:2)?k=v", "tcp", ["a:1", "b:2"], {"k": "v"}),
        ("vm://0", "vm", ["0:0"], {}),
        ("tcp://[::1]:61616", "tcp", ["[::1]:61616"], {}),
        ("tcp://[fe80::1%eth0]:1", "tcp", ["[fe80::1%eth0]:1"], {}),
        ("tcp://[::1]", "tcp", ["[::1]:61616"], {}),
        ("tcp://h:1?a=1&b=2", "tcp", ["h:1"], {"a": "1", "b": "2"}),
        ("tcp://h:1?a=1;b=2", "tcp", ["h:1"], {"a": "1", "b": "2"}),
        ("tcp://h:1?a=1&b=2&a=3", "tcp", ["h:1"], {"b": "2", "a": "3"}),
        ("tcp://h:1?user=a+b%26c%C3%A9", "tcp", ["h:1"], {"user": "a b&cé"}),
        ("tcp://h:1?ha&x=", "tcp", ["h:1"], {"ha": "", "x": ""}),
        ("tcp://h:1?&&", "tcp", ["h:1"], {}),
        ("tcp://h:1?a=b=c", "tcp", ["h:1"], {"a": "b=c"}),
        ("(tcp://a:1,tcp://b:2)?k=v", "tcp", ["a:1", "b:2"], {"k": "v"}),
        ("(tcp://a:1,tcp://b:2)", "tcp", ["a:1", "b:2"], {}),
        ("(tcp://a:1)?k=v#tcp://b:2", "tcp", ["a:1", "b:2"], {"k": "v"}),
        ("tcp://a:1?k=v#tcp://b:2,tcp://c", "tcp", ["a:1", "b:2", "c:61616"], {"k": "v"}),
        ("tcp://h?enabledProtocols=TLSv1.2,TLSv1.3", "tcp", ["h:61616"], {"enabledProtocols": "TLSv1.2,TLSv1.3"}),
    ],
)
def test_the_forms_of_a_url(url: str, scheme: str, expected: list[str], parameters: dict[str, str]) -> None:
    parsed = parse_url(url)
    assert parsed.scheme == scheme
    assert hosts(url) == expected
    assert dict(parsed.parameters) == parameters


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("", "must not be empty"),
        ("localhost:61616", "needs its scheme"),
        ("tcp:localhost", "needs its scheme"),
        ("gopher://h:1", "unknown scheme gopher; known are tcp and vm"),
        ("http://h:1", "HTTP tunnels are not supported"),
        ("stomp://h:61613", "STOMP is another protocol; this client speaks CORE"),
        ("amqp://h:5672", "AMQP is another protocol; this client speaks CORE"),
        ("AMQPS://h", "tcp://host:61616"),
        ("mqtt://h:1883", "MQTT"),
        ("nio://h:61616", "write tcp://host:port"),
        ("ssl+tcp://h:1", "sslEnabled=true"),
        ("tcp://a:1;tcp://b:2", "need parentheses"),
        ("tcp://a:1|tcp://b:2", "need parentheses"),
        ("tcp://a:1 tcp://b:2", "need parentheses"),
        ("tcp://a:1?ha=true;tcp://b:2", "need parentheses"),
        ("(tcp://a:1;tcp://b:2)?ha=true", "separated by commas"),
        ("tcp://(a:1,b:2)", "around the list"),
        ("static:(tcp://a:1,tcp://b:2)", "Classic"),
        ("failover://(tcp://a:1,tcp://b:2)?timeout=3", "Classic"),
        ("discovery:(multicast://default)", "multicast"),
        ("tcp://${HOST:localhost}:61616", "placeholder"),
        ("${BROKER_URL}", "placeholder"),
        ("tcp://{{ host }}:61616", "placeholder"),
        ("tcp://#{host}:61616", "placeholder"),
        ("tcp://<host>:61616", "placeholder"),
        ("tcp://$HOST:61616", "placeholder"),
        ("tcp://%BROKER%:61616", "placeholder"),
        ('"tcp://h:1"', "quotes"),
        ("'tcp://h:1'", "quotes"),
        ("tcp://h:1?ha=true&amp;reconnectAttempts=-1", "write & for &amp;"),
        ("tcp%3A%2F%2Fh%3A1", "percent-encoded as a whole"),
        ("connectionFactory.CF=tcp://h:1", "key of a properties file"),
        ("tcp:\\\\h:1", "backslash"),
        ("tcp://h:1&ha=true", "parameters begin with ?"),
        ("tcp://h:1;ha=true", "parameters begin with ?"),
        ("tcp://h:1?ha=true?reconnectAttempts=-1", "not by another ?"),
        ("udp://231.7.7.7:9876", "multicast"),
        ("jgroups://channel?file=x.xml", "JGroups"),
        ("ssl://h:1", "sslEnabled=true"),
        ("failover:(tcp://a:1,tcp://b:1)", "Classic"),
        ("tcp://", "host is missing"),
        ("tcp://:61616", "host is missing"),
        ("tcp://h:", "between 1 and 65535"),
        ("tcp://h:0", "between 1 and 65535"),
        ("tcp://h:65536", "between 1 and 65535"),
        ("tcp://h:x", "between 1 and 65535"),
        ("tcp://h:-1", "between 1 and 65535"),
        ("tcp://::1:61616", "needs brackets"),
        ("tcp://[::1", "after the brackets"),
        ("tcp://[x]:1", "IPv6"),
        ("tcp://[::1]61616", "after the brackets"),
        ("tcp://h h:1", "blanks"),
        ("tcp://h:1?a=b c", "write a blank in a value as %20"),
        ("tcp://h:1/path", "path"),
        ("tcp://a:1,tcp://b:2", "several hosts need parentheses"),
        ("tcp://a:1?x=1,tcp://b:2", "several hosts need parentheses"),
        ("tcp://a:1,b:2", "several hosts need parentheses"),
        ("(tcp://a:1,b:2)", "each its scheme"),
        ("(tcp://a:1,tcp://b:2", "not closed"),
        ("(tcp://a:1)x", "may follow the closing parenthesis"),
        ("()", "needs its scheme"),
        ("(tcp://a:1,vm://b)", "one scheme"),
        ("vm://a:1", "vm has no ports"),
        ("tcp://h:1?a=%zz", "hexadecimal"),
        ("tcp://h:1?a=%ff", "UTF-8"),
        ("tcp://h:1?=v", "no name"),
        ("tcp://user:hunter2@h:1", "user=...&password=..."),
        ("(tcp://a:1,tcp://b:2?reconnectAttempts=1)", "reconnectAttempts is for all hosts"),
        ("tcp://h:1?" + "a" * MAX_URL, "at most"),
        ("(" + ",".join(["tcp://h:1"] * 257) + ")", "at most 256 hosts"),
    ],
)
def test_what_is_no_url_is_an_error_that_says_why(url: str, rule: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert caught.value.key == "url"
    assert rule in caught.value.rule
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_host_has_transport_parameters_of_its_own() -> None:
    parsed = parse_url("(tcp://a:1,tcp://b:2?tcpNoDelay=false&sniHost=x)?sslEnabled=true")
    common = parsed.settings()
    first, second = (endpoint_settings(endpoint, common) for endpoint in parsed.endpoints)
    assert (first.tcp_no_delay, first.sni_host, first.ssl_enabled) == (True, None, True)
    assert (second.tcp_no_delay, second.sni_host, second.ssl_enabled) == (False, "x", True)
    assert first is common


def test_common_parameters_at_the_first_host_count_for_all_unless_the_common_part_says_otherwise() -> None:
    parsed = parse_url("(tcp://a:1?reconnectAttempts=3&ha=true&tcpNoDelay=false,tcp://b:2)?ha=false")
    assert dict(parsed.parameters) == {"ha": "false", "reconnectAttempts": "3"}
    assert parsed.endpoints[0].parameters == (("tcpNoDelay", "false"),)


def test_a_hosts_own_parameters_are_checked_with_the_rest() -> None:
    with pytest.raises(ConfigError, match="tcpNoDelay"):
        parse_url("(tcp://a:1,tcp://b:2?tcpNoDelay=x)").settings()
    with pytest.raises(ConfigError, match="did you mean"):
        parse_url("(tcp://a:1,tcp://b:2?tcpNoDelai=x)").settings()


def test_settings_of_a_url_stand_on_a_base() -> None:
    settings = parse_url("tcp://h?retryInterval=5").settings(Settings(ha=True))
    assert (settings.retry_interval, settings.ha) == (5, True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("tcp://h?user=me&password=hunter2&ha=true", "tcp://h?user=me&password=***&ha=true"),
        ("tcp://h?password=hunter2;ha=true", "tcp://h?password=***;ha=true"),
        ("tcp://h?pass%77ord=hunter2", "tcp://h?pass%77ord=***"),
        ("(tcp://h?ha=1)?keyStorePassword=hunter2", "(tcp://h?ha=1)?keyStorePassword=***"),
        ("tcp://h?ha=a?password=hunter2", "tcp://h?ha=a?password=***"),
        ("tcp://h?x=a?password=hunter2", "tcp://h?x=***"),
        ("tcp://h?pasword=hunter2&user=me", "tcp://h?pasword=***&user=me"),
        ("tcp://h?password=hun&ter2&user=me", "tcp://h?password=***&user=me"),
        ("tcp://h?password=hun&t=er2;x&ha=true", "tcp://h?password=***&ha=true"),
        ("tcp://h?password=hun&ter2", "tcp://h?password=***"),
        ("tcp://h?password=hunter2&keyStorePassword=hunter2&x", "tcp://h?password=***&keyStorePassword=***"),
        ("me:hunter2@h:1", "***@h:1"),
        ("me:hun?ter2@h:1", "***@h:1"),
        ("(tcp://me:hun@ter2@a:1,tcp://b:2)?ha=true", "(tcp://***@a:1,tcp://b:2)?ha=true"),
        ("tcp://h?password=hun#ter2", "tcp://h?password=***"),
        ("tcp://h?password=hun=ter2", "tcp://h?password=***"),
        ("tcp://me:hunter2@h:1", "tcp://***@h:1"),
        ("tcp://me:hun/ter2@h:1", "tcp://***@h:1"),
        ("tcp://h?user=a@b", "tcp://h?user=a@b"),
        ("password=hunter2", "password=***"),
    ],
)
def test_passwords_are_masked_in_any_text(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_a_parsed_url_shows_no_password() -> None:
    parsed = parse_url("(tcp://a?keyStorePassword=hunter2,tcp://b?trustStorePassword=hunter2)?password=hunter2&user=me")
    assert "hunter2" not in repr(parsed)
    assert "'user': 'me'" in repr(parsed)


def test_without_a_url_the_environment_says_where_the_broker_is() -> None:
    assert default_url({}) == "tcp://localhost:61616"
    assert default_url({"AMQ_HOST": "h", "AMQ_PORT": "1"}) == "tcp://h:1"
    assert default_url({"AMQ_HOST": "::1"}) == "tcp://[::1]:61616"
    assert default_url({"org.apache.activemq.AMQ_HOST": "h"}) == "tcp://h:61616"
    assert default_url({"AMQ_HOST": "h", "BROKER_BIND_URL": "tcp://x:2"}) == "tcp://x:2"
    assert default_parameters({"AMQ_USER": "me", "AMQ_PASSWORD": "p"}) == {"user": "me", "password": "p"}
    assert default_parameters({}) == {}


pieces = st.sampled_from(
    [
        "tcp://",
        "vm://",
        "h",
        ":1",
        "[::1]",
        "(",
        ")",
        ",",
        "?",
        "&",
        ";",
        "#",
        "=",
        "%41",
        "%",
        "@",
        "/",
        "ha",
        "password",
    ]
)


@given(st.text() | st.lists(pieces, max_size=14).map("".join) | st.text(string.printable))
@example("(tcp://a?x=%\ud800)")
@example("tcp://[::1%]:1")
def test_any_text_ends_in_a_parsed_url_or_a_config_error(text: str) -> None:
    try:
        parsed = parse_url(text)
    except ConfigError:
        return
    assert isinstance(parsed, ParsedURL)
    assert parsed.endpoints
    assert all(0 <= endpoint.port < 65536 for endpoint in parsed.endpoints)
    assert repr(parsed)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


@given(st.dictionaries(words, words, max_size=4))
def test_what_was_encoded_as_a_form_comes_out_again(parameters: dict[str, str]) -> None:
    from urllib.parse import urlencode

    assert dict(parse_url("tcp://h:1?" + urlencode(parameters)).parameters) == parameters


@given(st.text(string.ascii_letters + "?&;=#,()@/:%+", max_size=30), st.text("xyz?=#,()@/:", max_size=8))
def test_a_password_is_never_shown_whatever_stands_around_it(before: str, inside: str) -> None:
    url = f"{before}&password=HIDE{inside}HIDE"
    assert "HIDE" not in masked(url)
    try:
        shown = repr(parse_url(url))
    except ConfigError as error:
        shown = str(error)
    assert "HIDE" not in shown
