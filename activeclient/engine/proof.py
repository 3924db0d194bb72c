"""Repeated sends that the broker has answered, until a later write of its journal proves that they are stored.

Law of this file: a repeated send is done only when something that was written to the journal after it has been
answered, and its address exists. The broker answers a send that it drops as a duplicate at once, even when the first
copy is not on disk yet, or when it refused that one: its duplicate id stays known, and the refusal may have been lost
with the session. Until then the frames are kept, and repeated again when the session is lost. Many are proven in parts,
while the rest is under way: where cuts come fast, each session gets further than the one before. Sends end in the order
in which they were made: what was made later, or failed, is told of with the last of those before it.

The later write is a transaction that is rolled back: a copy of the last repeated send, without its body and its
duplicate id, in a session of its own on the same connection. It goes to the same queues, needs the same permission,
nobody ever gets it, and the answer to the rollback waits for the journal, which is written in order.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from activeclient.engine.requests import Pending, Request, SendToken
from activeclient.engine.session_config import SessionConfig
from activeclient.errors import ActiveClientError, ClosedError, InvalidDestinationError, OutcomeUnknown
from activeclient.server_code import ServerCode
from activeclient.wire.message import CoreMessage, duplicate_id_of
from activeclient.wire.names import DUPLICATE_ID
from activeclient.wire.packet import decode, encode
from activeclient.wire.packets import BindingQuery, Rollback, Send, SessionClose

if TYPE_CHECKING:
    from activeclient.engine.session import Session

PART = 32
"""So many answered sends are proven while others have no answer yet."""


class Repeated(SendToken):
    """A send that an earlier session may have made; in place of the token of who waits for it, if anybody does."""

    __slots__ = ("_proof", "address", "frame", "token")
    done: bool
    error: ActiveClientError | None

    def __init__(self, proof: Proof, frame: bytes, token: Pending | None, correlation_id: int) -> None:
        super().__init__(correlation_id)
        self._proof = proof
        self.frame: bytes = frame
        self.token: Pending | None = token
        self.address: str = ""
        """Of the message, without a queue's name; known when it is asked for."""

    def settled(self, session: Session) -> None:
        if not self.done:
            self._proof.answered(self)
            self.done = True  # then: interrupted before it, this is told again

    def failed(self, session: Session, error: ActiveClientError) -> None:
        if not self.done:
            self._proof.refused(self, error)
            self.error = error
            self.done = True


class Proof:
    """The repeated sends of one session. See the module."""

    __slots__ = (
        "_answered",
        "_ended",
        "_missing",
        "_outstanding",
        "_proving",
        "_queries",
        "_session",
        "_writer",
        "open",
    )

    def __init__(self, session: Session) -> None:
        self._session = session
        self._outstanding: set[Repeated] = set()
        """Repeated sends without an answer."""
        self._answered: list[Repeated] = []
        self._proving: list[Repeated] = []
        """Those before them, whose addresses are being asked for, or behind which something is being written."""
        self._ended: list[tuple[Pending, ActiveClientError | None]] = []
        """Sends that were made later and are done, and those that failed, with the reason. They outlive a loss of the
        session: those before them do, too."""
        self.open: bool = False
        """True while a repeated send is not proven."""
        self._queries: list[Request] = []
        """Whether the addresses exist."""
        self._missing: dict[str, bool] = {}
        """Addresses that do not exist, and whether the broker creates them for who may."""
        self._writer: _Writer | None = None

    # --- what happens to the session ------------------------------------------------------------------------------

    def repeat(self, frame: bytes, token: Pending | None, correlation_id: int) -> Repeated:
        """Return what stands for a repeated send among the commands."""
        repeated = Repeated(self, frame, token, correlation_id)
        self._outstanding.add(repeated)
        self.open = True
        return repeated

    @property
    def unproven(self) -> list[Repeated]:
        """What is answered and not proven, in order of sending."""
        return self._proving + self._answered

    def take_back(self) -> None:
        """The session is lost, and what is `unproven` the concern of its successor: forget all."""
        self._answered, self._proving = [], []
        self._outstanding.clear()
        self._queries = []
        self.link_lost()
        if not self._ended:
            self._close()

    def end(self) -> None:
        """The session has ended, and so has what was not proven."""
        self._close()

    def link_lost(self) -> None:
        """The connection is lost: what writes is lost with it."""
        if self._writer is not None:
            self._writer.end()
        self._writer = None

    def go_on(self) -> None:
        """The session is back: it was reattached, or is rebuilt."""
        if self._writer is not None or self._session.recovery is not None:
            return
        if self._queries:
            for query in self._queries:
                if not query.done and not self._session.has_request(query):  # an interrupt came before it was submitted
                    self._session.submit_first(query)
            return
        if self._proving:  # what was to prove them is lost
            self._answered, self._proving = self._proving + self._answered, []
        if self._answered and (not self._outstanding or len(self._answered) >= PART):
            self._ask()
        elif self.open and not self._outstanding:
            self._close()

    def frame_of(self, token: Pending) -> bytes | None:
        """Return the frame of a send that is answered and not proven."""
        those = itertools.chain(self._proving, self._answered)
        return next((repeated.frame for repeated in those if repeated.token is token), None)

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, repeated: Repeated) -> None:
        """The broker has, or had, a repeated send."""
        answered = self._answered
        if repeated in self._outstanding and not (answered and answered[-1] is repeated):
            answered.append(repeated)
        self._one_less(repeated)

    def hold(self, token: Pending, error: ActiveClientError | None = None) -> None:
        """End a send, with `error` if it failed, behind those that are not proven."""
        self._ended.append((token, error))

    def refused(self, repeated: Repeated, error: ActiveClientError) -> None:
        """The broker refused a repeated send."""
        self._fail(repeated, error)
        self._one_less(repeated)

    def _fail(self, repeated: Repeated, error: ActiveClientError) -> None:
        if repeated.token is None:
            self._session.tell_failed(None, error)
        else:
            self.hold(repeated.token, error)

    def _one_less(self, repeated: Repeated) -> None:
        self._outstanding.discard(repeated)
        self.go_on()

    def _ask(self) -> None:
        session = self._session
        self._missing = {}
        self._proving, self._answered = self._answered, []
        for repeated in self._proving:
            repeated.address = str(_message_of(repeated.frame, session).address).partition("::")[0]
        addresses = {repeated.address for repeated in self._proving}
        queries = [session.request_of(BindingQuery(name), self._address_known) for name in sorted(addresses)]
        for query in queries:
            query.bound = True
        self._queries = queries
        for query in queries:
            session.submit_first(query)

    def _address_known(self, request: Request) -> None:
        packet, answer = request.packet, request.result
        if request not in self._queries:
            return  # of a session before
        if answer is not None and not getattr(answer, "exists", True) and isinstance(packet, BindingQuery):
            self._missing[packet.address] = bool(getattr(answer, "auto_create_addresses", False))
        if all(query.done for query in self._queries):
            self._judge_addresses()

    def _judge_addresses(self) -> None:
        session = self._session
        there: list[Repeated] = []
        for repeated in self._proving:
            address = repeated.address
            if address not in self._missing:
                there.append(repeated)
                continue
            duplicate_id = duplicate_id_of(repeated.frame)
            error: ActiveClientError
            if self._missing[address]:
                error = OutcomeUnknown(
                    f"the address {address!r} does not exist: it could not be created, or is deleted since",
                    duplicate_id=duplicate_id,
                    code=ServerCode.ADDRESS_DOES_NOT_EXIST,
                )
            else:
                error = InvalidDestinationError(
                    f"the address {address!r} does not exist", code=ServerCode.ADDRESS_DOES_NOT_EXIST
                )
            self._fail(repeated, error)
        self._proving = there
        self._queries = []
        if self._proving:
            self._writer = _Writer(self, session, _message_of(self._proving[-1].frame, session))
        else:
            self.go_on()

    def written(self) -> None:
        """A later write is on the disk, or cannot be made: no more can be known."""
        proven = self._proving
        self._ended += [(repeated.token, None) for repeated in proven if repeated.token is not None]
        if proven:
            last = proven[-1].correlation_id  # answers come in the order of sends: of those before it none is missing
            self._tell([ended for ended in self._ended if ended[0].correlation_id <= last])
            self._ended = [ended for ended in self._ended if ended[0].correlation_id > last]
        self._proving = []  # then: interrupted before it, this is done again, and no send ends twice
        self._writer = None
        self.go_on()

    def _tell(self, ended: list[tuple[Pending, ActiveClientError | None]]) -> None:
        for token, error in sorted(ended, key=lambda each: each[0].correlation_id):
            if error is None:
                token.settled(self._session)
            else:
                token.failed(self._session, error)

    def _close(self) -> None:
        self._tell(self._ended)
        self._ended = []
        self.open = False
        self._session.launch()  # its closing may wait for this


class _Writer:
    """A session in which a transaction is written and rolled back."""

    def __init__(self, proof: Proof, of: Session, message: CoreMessage) -> None:
        self._proof = proof
        self._message = message
        config = SessionConfig(
            user=of.config.user,
            password=of.config.password,
            auto_commit_sends=False,
            auto_commit_acks=False,
        )
        client = of.client
        self.session = client.create_session(config, client.now)
        self.session.creation = _Creation(self)

    def created(self) -> None:
        """The session stands."""
        session = self.session
        message = self._message
        message.body = b""
        message.properties = {key: value for key, value in message.properties.items() if key != DUPLICATE_ID}
        session.command(encode(Send(message), session.channel_id, session.client.version))
        session.submit(session.request_of(Rollback(False), self._rolled_back))

    def _rolled_back(self, request: Request) -> None:
        session = self.session
        if session.usable:
            session.client.write(session.encode(SessionClose()))
            self.end()
            self._proof.written()

    def refused(self) -> None:
        """The server does not create the session."""
        client = self.session.client
        if not client.closed and client.gave_up is None:
            self._proof.written()

    def end(self) -> None:
        """Forget the session."""
        session = self.session
        session.creation = None
        session.life.end(ClosedError("it is not needed any more"), session.client.now)


class _Creation(Pending):
    """The writer waits for its session."""

    __slots__ = ("_writer",)

    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def settled(self, session: Session) -> None:
        if not self.done:
            self.done = True
            self._writer.created()

    def failed(self, session: Session, error: ActiveClientError) -> None:
        if not self.done:
            self.done = True
            self._writer.refused()


def _message_of(frame: bytes, session: Session) -> CoreMessage:
    packet = decode(frame, session.client.version)
    assert isinstance(packet, Send)
    return packet.message
