# ruff: noqa: F401 (pytest collects what is imported)
"""Cases of the JMS API that also run on older versions of the protocol: of each theme the quick ones."""

from __future__ import annotations

from integration.jms_cases.test_acknowledging import (
    test_client_mode_acknowledges_all_that_the_session_received,
    test_individual_mode_acknowledges_one,
)
from integration.jms_cases.test_browsers import (
    test_a_look_goes_on_after_cuts_and_shows_everything_once,
    test_large_messages_can_be_browsed,
)
from integration.jms_cases.test_failures import (
    test_a_client_id_is_unique_and_set_first,
    test_a_consumer_whose_queue_is_deleted_is_told_to_the_exception_listener_once,
    test_a_refused_send_is_told_to_its_owner_and_to_nobody_else,
    test_a_refused_send_that_nobody_waits_for_is_told_to_the_exception_listener_once,
)
from integration.jms_cases.test_receiving import test_receive_no_wait_never_misses_a_message_that_is_there
from integration.jms_cases.test_recreation import (
    test_every_mode_works_with_waiting_acknowledgements,
    test_temporary_destinations_and_subscriptions_outlive_the_session,
)
from integration.jms_cases.test_subscriptions import (
    test_a_durable_subscription_keeps_messages_while_nobody_consumes,
    test_a_non_durable_shared_subscription_ends_with_its_last_consumer,
    test_a_subscription_outlives_the_loss_of_its_session,
    test_shared_subscriptions_work_without_a_client_id_and_are_apart_with_one,
    test_unsubscribing_is_refused_while_somebody_consumes_and_when_there_is_nothing,
)
from integration.jms_cases.test_transactions import (
    test_a_commit_makes_sends_visible_and_receipts_final,
    test_a_rollback_undoes_sends_and_receipts,
)
