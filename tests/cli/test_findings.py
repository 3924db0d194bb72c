"""What doctor says of given facts; the facts themselves are looked up in integration/test_cli.py."""

from __future__ import annotations

import pytest

from activeclient.cli.doctor import on_a_cut, protocol_name, topology_lines, verdict
from activeclient.cli.exits import Exit
from activeclient.cli.findings import Finding, Level, effective, judge
from activeclient.cli.probing import Address, Broker, Encryption, Host, Node
from activeclient.settings import Settings
from activeclient.urls import parse_url

RELIABLE = "tcp://h:1?profile=reliable&user=me"


def host(**changes: object) -> Host:
    made = Host("h:1", local=True, addresses=[Address("127.0.0.1:1", 0.1)], broker=Broker(1.0, 136, True, "2.44.0"))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def findings(url: str, *hosts: Host) -> list[Finding]:
    return judge(url, parse_url(url).settings(), hosts or (host(),))


def test_a_reliable_url_to_a_broker_that_reattaches_leaves_nothing_to_say() -> None:
    assert findings(RELIABLE) == []


@pytest.mark.parametrize(
    ("url", "part", "fix"),
    [
        ("tcp://h:1?user=me", "a cut ends the connection", "tcp://h:1?user=me&profile=reliable"),
        (
            "tcp://h:1?user=me&reconnectAttempts=-1&duplicateDetection=true",
            "every cut recreates",
            "tcp://h:1?user=me&reconnectAttempts=-1&duplicateDetection=true&confirmationWindowSize=1048576",
        ),
        (
            f"{RELIABLE}&duplicateDetection=false",
            "fails with OutcomeUnknown",
            f"{RELIABLE}&duplicateDetection=true",
        ),
        (
            f"{RELIABLE}&connectionTTL=1000",
            "is not shorter than connectionTTL=1000",
            f"{RELIABLE}&connectionTTL=1000&clientFailureCheckPeriod=500",
        ),
        (f"{RELIABLE}&connectionTTL=-1", "never noticed", f"{RELIABLE}&connectionTTL=60000"),
        (f"{RELIABLE}&clientFailureCheckPeriod=-1", "no pings", f"{RELIABLE}&clientFailureCheckPeriod=30000"),
        (
            f"{RELIABLE}&sslEnabled=true&trustAll=true",
            "anyone can pose",
            f"{RELIABLE}&sslEnabled=true&trustStorePath=/path/to/ca.pem",
        ),
        (f"{RELIABLE}&sslEnabled=true&verifyHost=false", "verifyHost=false", f"{RELIABLE}&sslEnabled=true"),
    ],
)
def test_a_url_that_will_surprise_is_told_with_a_better_one(url: str, part: str, fix: str) -> None:
    (found,) = findings(url)
    assert part in found.text
    assert (found.level, found.fix) == (Level.WARNING, fix)
    assert not any(part in again.text for again in findings(fix))


def test_a_broker_that_does_not_reattach_is_told_with_its_limit() -> None:
    (found,) = findings(RELIABLE, host(broker=Broker(1.0, 136, False, "2.57.0", max_delivery_attempts=10)))
    assert "does not reattach sessions" in found.text
    assert "after 10 the broker moves" in found.text
    assert found.fix == f"{RELIABLE}&connectionTTL=10000&clientFailureCheckPeriod=3000"


def test_a_time_to_live_that_the_broker_overrides_is_told() -> None:
    (found,) = findings(RELIABLE, host(broker=Broker(1.0, 136, True, "2.44.0", ttl_override=5000)))
    assert "connection-ttl-override=5000 instead of connectionTTL=60000" in found.text
    assert found.fix == f"{RELIABLE}&connectionTTL=5000&clientFailureCheckPeriod=1666"


DIFFUSION = "tcp://h:1?reconnectProfile=diffusion&user=me"


def test_a_broker_that_keeps_sessions_for_less_than_the_reconnection_timeout_is_told() -> None:
    found = findings(DIFFUSION, host(broker=Broker(1.0, 136, True, "2.44.0", ttl_override=30_000)))
    (told,) = [each for each in found if "reconnectionTimeout=60000" in each.text]
    assert told.fix == f"{DIFFUSION}&reconnectionTimeout=30000"
    longer = findings(DIFFUSION, host(broker=Broker(1.0, 136, True, "2.44.0", ttl_override=90_000)))
    assert not [each for each in longer if "reconnectionTimeout" in each.text]


@pytest.mark.parametrize(("reattaches", "begins"), [(True, "reattach: "), (False, "recreate: ")])
def test_what_a_cut_does_in_diffusions_design_is_said(reattaches: bool, begins: str) -> None:
    settings = parse_url(DIFFUSION).settings()
    told = on_a_cut(settings, [host(broker=Broker(1.0, 136, reattaches, "2.44.0"))])
    assert told.startswith(begins)
    assert told.endswith("tried at once and then every 5 s, for 60 s at most")
    assert ("the last 128 messages" in told) is reattaches


def test_a_host_that_cannot_be_reached_is_a_problem_unless_another_can() -> None:
    down = host(name="down:2", broker=None, error="connection refused")
    assert findings(RELIABLE, down)[0] == Finding(Level.PROBLEM, "down:2: connection refused", None)
    assert findings(RELIABLE, host(), down)[0].level is Level.WARNING


def test_a_refused_login_is_a_problem_and_the_fix_shows_no_password() -> None:
    url = f"{RELIABLE}&password=marker"
    found = findings(url, host(broker=None, denied="wrong password"))
    assert found[0].level is Level.PROBLEM
    assert all("marker" not in f"{each.text} {each.fix}" for each in found)


def test_a_broker_behind_tls_is_told_with_the_parameter() -> None:
    error = "h:1: the peer speaks TLS and the connection is plain; sslEnabled=true is missing"
    assert findings(RELIABLE, host(broker=None, error=error))[0].fix == f"{RELIABLE}&sslEnabled=true"


def test_one_dead_address_of_a_host_is_a_warning() -> None:
    addresses = [Address("[::1]:1", error="refused"), Address("127.0.0.1:1", 0.1)]
    (found,) = findings(RELIABLE, host(addresses=addresses))
    assert "[::1]:1 cannot be reached" in found.text


def test_a_certificate_that_is_about_to_expire_is_a_warning() -> None:
    (found,) = findings(f"{RELIABLE}&sslEnabled=true", host(tls=Encryption(1.0, "TLSv1.3", "x", 3)))
    assert "expires in 3 days" in found.text


def test_a_password_in_the_open_is_a_warning_beyond_this_machine() -> None:
    url = f"{RELIABLE}&password=x"
    assert findings(url) == []
    (found,) = findings(url, host(local=False))
    assert "travels in the open" in found.text


def test_each_setting_says_where_it_comes_from() -> None:
    url = f"{RELIABLE}&connectionTTL=20000&password=marker"
    settings = parse_url(url).settings().replace(user="other")
    found = {each.key: each for each in effective(url, settings, {"user": "other"})}
    origins = {key: each.origin for key, each in found.items()}
    assert origins["connectionTTL"] == "url"
    assert origins["reconnectAttempts"] == "profile"
    assert origins["callTimeout"] == "default"
    assert origins["user"] == "options"
    assert origins["clientFailureCheckPeriod"] == "corrected"
    assert (found["clientFailureCheckPeriod"].value, found["clientFailureCheckPeriod"].asked) == (10000, 30000)
    assert found["password"].value == "***"


def test_a_cut_is_explained_as_the_broker_will_have_it() -> None:
    settings = Settings().replace(profile="reliable")
    assert on_a_cut(settings, [host()]).startswith("reattach:")
    assert on_a_cut(settings, []).startswith("reattach:")
    told = on_a_cut(settings, [host(broker=Broker(1.0, 136, False))])
    assert told.startswith("recreate: sessions are made anew (this broker does not reattach them)")
    both = [host(), host(name="h:2", broker=Broker(1.0, 136, False))]
    assert "if the broker reattaches sessions" in on_a_cut(settings, both)


def test_failover_attempts_of_one_broker_are_none() -> None:
    url = "tcp://h:1?failoverAttempts=3"
    settings = parse_url(url).settings()
    assert on_a_cut(settings, [host()]).startswith("fail: ")
    assert on_a_cut(settings, [host(), host(name="h:2")]).startswith("recreate: ")
    assert any("nothing wins it back" in finding.text for finding in findings(url))
    assert not any("nothing wins it back" in finding.text for finding in findings(url, host(), host(name="h:2")))


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        ([host()], Exit.OK),
        ([host(broker=None, error="refused")], Exit.UNREACHABLE),
        ([host(broker=None, denied="no"), host(broker=None, error="refused")], Exit.DENIED),
        ([host(), host(broker=None, denied="no")], Exit.NO),
        ([host(), host(broker=None, error="refused")], Exit.NO),
    ],
)
def test_the_verdict_says_what_was_reached(hosts: list[Host], code: Exit) -> None:
    assert verdict(hosts, findings(RELIABLE, *hosts)) is code


def test_protocol_versions_have_the_names_of_releases() -> None:
    assert protocol_name(136) == "136 (Artemis 2.37 or newer)"
    assert protocol_name(200) == "200 (Artemis 2.37 or newer)"
    assert protocol_name(132) == "132 (Artemis 2.21)"
    assert protocol_name(1) == "1"


PAIR = [Node("n", "127.0.0.1:1", "127.0.0.1:2")]


def closed(port: int) -> Host:
    return Host(f"h:{port}", local=True, addresses=[Address(f"127.0.0.1:{port}", error="refused")], error="refused")


def answering(nodes: list[Node], *, local: bool = True) -> Host:
    made = host(local=local)
    assert made.broker is not None
    made.broker.nodes = nodes
    return made


def test_a_backup_that_waits_is_no_trouble() -> None:
    url = "(tcp://h:1,tcp://h:2)?profile=reliable&user=me"
    (found,) = findings(url, answering(PAIR), closed(2))
    assert (found.level, found.text) == (
        Level.NOTE,
        "h:2: a backup, which takes no connections until it has taken over",
    )
    (found,) = findings(url, answering(PAIR), closed(3))
    assert (found.level, found.text) == (Level.WARNING, "h:3: refused")


@pytest.mark.parametrize("place", ["localhost:1", "127.0.0.1:1", "0.0.0.0:1", "[::1]:1"])
def test_connectors_that_name_this_machine_are_told_of_by_a_far_broker_only(place: str) -> None:
    assert findings(RELIABLE, answering([Node("n", place, None)])) == []
    (found,) = findings(RELIABLE, answering([Node("n", place, None)], local=False))
    assert found.level is Level.WARNING
    assert f"connectors name {place}, which is this machine for every client" in found.text


def test_a_cluster_is_shown_node_by_node() -> None:
    broker = Broker(1.0, 136, True)
    assert list(topology_lines(broker)) == ["  cluster not told"]
    broker.nodes = [Node("n", None, None)]
    assert list(topology_lines(broker)) == ["  cluster none: the broker stands alone"]
    broker.nodes = [*PAIR, Node("m", "h:3", None)]
    assert list(topology_lines(broker)) == [
        "  cluster node n: live 127.0.0.1:1, backup 127.0.0.1:2",
        "  cluster node m: live h:3, backup none",
    ]
