"""Where the embedded broker is not as Artemis is, and the tests that show it.

Law: a test marked with a difference must fail on the embedded broker, so a difference that is gone is noticed; the page
of the embedded broker has exactly these sentences, and each of them has a test.
"""

from __future__ import annotations

from typing import Final

import pytest

DIFFERENCES: Final = {
    "permissions": "Users have passwords, not permissions: who may connect may do everything.",
    "tls": "It has no TLS acceptor.",
    "fence": "A reattachment is answered when nothing of the session is unfinished, so the number in it is final: a "
    "client that does not settle it, which loses messages on Artemis, loses none here.",
    "notifications": "`activemq.notifications` is silent: nobody is told of queues, consumers and connections.",
    "bodies": "`XPATH` in a selector is refused.",
    "selectors": "Selectors are those of Artemis 2.44, without its two oddities: a character beyond Latin-1 that "
    "escapes itself means itself, and what is nested deeper than 100 is refused.",
}
"""A word for the marker, and the sentence of the page."""


def differs(word: str) -> pytest.MarkDecorator:
    """The test is not for the embedded broker, because of this difference."""
    if word not in DIFFERENCES:
        raise ValueError(f"difference must be one of {', '.join(DIFFERENCES)}, not {word!r}")
    return pytest.mark.differs(word)
