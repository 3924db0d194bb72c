"""Every exception of this package, in one tree.

Law of this file: no exception is defined anywhere else; an exception tells its reader who is to blame, whether trying
again can help (`retriable`), and whether the message or command may have taken effect (`outcome`). Server codes map to
classes in one table, `SERVER_ERRORS`; an unknown code becomes `JMSError` with the number kept.

    ActiveClientError
    ├── JMSError                        jakarta.jms.JMSException: all that a broker or an outage makes a call raise
    │   ├── IllegalStateError           IllegalStateException
    │   │   ├── ClosedError             the object, or what it belongs to, was closed by its user
    │   │   └── UnsupportedOperationError  a producer with a destination was given another one
    │   ├── InvalidClientIDError        InvalidClientIDException
    │   ├── InvalidDestinationError     InvalidDestinationException
    │   ├── InvalidSelectorError        InvalidSelectorException
    │   ├── JMSSecurityError            JMSSecurityException
    │   ├── MessageFormatError          MessageFormatException
    │   │   └── NoTextError             `text` of a message that is no text message; also an AttributeError
    │   ├── MessageEOFError             MessageEOFException
    │   ├── MessageNotReadableError     MessageNotReadableException
    │   ├── MessageNotWriteableError    MessageNotWriteableException
    │   ├── ResourceAllocationError     ResourceAllocationException: address full, too many consumers
    │   ├── TransactionInProgressError  TransactionInProgressException: the transaction is another's to end
    │   ├── TransactionRolledBackError  TransactionRolledBackException: certainly rolled back
    │   ├── TransactionOutcomeUnknownError
    │   ├── DuplicateIDError            the broker has this duplicate id already
    │   ├── LargeMessageError           a streamed body that did not arrive whole
    │   ├── UnsettledError              closed with sends, acknowledgements or commits that were not settled
    │   ├── XAError                     XAException, with the XA code
    │   ├── ConnectionLost              the link is gone
    │   │   ├── ConnectFailed           it never came up
    │   │   │   ├── TLSFailed
    │   │   │   ├── HandshakeTimeout    TCP opened, nobody speaks CORE behind it
    │   │   │   └── IncompatibleVersion
    │   │   ├── DisconnectedByServer
    │   │   ├── HeartbeatMissed
    │   │   ├── SessionUnanswered       pings are answered, a reattached session is not
    │   │   ├── CallInterrupted         an exception came amid a call, as of Ctrl-C: the link is renewed
    │   │   └── ReconnectGaveUp         no attempts are left
    │   │       └── MessagesMissing     what was lost on the way is in no recovery buffer any more
    │   ├── CallTimeout                 connected, no answer within callTimeout; also a TimeoutError
    │   ├── OutageTimeout               no connection within callFailoverTimeout; also a TimeoutError
    │   ├── OutcomeUnknown              it may have taken effect; carries the duplicate id to retry with
    │   ├── NotSent                     it certainly did not take effect
    │   ├── ForkedError                 used in a child process
    │   ├── ReattachDiverged            command counts that cannot both be true
    │   ├── DeliveryStopped             a reattached session whose consumers get nothing
    │   └── ProtocolError
    │       ├── LocalProtocolError      we, or the caller, broke a rule
    │       └── RemoteProtocolError     the peer broke a rule: offset, packet, bytes
    │           └── UnreadableMessageError  one received message is damaged; also a MessageFormatError
    ├── StoreError                      the folder of an embedded broker cannot be used, or its disk failed
    └── ConfigError                     also a ValueError: key, value, rule
        ├── NamingError                 a name that JNDI-style configuration does not hold
        └── UnknownSettingError         an attribute that no setting has; also an AttributeError
"""

from __future__ import annotations

import enum
from typing import ClassVar

from activeclient.server_code import ServerCode


class Outcome(enum.Enum):
    """Whether what was asked for may have happened."""

    NOT_SENT = "not sent"
    """It has not taken effect and will not: sending again cannot duplicate."""
    DONE = "done"
    UNKNOWN = "unknown"
    """It may have taken effect: send again only with the same duplicate id."""


class ActiveClientError(Exception):
    """The root of all errors of this package."""

    retriable: ClassVar[bool] = False
    outcome: Outcome = Outcome.NOT_SENT
    code: int | None = None
    """The server's error code, where a server said it (ActiveMQExceptionType)."""

    def __init__(self, message: str = "", *, code: int | None = None, outcome: Outcome | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if outcome is not None:
            self.outcome = outcome

    def __reduce__(self) -> tuple[object, ...]:
        # By its content: the constructors of subclasses take other arguments.
        return _rebuilt, (type(self), self.args, dict(self.__dict__))

    def again(self) -> ActiveClientError:
        """A fresh instance with the same content, caused by this one: a shared error is never raised twice."""
        twin = type(self).__new__(type(self))
        twin.args = self.args
        twin.__dict__.update(self.__dict__)
        twin.__cause__ = self
        return twin


def _rebuilt(kind: type[ActiveClientError], args: tuple[object, ...], state: dict[str, object]) -> ActiveClientError:
    """An error out of a pickle or for a copy."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class JMSError(ActiveClientError):
    """An error in terms of JMS (jakarta.jms.JMSException); also any server code without a class of its own.

    As in Java, it is the base of everything that a broker, its absence, or an outage makes a call raise:
    `except JMSError` misses none of them.
    """


class IllegalStateError(JMSError):
    """The call is not allowed now (jakarta.jms.IllegalStateException; server code 104)."""


class ClosedError(IllegalStateError):
    """The object was closed by its user, or by the closing of what it belongs to."""


class UnsupportedOperationError(IllegalStateError):
    """The object cannot do that at all (java.lang.UnsupportedOperationException)."""


class InvalidClientIDError(JMSError):
    """Another connection uses this client id (jakarta.jms.InvalidClientIDException; server code 114)."""


class InvalidDestinationError(JMSError):
    """No such queue or address, or not of this kind (InvalidDestinationException; server codes 100, 101, 106, 215)."""


class InvalidSelectorError(JMSError):
    """The broker, or our own grammar, refuses the selector (InvalidSelectorException; server code 103).

    Our grammar says where: `offset` counts characters from 0, `line` and `column` from 1. None when the broker said it.
    """

    offset: int | None = None
    line: int | None = None
    column: int | None = None


class JMSSecurityError(JMSError):
    """Wrong credentials, or no permission (JMSSecurityException; server code 105)."""


class MessageFormatError(JMSError):
    """A value cannot be converted to the type asked for (MessageFormatException)."""


class NoTextError(MessageFormatError, AttributeError):
    """`text` of a message that is no text message. An AttributeError too, so that `hasattr` and `getattr` work."""


class MessageEOFError(JMSError):
    """Reading past the end of a bytes or stream body (MessageEOFException)."""


class MessageNotReadableError(JMSError):
    """A body in write-only mode was read (MessageNotReadableException)."""


class MessageNotWriteableError(JMSError):
    """A received body or property was written without clearing it first (MessageNotWriteableException)."""


class ResourceAllocationError(JMSError):
    """The broker has no room: address full, consumer limit (ResourceAllocationException; codes 210, 214)."""

    retriable = True


class TransactionInProgressError(JMSError):
    """A distributed transaction is ended by its XA resource, not by the session (TransactionInProgressException)."""


class TransactionRolledBackError(JMSError):
    """The transaction was certainly rolled back; nothing of it is visible (server code 111)."""

    retriable = True


class TransactionOutcomeUnknownError(JMSError):
    """A commit was in flight when its session was lost and could not be settled (code 115)."""

    outcome = Outcome.UNKNOWN


class DuplicateIDError(JMSError):
    """The broker has seen this duplicate id (server code 113): the earlier message or transaction counts."""


class LargeMessageError(JMSError):
    """A streamed body did not arrive whole; the text says what becomes of the message (codes 110, 211)."""

    retriable = True


class UnsettledError(JMSError):
    """Something was closed while the broker had not confirmed all of its work, and `closeTimeout` was over.

    `outcome` is UNKNOWN when a send, an acknowledgement or a commit may have taken effect, else NOT_SENT.
    """

    retriable = True

    def __init__(
        self,
        closed: str,
        *,
        not_sent: int = 0,
        unknown: int = 0,
        acknowledgements: int = 0,
        commits: int = 0,
        duplicate_ids: tuple[bytes | str | None, ...] = (),
        reason: str | None = None,
    ) -> None:
        parts = [
            _counted(not_sent, "send", "that did not take effect (NOT_SENT)"),
            _counted(unknown, "send", "that may have taken effect (UNKNOWN)"),
            _counted(acknowledgements, "acknowledgement", "that may be lost (UNKNOWN): redelivery may follow"),
            _counted(commits, "commit", "whose outcome is unknown (UNKNOWN)"),
        ]
        shown = [each.hex() if isinstance(each, bytes) else str(each) for each in duplicate_ids[:SHOWN_IDS]]
        more = ", ..." if len(duplicate_ids) > SHOWN_IDS else ""
        ids = f"; duplicate ids of the sends that may have taken effect: {', '.join(shown)}{more}" if shown else ""
        super().__init__(
            f"{closed} was closed with {' and '.join(part for part in parts if part) or 'unsettled work'}{ids}"
            f"{f'; {reason}' if reason else ''}",
            outcome=Outcome.UNKNOWN if unknown or acknowledgements or commits else Outcome.NOT_SENT,
        )
        self.not_sent = not_sent
        """Sends that have not taken effect and will not."""
        self.unknown = unknown
        """Sends that the broker may have."""
        self.acknowledgements = acknowledgements
        """Acknowledgements that the broker may not have: their messages may be delivered again."""
        self.commits = commits
        """Commits without an answer."""
        self.duplicate_ids = duplicate_ids
        """Of the sends that the broker may have, oldest first; None for a message without one."""

    @classmethod
    def of(cls, closed: str, errors: list[UnsettledError]) -> UnsettledError:
        """One error for several that were raised while `closed` was closed."""
        total = cls(
            closed,
            not_sent=sum(error.not_sent for error in errors),
            unknown=sum(error.unknown for error in errors),
            acknowledgements=sum(error.acknowledgements for error in errors),
            commits=sum(error.commits for error in errors),
            duplicate_ids=tuple(each for error in errors for each in error.duplicate_ids),
        )
        total.__cause__ = errors[0]
        return total


SHOWN_IDS = 5
"""Duplicate ids that the text of an error shows; `duplicate_ids` has all."""


def _counted(count: int, noun: str, what: str) -> str:
    return "" if not count else f"{count} {noun}{'' if count == 1 else 's'} {what}"


class XAError(JMSError):
    """An XA operation failed (javax.transaction.xa.XAException)."""

    def __init__(self, message: str, *, xa_code: int, code: int | None = None) -> None:
        super().__init__(message, code=code)
        self.xa_code = xa_code


class ProtocolError(JMSError):
    """Somebody broke a rule of the CORE protocol."""


class LocalProtocolError(ProtocolError):
    """We, or the caller, asked for what the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what cannot be CORE; the connection is closed."""

    def __init__(self, message: str, *, offset: int | None = None, kind: int | None = None, data: bytes = b"") -> None:
        where = "" if offset is None else f" at byte {offset}"
        what = "" if kind is None else f" of packet type {kind}"
        shown = f" [{data[:32].hex(' ')}{' ...' if len(data) > 32 else ''}]" if data else ""
        super().__init__(f"{message}{where}{what}{shown}")
        self.offset = offset
        self.kind = kind


class UnreadableMessageError(RemoteProtocolError, MessageFormatError):
    """A received message whose headers or properties are damaged: found when they are first asked for. It can be
    acknowledged by its consumer all the same, and so be done with."""


class ConnectionLost(JMSError):
    """The link to the broker is gone."""

    retriable = True


class ConnectFailed(ConnectionLost):
    """A connection attempt failed; the text names the endpoint and the cause."""


class TLSFailed(ConnectFailed):
    """TCP opened, TLS did not: certificate, host name, protocol, or a peer that does not speak TLS."""


class HandshakeTimeout(ConnectFailed):
    """TCP opened and nothing that speaks CORE answered in time."""


class IncompatibleVersion(ConnectFailed):
    """Client and server have no protocol version in common (server code 108)."""

    retriable = False


class DisconnectedByServer(ConnectionLost):
    """The server said goodbye: it stops, scales down, or sends us elsewhere."""


class HeartbeatMissed(ConnectionLost):
    """Not one byte came from the server within `connectionTTL`."""


class SessionUnanswered(ConnectionLost):
    """The server answers the connection's pings, but no longer a session that it had reattached to it."""


class CallInterrupted(ConnectionLost):
    """A signal handler, as of Ctrl-C, raised amid a call that changed the connection; the link is renewed."""


class ReconnectGaveUp(ConnectionLost):
    """No attempts are left; the connection is closed. The cause is the last error."""

    retriable = False


class MessagesMissing(ReconnectGaveUp):
    """A reconnection was aborted: what the cut lost is no longer in a recovery buffer, so it cannot be sent again.

    The connection is closed. `sent_by` is "client" or "broker": whose recovery buffer (`recoveryBufferSize`) was too
    small; `missing` are the numbers of the commands that are lost, counted from 0 in the session `session_name`.
    """

    def __init__(self, missing: range, sent_by: str, session_name: str, why: str) -> None:
        super().__init__(
            f"the reconnection was aborted: {why}, and the {sent_by}'s recovery buffer no longer has"
            f" {'command' if len(missing) == 1 else 'commands'} {missing[0]}"
            f"{f' to {missing[-1]}' if len(missing) > 1 else ''} of session {session_name} (recoveryBufferSize)"
        )
        self.missing = missing
        self.sent_by = sent_by
        self.session_name = session_name


class CallTimeout(JMSError, TimeoutError):
    """A blocking call got no answer within `callTimeout`, or within a limit of its own, while connected.

    `outcome` is NOT_SENT where the command was still here, and UNKNOWN where the server may have it.
    """

    retriable = True
    outcome = Outcome.UNKNOWN


class OutageTimeout(JMSError, TimeoutError):
    """The connection did not come back within `callFailoverTimeout`, or within a limit of the call's own.

    `outcome` is UNKNOWN where the command was on its way when the outage began, and NOT_SENT otherwise.
    """

    retriable = True


class OutcomeUnknown(JMSError):
    """A send that may have taken effect. Send again with `duplicate_id` and the broker drops the repeat.

    `duplicate_id` is None when the message carried none; then only the application can know.
    """

    outcome = Outcome.UNKNOWN

    def __init__(self, message: str, *, duplicate_id: bytes | str | None = None, code: int | None = None) -> None:
        super().__init__(message, code=code)
        self.duplicate_id = duplicate_id


class NotSent(JMSError):
    """A send or command that certainly did not take effect and never will."""

    retriable = True


class ReattachDiverged(JMSError):
    """The peer's count of commands cannot be true beside ours: replaying by it would lose or repeat."""


class DeliveryStopped(JMSError):
    """The server has messages for a consumer of a session that it had reattached, and delivers none of them."""


class ForkedError(JMSError):
    """A child process used a connection of its parent; open a new one in the child."""


class StoreError(ActiveClientError):
    """The folder of an embedded broker: in use, not a broker's, damaged, or its disk does not take or give any more."""


class ConfigError(ActiveClientError, ValueError):
    """A setting is wrong: the text names key, value and rule."""

    def __init__(self, key: str, value: object, rule: str) -> None:
        super().__init__(f"{key}: {rule}" if value is None else f"{key}={value!r}: {rule}")
        self.key = key
        self.value = value
        self.rule = rule


class NamingError(ConfigError):
    """A name, or a naming context, that the configuration does not hold (javax.naming.NamingException)."""


class UnknownSettingError(ConfigError, AttributeError):
    """An attribute of a locator or a connection factory was set that no setting has."""


MAX_SERVER_TEXT = 2000
"""Characters of a server's error text that are kept."""

SERVER_ERRORS: dict[int, type[ActiveClientError]] = {
    ServerCode.QUEUE_DOES_NOT_EXIST: InvalidDestinationError,
    ServerCode.QUEUE_EXISTS: InvalidDestinationError,
    ServerCode.OBJECT_CLOSED: ClosedError,
    ServerCode.INVALID_FILTER_EXPRESSION: InvalidSelectorError,
    ServerCode.ILLEGAL_STATE: IllegalStateError,
    ServerCode.SECURITY_EXCEPTION: JMSSecurityError,
    ServerCode.ADDRESS_DOES_NOT_EXIST: InvalidDestinationError,
    ServerCode.INCOMPATIBLE_CLIENT_SERVER_VERSIONS: IncompatibleVersion,
    ServerCode.LARGE_MESSAGE_ERROR_BODY: LargeMessageError,
    ServerCode.TRANSACTION_ROLLED_BACK: TransactionRolledBackError,
    ServerCode.DUPLICATE_ID_REJECTED: DuplicateIDError,
    ServerCode.DUPLICATE_METADATA: InvalidClientIDError,
    ServerCode.TRANSACTION_OUTCOME_UNKNOWN: TransactionOutcomeUnknownError,
    ServerCode.REMOTE_DISCONNECT: DisconnectedByServer,
    ServerCode.ADDRESS_FULL: ResourceAllocationError,
    ServerCode.LARGE_MESSAGE_INTERRUPTED: LargeMessageError,
    ServerCode.MAX_CONSUMER_LIMIT_EXCEEDED: ResourceAllocationError,
    ServerCode.UNEXPECTED_ROUTING_TYPE_FOR_ADDRESS: InvalidDestinationError,
}
"""Server code (ActiveMQExceptionType) to class; a code that is not here becomes `JMSError`."""

SERVER_ERROR_NAMES: dict[int, str] = {code: code.name for code in ServerCode}


def from_server(code: int, message: str | None) -> ActiveClientError:
    """The exception for an error that the server reported, with its code kept."""
    name = SERVER_ERROR_NAMES.get(code, "unknown code")
    return SERVER_ERRORS.get(code, JMSError)(f"{_shown(message)} ({name}, {code})", code=code)


def _shown(text: str | None) -> str:
    """A peer's text for an error of ours: cut, and without control characters that would forge log lines."""
    if not text:
        return "no text"
    shown = text[:MAX_SERVER_TEXT]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
    if len(text) > MAX_SERVER_TEXT or len(shown) > MAX_SERVER_TEXT:
        shown = f"{shown[:MAX_SERVER_TEXT]}... ({len(text)} characters)"
    return shown
