"""The way to a broker through a link: what the URL says is kept."""

from __future__ import annotations

import pytest

from activeclient.errors import ConfigError
from activeclient.testing.cutter import Cutter
from activeclient.testing.detour import detour, endpoint_of
from activeclient.urls import parse_url

URL = "(tcp://broker.example:61616?sslEnabled=true,tcp://other:1)?connectionTTL=5000&password=a%26b+c"


def test_the_way_keeps_what_the_url_says() -> None:
    with Cutter("broker.example", 61616) as cutter:
        found = parse_url(detour(URL, cutter, {"connectionTTL": "1", "clientFailureCheckPeriod": "2000"}))
        assert [(each.host, each.port) for each in found.endpoints] == [(cutter.host, cutter.port)]
    assert found.parameters == {
        "connectionTTL": "5000",
        "clientFailureCheckPeriod": "2000",
        "password": "a&b c",
        "sslEnabled": "true",
        "sniHost": "broker.example",
    }


def test_without_parameters_it_is_the_link_alone() -> None:
    with Cutter("h", 1) as cutter:
        assert detour("tcp://h:1", cutter) == cutter.url()


def test_only_what_can_be_cut_is_taken() -> None:
    assert (endpoint_of(URL).host, endpoint_of(URL).port) == ("broker.example", 61616)
    with pytest.raises(ConfigError, match="must be tcp://"):
        endpoint_of("vm://0")
