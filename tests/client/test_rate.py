from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from activeclient.client.rate import RateLimit


def test_a_steady_stream_is_stretched_to_the_rate() -> None:
    limit = RateLimit(10)
    assert [round(limit.take(0.0), 3) for _ in range(4)] == [0.0, 0.1, 0.2, 0.3]


def test_silence_gives_no_credit() -> None:
    limit = RateLimit(10)
    limit.take(0.0)
    assert limit.take(100.0) == 0.0
    assert round(limit.take(100.0), 3) == 0.1


@given(st.integers(1, 1000), st.lists(st.floats(0, 0.5), min_size=2, max_size=50))
def test_places_never_come_closer_than_the_rate_allows(rate: int, pauses: list[float]) -> None:
    limit = RateLimit(rate)
    now, places = 0.0, []
    for pause in pauses:
        now += pause
        places.append(now + limit.take(now))
    assert all(b - a >= 1 / rate - 1e-9 for a, b in itertools.pairwise(places))
