"""Events as log lines.

Law of this file: one line for each change of state, at INFO won back, at WARNING lost or refused, at ERROR given up,
at DEBUG attempts; never a password, never a body. Only events come in, and events carry neither.
"""

from __future__ import annotations

import logging

from activeclient.events import (
    AddressBlocked,
    AddressUnblocked,
    Closed,
    ConnectAttemptFailed,
    Connected,
    ConsumerLost,
    Detached,
    Event,
    GaveUp,
    LargeMessageDamaged,
    Reconnected,
    ReplayConfirmed,
    SendFailed,
    SessionReattached,
    SessionRecreated,
    StaleAcknowledgement,
    StateChanged,
)

link: logging.Logger = logging.getLogger("activeclient.link")
session: logging.Logger = logging.getLogger("activeclient.session")
logging.getLogger("activeclient").addHandler(logging.NullHandler())


def log_event(connection: str, event: Event) -> None:
    """Log an event of a connection; called under its lock, so anything that is not logged costs one comparison."""
    match event:
        case Connected():
            version = event.server_version or "not told yet"
            link.info("%s: connected to %s, server version %s", connection, event.endpoint, version)
        case Detached():
            link.warning("%s: lost %s: %s", connection, event.endpoint, event.reason)
        case ConnectAttemptFailed():
            link.debug(
                "%s: attempt %d at %s failed: %s; next in %.3f s",
                connection,
                event.attempt,
                event.endpoint,
                event.reason,
                event.retry_in,
            )
        case Reconnected():
            link.info(
                "%s: back at %s in %.0f ms: %d sessions reattached, %d recreated, %d sends in doubt",
                connection,
                event.endpoint,
                event.seconds * 1000,
                event.reattached,
                event.recreated,
                len(event.in_doubt),
            )
        case GaveUp():
            link.error("%s: gave up: %s", connection, event.reason)
        case StateChanged():
            link.debug("%s: %s, was %s", connection, event.new.name, event.old.name)
        case Closed():
            link.debug("%s: closed", connection)
        case SessionReattached():
            session.info(
                "%s: reattached the session on channel %d in %.0f ms: %d confirmed, %d replayed",
                connection,
                event.channel_id,
                event.seconds * 1000,
                event.confirmed,
                event.replayed,
            )
        case ReplayConfirmed():
            session.debug(
                "%s: %d commands replayed on channel %d confirmed after %.0f ms",
                connection,
                event.commands,
                event.channel_id,
                event.seconds * 1000,
            )
        case SessionRecreated():
            session.warning(
                "%s: recreated the session on channel %d: %s; %d sent again, %d in doubt%s",
                connection,
                event.channel_id,
                event.reason,
                event.resent,
                len(event.in_doubt),
                ", transaction rolled back" if event.rolled_back else "",
            )
        case SendFailed():
            what = "a send" if event.count == 1 else f"{event.count} sends"
            session.warning("%s: %s on channel %d failed: %s", connection, what, event.channel_id, event.error)
        case ConsumerLost():
            session.warning(
                "%s: consumer %d on channel %d ended: %s", connection, event.consumer_id, event.channel_id, event.error
            )
        case StaleAcknowledgement():
            session.info("%s: an acknowledgement of an earlier session was dropped", connection)
        case LargeMessageDamaged():
            session.info("%s: a large message was damaged by a replay and is delivered anew", connection)
        case AddressBlocked():
            session.warning("%s: address %r gives no producer credits: senders wait", connection, event.address)
        case AddressUnblocked():
            session.info("%s: address %r gives credits again after %.1f s", connection, event.address, event.seconds)
        case _:
            pass
