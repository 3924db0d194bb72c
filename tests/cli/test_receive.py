"""What is acknowledged and when: after it was printed, and never what was not."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from activeclient.cli.output import Output
from activeclient.cli.receive import Printing
from activeclient.errors import ActiveClientError, TransactionOutcomeUnknownError, TransactionRolledBackError
from activeclient.jms.consumer import MessageConsumer
from activeclient.jms.text_message import TextMessage

LOST = TransactionRolledBackError("the session was recreated", code=111)


class Received(TextMessage):
    """A message that came, and a note of its acknowledgement."""

    __slots__ = ("again", "queue")

    def __init__(self, text: str, queue: Queue, *, again: bool) -> None:
        super().__init__(text)
        self.queue = queue
        self.again = again

    @property
    def jms_message_id(self) -> str:
        return f"ID:{self.text}"

    @property
    def jms_redelivered(self) -> bool:
        return self.again

    def acknowledge(self) -> None:
        self.queue.acknowledge()


class Queue:
    """A consumer of a list; an acknowledgement covers all that was received, or fails and puts it back."""

    def __init__(self, *texts: str, failures: dict[int, ActiveClientError] | None = None) -> None:
        self.left = [(text, False) for text in texts]
        self.taken: list[str] = []
        self.acknowledged: list[str] = []
        self.calls = 0
        self.failures = failures or {}
        self.on_receive: Callable[[], None] = lambda: None

    def receive(self, timeout: float | None) -> Received | None:
        self.on_receive()
        if not self.left:
            return None
        text, again = self.left.pop(0)
        self.taken.append(text)
        return Received(text, self, again=again)

    def acknowledge(self) -> None:
        self.calls += 1
        taken, self.taken = self.taken, []
        error = self.failures.get(self.calls)
        if error is None or isinstance(error, TransactionOutcomeUnknownError):
            self.acknowledged += taken
        else:
            self.left = [(text, True) for text in taken] + self.left
        if error is not None:
            raise error


def run(queue: Queue, wanted: int | None, *, batch: int = 2) -> int:
    printing = Printing(Output(), headers=False, raw=False, batch=batch)
    return printing.run(cast("MessageConsumer", queue), wanted, 0.0)


def test_batches_are_acknowledged_and_the_rest_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    queue = Queue("1", "2", "3")
    assert run(queue, None) == 3
    assert capsys.readouterr().out == "1\n2\n3\n"
    assert (queue.acknowledged, queue.calls) == (["1", "2", "3"], 2)


def test_no_more_is_taken_than_was_asked_for() -> None:
    queue = Queue("1", "2", "3")
    assert run(queue, 2) == 2
    assert queue.left == [("3", False)]


@pytest.mark.parametrize("failing", [1, 2])
def test_what_comes_again_after_a_lost_acknowledgement_is_printed_once(
    failing: int, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = Queue("1", "2", "3", "4", "5", failures={failing: LOST})
    assert run(queue, None) == 5
    assert capsys.readouterr().out == "1\n2\n3\n4\n5\n"
    assert sorted(queue.acknowledged) == ["1", "2", "3", "4", "5"]


def test_a_lost_last_acknowledgement_is_made_good_and_nothing_else_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue = Queue("1", "2", "3", failures={1: LOST})
    assert run(queue, 2) == 2
    assert capsys.readouterr().out == "1\n2\n"
    assert queue.acknowledged == ["1", "2"]


def test_an_acknowledgement_of_unknown_outcome_that_took_effect_takes_nothing_more() -> None:
    queue = Queue("1", "2", "3", failures={1: TransactionOutcomeUnknownError("lost")})
    assert run(queue, 2) == 2
    assert queue.acknowledged == ["1", "2"]
    assert queue.taken == ["3"]  # received and not acknowledged: it goes back when the session closes


def test_an_interrupt_leaves_what_may_not_be_written_unacknowledged() -> None:
    queue = Queue("1", "2")

    def interrupt() -> None:
        if len(queue.taken) == 1:
            raise KeyboardInterrupt

    queue.on_receive = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(queue, None)
    assert queue.acknowledged == []
