# ruff: noqa: F401 (pytest collects what is imported)
"""Cases of the core API that also run on older versions of the protocol: reattachment, recreation, refusals."""

from __future__ import annotations

from integration.cases.conftest import queue
from integration.cases.test_large_messages import test_a_body_goes_on_in_a_new_session_where_it_broke_off
from integration.cases.test_outcomes import (
    test_a_branch_over_a_reattachment_continues,
    test_a_handler_is_called_once_for_each_message,
    test_a_transaction_is_rolled_back_exactly_when_work_was_done,
)
from integration.cases.test_queues import (
    test_a_temporary_queue_is_kept_by_a_reattachment_with_its_messages,
    test_an_address_that_is_full_and_fails_says_so_to_each_sender,
)
