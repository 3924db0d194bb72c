"""The order in which endpoints are tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.engine.failover import MAX_NODES, REDIRECTS_WITHOUT_PAUSE, EndpointList
from activeclient.errors import ConfigError
from activeclient.events import Endpoint

A, B, C, D, E = (Endpoint(host=name, port=61616) for name in "abcde")


def endpoints(*initial, ha=False, failover_attempts=0, **more):
    return EndpointList(initial, ha=ha, failover_attempts=failover_attempts, **more)


def one_round(those):
    found = [those.next()]
    while not those.round_complete():
        found.append(those.next())
    return found


def test_a_first_connect_goes_round_the_configured_list():
    those = endpoints(A, B)
    those.begin_outage()
    assert those.round_complete()
    assert one_round(those) + one_round(those) == [A, B, A, B]


def test_an_outage_tries_current_then_backup_then_previous_then_configured():
    those = endpoints(A, B)
    those.succeeded(C)
    those.succeeded(D)
    those.learn("n", D, E, False)
    those.begin_outage()
    assert one_round(those) == [D, E, C, A, B]


def test_nothing_is_tried_twice_in_a_round():
    those = endpoints(A, A, B)
    those.succeeded(A)
    those.learn("n", A, B, False)
    those.begin_outage()
    assert one_round(those) == [A, B]


def test_a_backup_is_learned_without_ha_and_failback_works_the_same_way():
    those = endpoints(A)
    those.succeeded(A)
    those.learn("n", A, B, False)
    those.begin_outage()
    assert one_round(those) == [A, B]
    those.succeeded(B)
    those.begin_outage()
    assert one_round(those) == [B, A]
    those.succeeded(A)
    those.begin_outage()
    assert one_round(those) == [A, B]


def test_a_backup_told_before_the_session_was_established_counts():
    those = endpoints(A)
    those.begin_outage()
    those.learn("n", A, B, False)
    those.succeeded(those.next())
    those.begin_outage()
    assert one_round(those) == [A, B]


def test_the_backup_of_another_node_is_not_ours():
    those = endpoints(A)
    those.succeeded(A)
    those.learn("own", A, None, False)
    those.learn("other", C, D, False)
    those.begin_outage()
    assert one_round(those) == [A]


def test_the_only_node_is_ours_by_whatever_name_or_proxy_we_came_to_it():
    for order in ("told first", "told later"):
        those = endpoints(A)
        those.begin_outage()
        if order == "told first":
            those.learn("n", C, D, False)
        those.succeeded(those.next())
        if order == "told later":
            those.learn("n", C, D, False)
        assert those.unresolved() == ["a", "c"]
        those.begin_outage()
        assert one_round(those) == [A, D]
        those.succeeded(D)
        those.learn("n", D, C, False)  # the pair has changed its roles, under the same id
        those.begin_outage()
        assert one_round(those) == [D, C, A]


def test_of_several_nodes_ours_is_the_one_with_our_address():
    local, named = Endpoint(host="LocalHost", port=61616), Endpoint(host="127.0.0.1", port=61616)
    other_port = Endpoint(host="127.0.0.1", port=7)
    for found, expected in ((frozenset({"127.0.0.1", "::1"}), [local, B]), (frozenset({"10.1.1.1"}), [local])):
        those = endpoints(local)
        those.succeeded(local)
        those.learn("1", other_port, C, False)
        those.learn("2", named, B, False)
        assert those.unresolved() == ["127.0.0.1", "localhost"]
        those.resolved({"localhost": found, "127.0.0.1": frozenset({"127.0.0.1"})})
        assert those.unresolved() == []
        those.begin_outage()
        assert one_round(those) == expected


def test_nothing_is_looked_up_where_the_spelling_is_the_same():
    those = endpoints(A)
    assert those.unresolved() == []
    those.succeeded(A)
    those.learn("1", A, B, False)
    those.learn("2", C, D, False)
    assert those.unresolved() == []


def test_a_host_that_is_not_known_is_nobodys():
    those = endpoints(A)
    those.succeeded(A)
    those.learn("1", C, D, False)
    those.learn("2", E, B, False)
    those.resolved(dict.fromkeys("ace", frozenset()))
    those.begin_outage()
    assert one_round(those) == [A]


def test_an_alias_of_ours_is_no_other_server():
    those = endpoints(A, failover_attempts=-1, use_topology=True)
    those.succeeded(A)
    those.learn("1", C, None, False)
    those.resolved({"a": frozenset({"10.0.0.1"}), "c": frozenset({"10.0.0.1"})})
    those.begin_outage()
    assert not those.failover(0)


def test_only_the_configured_ones_are_used_if_that_is_wanted():
    those = endpoints(A, B, configured_only=True, failover_attempts=1)
    those.succeeded(A)
    those.learn("1", A, C, False)
    those.learn("2", D, E, False)
    assert those.members == ()
    assert those.unresolved() == []
    those.begin_outage()
    assert one_round(those) == [A, B]
    assert those.failover(0)
    assert one_round(those) == [B, A]


def test_what_is_tried_first_is_so_at_the_first_connect_only():
    those = endpoints(A, B, first=[C, D])
    those.begin_outage()
    assert one_round(those) == [C, D, A, B]
    those.succeeded(D)
    those.begin_outage()
    assert one_round(those) == [D, A, B]


def test_members_that_are_configured_come_first_in_their_order():
    local = Endpoint(host="localhost", port=7)
    those = endpoints(B, local)
    those.learn("1", C, None, False)
    those.learn("2", Endpoint(host="127.0.0.1", port=7), None, False)
    those.learn("3", B, None, False)
    those.resolved({"localhost": frozenset({"127.0.0.1"}), "127.0.0.1": frozenset({"127.0.0.1"})})
    assert [each.host for each in those.members] == ["b", "127.0.0.1", "c"]


def test_the_members_are_the_live_brokers_by_their_ids():
    those = endpoints(A)
    those.learn("2", C, D, False)
    those.learn("1", A, None, False)
    those.learn("0", None, None, False)
    assert those.members == (A, C)


def test_a_node_without_addresses_teaches_nothing():
    those = endpoints(A, use_topology=True, failover_attempts=1)
    those.succeeded(A)
    those.learn("n", None, None, False)
    those.begin_outage()
    assert one_round(those) == [A]


def test_the_backup_of_a_node_that_left_is_still_tried():
    those = endpoints(A, ha=True)
    those.succeeded(A)
    those.learn("n", A, B, False)
    those.learn("n", None, None, True)
    those.begin_outage()
    assert one_round(those) == [A, B]


def test_what_is_learned_during_a_round_counts_from_the_next_on():
    those = endpoints(A, B)
    those.succeeded(A)
    those.begin_outage()
    assert those.next() == A
    those.learn("n", A, C, False)
    assert those.next() == B
    assert one_round(those) == [A, C, B]


def test_the_configured_spelling_of_an_endpoint_keeps_its_transport_options():
    secure = Endpoint(host="B", port=61616, parameters=(("sslEnabled", "true"),))
    those = endpoints(A, secure)
    those.succeeded(A)
    those.learn("n", A, Endpoint(host="b", port=61616), False)
    those.begin_outage()
    assert one_round(those) == [A, secure]


def test_the_topology_comes_first_at_a_first_connect_if_it_is_wanted():
    for wanted, expected in ((True, [C, A]), (False, [A])):
        those = endpoints(A, use_topology=wanted)
        those.learn("n", C, D, False)
        those.begin_outage()
        assert one_round(those) == expected


def test_a_node_that_left_is_forgotten_only_with_ha():
    for ha, expected in ((True, [A]), (False, [C, A])):
        those = endpoints(A, ha=ha, use_topology=True)
        those.learn("n", C, None, False)
        those.learn("n", None, None, True)
        those.begin_outage()
        assert one_round(those) == expected


def test_other_servers_are_tried_for_as_many_rounds_as_failover_attempts():
    those = endpoints(A, B, C, failover_attempts=2)
    those.succeeded(A)
    those.begin_outage()
    one_round(those)
    assert those.failover(0)
    assert one_round(those) == [B, C, A]
    assert those.failover(1)
    assert one_round(those) == [B, C, A]
    assert not those.failover(2)


def test_negative_failover_attempts_are_for_ever_and_zero_is_none():
    for attempts, answer in ((-1, True), (-3, True), (0, False)):
        those = endpoints(A, B, failover_attempts=attempts)
        those.succeeded(A)
        those.begin_outage()
        assert those.failover(0) is answer
        assert those.failover(10_000) is answer


def test_without_other_servers_there_is_no_failover():
    those = endpoints(A, failover_attempts=-1)
    those.succeeded(A)
    those.begin_outage()
    assert not those.failover(0)


def test_failover_prefers_the_topology_if_it_is_wanted():
    those = endpoints(A, failover_attempts=-1, use_topology=True)
    those.succeeded(A)
    those.learn("1", A, B, False)
    those.learn("2", C, D, False)
    those.begin_outage()
    assert one_round(those) == [A, B]
    assert those.failover(0)
    assert one_round(those) == [C, A, B]


def test_a_success_ends_the_failover():
    those = endpoints(A, B, C, failover_attempts=1)
    those.succeeded(A)
    those.begin_outage()
    those.failover(0)
    those.succeeded(those.next())
    those.begin_outage()
    assert one_round(those) == [B, A, C]


def test_a_redirect_is_followed_at_once_and_its_origin_comes_next():
    those = endpoints(A, B)
    those.succeeded(A)
    those.redirect(C)
    assert not those.round_complete()
    assert one_round(those) == [C, A, B]


def test_redirects_in_circles_get_pauses_until_a_session_works():
    those = endpoints(A)
    those.begin_outage()
    free = []
    for n in range(REDIRECTS_WITHOUT_PAUSE + 2):
        those.next()
        those.redirect((B, A)[n % 2])
        free.append(not those.round_complete())
    assert free == [True] * REDIRECTS_WITHOUT_PAUSE + [False, False]
    those.succeeded(those.next())
    those.redirect(C)
    assert not those.round_complete()


def test_the_memory_for_nodes_is_bounded_and_our_own_backup_survives_it():
    those = endpoints(A, use_topology=True, failover_attempts=1)
    those.succeeded(A)
    those.learn("own", A, B, False)
    for n in range(2 * MAX_NODES):
        those.learn(str(n), Endpoint(host=f"h{n}", port=1), None, False)
    those.begin_outage()
    assert one_round(those) == [A, B]
    assert those.failover(0)
    assert len(one_round(those)) == MAX_NODES + 2


def test_an_empty_list_is_refused():
    with pytest.raises(ConfigError, match="endpoints"):
        endpoints()


HOSTS = st.sampled_from([A, B, C, D, E])


@given(
    st.lists(HOSTS, min_size=1),
    st.booleans(),
    st.integers(-1, 3),
    st.booleans(),
    st.lists(
        st.one_of(
            st.just(("begin_outage",)),
            st.tuples(st.just("succeeded"), HOSTS),
            st.tuples(st.just("learn"), st.sampled_from("12"), st.none() | HOSTS, st.none() | HOSTS, st.booleans()),
            st.tuples(st.just("redirect"), HOSTS),
            st.tuples(st.just("failover"), st.integers(0, 4)),
            st.just(("next",)),
        ),
        max_size=30,
    ),
)
def test_whatever_happens_a_round_ends_and_repeats_nothing(initial, ha, failover_attempts, use_topology, steps):
    those = endpoints(*initial, ha=ha, failover_attempts=failover_attempts, use_topology=use_topology)
    for name, *arguments in steps:
        getattr(those, name)(*arguments)
    those.begin_outage()
    assert (those.current is None) or those.next() == those.current
    those.begin_outage()
    found = one_round(those)
    assert len(set(found)) == len(found) <= 5
    assert set(initial) <= set(found) or use_topology


def test_a_learned_node_has_the_transport_parameters_of_the_host_that_told_of_it():
    secured = (("sslEnabled", "true"), ("trustStorePath", "ca.pem"))
    told = Endpoint(host="a", port=1, parameters=(*secured, ("sniHost", "a.example")))
    own = Endpoint(host="c", port=3, parameters=(("sslEnabled", "false"),))
    those = EndpointList([told, own], ha=True, failover_attempts=0)
    those.begin_outage()
    those.next()
    backup = Endpoint(host="b", port=2)
    those.learn("n", Endpoint(host="a", port=1), backup, False)
    those.learn("other", Endpoint(host="c", port=3), None, False)
    those.succeeded(told)
    those.begin_outage()
    assert [each.parameters for each in one_round(those)] == [told.parameters, secured, own.parameters]
    those.redirect(Endpoint(host="d", port=4))
    assert those.next().parameters == own.parameters


def test_a_host_without_parameters_gives_none():
    those = endpoints(A)
    those.succeeded(those.next())
    those.learn("n", A, B, False)
    those.begin_outage()
    assert [each.parameters for each in one_round(those)] == [(), ()]
