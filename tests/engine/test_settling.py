"""Fences, and how many answers may still come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.engine.settling import AT_ONCE, Fence, NullCounter


@pytest.mark.parametrize("strays", [0, 1, 5])
def test_a_fence_passes_with_the_first_answer_that_cannot_be_a_stray(strays):
    fence = Fence(strays)
    for _ in range(strays):
        fence.answered()
        assert not fence.passed
    fence.answered()
    assert fence.passed


def test_more_answers_than_needed_leave_it_passed():
    fence = Fence(0)
    fence.answered()
    fence.answered()
    assert fence.passed


@given(st.integers(0, 60), st.lists(st.booleans(), max_size=200))
def test_few_fences_are_unanswered_at_a_time_and_as_many_are_sent_as_are_needed(strays, answers):
    """An answer is a stray's, if there is one left that was not thrown away, else a fence's."""
    fence = Fence(strays)
    sent = fence.more()
    outstanding = strays
    for stray_comes in answers:
        if fence.passed:
            break
        assert sent + outstanding >= 1
        if outstanding and not stray_comes:
            outstanding -= 1  # thrown away
            continue
        if outstanding:
            outstanding -= 1
        fence.answered()
        sent += fence.more()
        assert sent <= strays + 1
    fresh = Fence(strays)
    assert fresh.more() == min(strays + 1, AT_ONCE)
    for _ in range(strays):
        fresh.answered()
        assert fresh.more() <= 1
    fresh.answered()
    assert fresh.passed
    assert fresh.more() == 0


@given(st.lists(st.sampled_from(["expect", "answer", "lose", "later"]), max_size=60))
def test_what_may_be_outstanding_is_never_under_estimated(steps):
    """A server that answers in order, or throws answers away; an answer to something later proves what is gone."""
    counter = NullCounter()
    outstanding = []
    lost = False
    for step in steps:
        if step == "expect":
            outstanding.append(counter.expect())
        elif step == "answer" and outstanding:
            outstanding.pop(0)
            counter.seen()
        elif step == "lose" and outstanding:
            outstanding.pop(0)
            lost = True
        elif step == "later":
            # All that was asked before was answered or thrown away: the answers of the past come no more.
            while outstanding:
                outstanding.pop(0)
                counter.seen()
            counter.seen_up_to(counter.sent)
            assert counter.due == 0
            lost = False
        assert counter.due >= len(outstanding)
        if not lost:
            assert counter.due == len(outstanding)


def test_a_late_mark_forgets_nothing_that_was_sent_after_it():
    counter = NullCounter()
    mark = counter.expect()
    counter.expect()
    counter.seen_up_to(mark)
    assert counter.due == 1
    counter.seen_up_to(mark - 1)
    assert counter.due == 1


def test_an_answer_to_nothing_is_no_credit_for_what_comes():
    counter = NullCounter()
    counter.seen()
    counter.expect()
    assert counter.due == 1
