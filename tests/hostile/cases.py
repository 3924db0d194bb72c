"""The table of bad input: what is wrong, and what the user gets for it. Tests and `docs/errors.md` are made from it.

Law of this file: a row says what is true without looking at the code: exception, words of its text that name the cause,
seconds. What a row promises is what the tests measure.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    ConfigError,
    ConnectFailed,
    HandshakeTimeout,
    IncompatibleVersion,
    InvalidDestinationError,
    JMSError,
    JMSSecurityError,
    LargeMessageError,
    OutcomeUnknown,
    ReconnectGaveUp,
    TLSFailed,
    UnreadableMessageError,
)
from activeclient.wire.message import CoreMessage, encode_receive
from activeclient.wire.packet import encode
from activeclient.wire.packets import (
    BindingQueryResponse,
    CreateSession,
    CreateSessionResponse,
    Disconnect,
    DisconnectConsumer,
    ExceptionResponse,
    NullResponse,
    PacketsConfirmed,
    ProducerCredits,
    QueueQuery,
    QueueQueryResponse,
    ReattachSessionResponse,
    ReceiveContinuation,
    ReceiveLarge,
    RequestProducerCredits,
    SessionStart,
)
from activeclient.wire.versions import NEWEST
from tests.hostile.server import (
    HEAD,
    Conversation,
    Script,
    after_consumer,
    after_session,
    answers,
    broker,
    hangs_up,
    says,
    silent,
    trickles,
)

LIMITS = {"callTimeout": 0.5, "handshakeTimeout": 0.5, "connect-timeout-millis": 1.0}
"""Seconds of the limit that a row waits for. All others are longer than any pause of a busy machine."""

When = Literal["connect", "session", "query", "receive", "wait", "read", "send", "stream"]
"""wait: receives, and does something else until the connection is gone; stream: reads the body piece by piece."""


@dataclass(frozen=True)
class Case:
    """One bad thing.

    `error` None: it is ignored, and the client goes on. `limit` names the setting that bounds the time, if one does.
    """

    name: str
    """What is wrong."""
    when: When
    """What the user was doing."""
    script: Script
    error: type[ActiveClientError] | None
    says: str = ""
    """Regular expression that the text holds."""
    parameters: str = ""
    limit: str = ""
    seconds: float = 1.0
    code: int | None = None
    tls: str = ""
    """Which certificate the server shows; empty: it does not speak TLS."""

    @property
    def limit_seconds(self) -> float:
        """Of the limit that it waits for; 0 without one. More where something else must not meet it before."""
        return LIMITS.get(self.limit, 0.0) * (3 if self.when == "send" else 1)

    @property
    def url_parameters(self) -> str:
        """The limits, and its own parameters."""
        seconds = {name: self.limit_seconds if name == self.limit else 60.0 for name in LIMITS}
        given = [f"{name}={int(1000 * limit)}" for name, limit in seconds.items()]
        return "&".join([*given, self.parameters] if self.parameters else given)


def _frame(kind: int, channel: int, fields: bytes = b"", *, size: int | None = None) -> bytes:
    return HEAD.pack(9 + len(fields) if size is None else size, kind, channel) + fields


def _send(kind: int, fields: bytes = b"", *, size: int | None = None) -> Script:
    return after_consumer(lambda talk: talk.send(_frame(kind, talk.channel, fields, size=size)))


def _say(*packets: object, channel: int | None = None) -> Script:
    def act(talk: Conversation) -> None:
        for each in packets:
            talk.say(each, channel)  # type: ignore[arg-type]

    return after_consumer(act)


def _refusing(code: int, text: str) -> Script:
    def script(talk: Conversation) -> None:
        talk.on[CreateSession] = talk.on[CreateSession] = lambda _, __: talk.say(ExceptionResponse(code, text), 1)
        talk.serve()

    return script


def _instead(kind: type, act: Callable[[Conversation, int], object]) -> Script:
    def script(talk: Conversation) -> None:
        talk.on[kind] = lambda _, channel: act(talk, channel)
        talk.serve()

    return script


def _large(announced: int, *pieces: bytes, compressed: bool = False, more: bool = False) -> Script:
    def act(talk: Conversation) -> None:
        properties = {"_AMQ_LARGE_COMPRESSED": True} if compressed else {}
        header = CoreMessage(b"", 4, "q", message_id=7, properties=properties)
        talk.say(ReceiveLarge(0, 1, announced, header))
        for number, piece in enumerate(pieces):
            talk.say(ReceiveContinuation(piece, more or number < len(pieces) - 1, 0))

    return after_consumer(act)


def _bomb(megabytes: int) -> Script:
    deflater = zlib.compressobj(9)
    data = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(megabytes)) + deflater.flush()
    return _large(len(data), data, compressed=True)


def _flood(talk: Conversation) -> None:
    message = CoreMessage(bytes(4000), 4, "q", message_id=1)
    data = encode_receive(message, 0, 1, talk.channel) * 64
    while True:
        talk.send(data)


def _flood_of_pieces(talk: Conversation) -> None:
    talk.say(ReceiveLarge(0, 1, 1 << 27, CoreMessage(b"", 4, "q", message_id=7)))
    piece = encode(ReceiveContinuation(bytes(100_000), True, 0), talk.channel, NEWEST)
    while True:
        talk.send(piece)


def _stops_reading(talk: Conversation) -> None:
    talk.serve(RequestProducerCredits)
    talk.answer(talk.seen[-1], talk.channel)
    talk.stopped.wait(30)


def _never_reads(talk: Conversation) -> None:
    talk.stopped.wait(30)


def _broken_properties(talk: Conversation) -> None:
    frame = bytearray(encode_receive(CoreMessage(b"x", 4, "q", message_id=7, properties={"a": 1}), 0, 1, talk.channel))
    at = len(frame) - 12 - 9  # the type byte of the only property, before its 8 bytes and the trailer
    frame[at] = 99
    talk.send(bytes(frame))


def _body_outside(talk: Conversation) -> None:
    frame = bytearray(encode_receive(CoreMessage(b"x", 4, "q"), 0, 1, talk.channel))
    frame[13:17] = struct.pack(">i", 1 << 30)
    talk.send(bytes(frame))


_STOMP = b"ERROR\ncontent-type:text/plain\nversion:1.2\n\nUnknown STOMP action\0"
_HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
_OPENWIRE = b"\0\0\x01\x24\x01ActiveMQ\0\0\0\x0c\x01"
_GAVE_UP = "given up"

PEERS: list[Case] = [
    Case("accepts and closes at once", "connect", hangs_up, ConnectFailed, "closed by the peer; it had not said"),
    Case("never answers", "connect", silent, HandshakeTimeout, "no session", limit="handshakeTimeout"),
    Case("speaks HTTP", "connect", answers(_HTTP), ConnectFailed, "HTTP server, not CORE"),
    Case("speaks SSH", "connect", says(b"SSH-2.0-OpenSSH_9.6\r\n"), ConnectFailed, "SSH server, not CORE"),
    Case("speaks STOMP", "connect", answers(_STOMP), ConnectFailed, "STOMP acceptor, not CORE"),
    Case("speaks AMQP", "connect", answers(b"AMQP\0\1\0\0" * 2), ConnectFailed, "AMQP acceptor, not CORE"),
    Case("speaks OpenWire", "connect", says(_OPENWIRE * 4), ConnectFailed, "OpenWire acceptor"),
    Case("speaks TLS, the URL does not", "connect", answers(b"\x15\x03\x03\0\2\2\x46"), TLSFailed, "sslEnabled=true"),
    Case("sends random bytes", "connect", says(b"\xfe\xdc\xba\x98" * 8), ConnectFailed, "not CORE, or it is damaged"),
    Case(
        "closes in the middle of its first frame",
        "connect",
        answers(_frame(10, 0, bytes(3), size=17)),
        ConnectFailed,
        "127.0.0.1:.*peer closed",
    ),
    Case(
        "sends one byte in a while, for ever",
        "connect",
        trickles(_frame(10, 0, bytes(8)), 0.2),
        HandshakeTimeout,
        "no session",
        limit="handshakeTimeout",
    ),
    Case(
        "closes when a session is asked for",
        "session",
        _instead(CreateSession, lambda talk, _: talk.sock.close()),
        ReconnectGaveUp,
        "closed|reset|broken",
    ),
    Case(
        "never answers to a session asked for",
        "session",
        _instead(CreateSession, lambda *_: None),
        CallTimeout,
        "no answer within",
        limit="callTimeout",
    ),
]

REFUSALS: list[Case] = [
    Case(
        "user or password is wrong",
        "session",
        _refusing(105, "AMQ229031: Unable to validate user"),
        JMSSecurityError,
        "Unable to validate user",
        code=105,
    ),
    Case(
        "the server is of an unknown version",
        "session",
        _refusing(108, "AMQ229019: incompatible"),
        IncompatibleVersion,
        "incompatible",
        code=108,
    ),
    Case("an error with an unknown code", "session", _refusing(-7, "strange"), JMSError, "strange", code=-7),
    Case(
        "an error text of 1 MiB with control characters",
        "session",
        _refusing(104, "a\nb\x1b[31m" * 100_000),
        JMSError,
        r"a\\nb\\x1b",
        code=104,
    ),
    Case(
        "the queue does not exist",
        "query",
        _instead(
            QueueQuery,
            lambda talk, channel: talk.say(ExceptionResponse(100, "AMQ229017: Queue q does not exist", -1), channel),
        ),
        InvalidDestinationError,
        "does not exist",
        code=100,
    ),
]

FRAMES: list[Case] = [
    Case(
        "a frame that ends with the connection",
        "receive",
        after_consumer(lambda talk: (talk.send(_frame(75, talk.channel, bytes(20), size=200)), talk.sock.close())),
        ReconnectGaveUp,
        "closed",
    ),
    Case("a length of 2 GiB", "receive", _send(75, size=2**31 - 1), ReconnectGaveUp, "frame of 2147483647 bytes"),
    Case(
        "a length beyond maxFrameSize",
        "receive",
        _send(75, size=5000),
        ReconnectGaveUp,
        "allowed are 9 to 4096",
        "maxFrameSize=4096",
    ),
    Case("a negative length", "receive", _send(75, size=-5), ReconnectGaveUp, "frame of -5 bytes"),
    Case("a length too short for a header", "receive", _send(75, size=3), ReconnectGaveUp, "frame of 3 bytes"),
    Case("an unknown packet type", "receive", _send(99), ReconnectGaveUp, "unknown packet of packet type 99"),
    Case("a packet cut short", "receive", _send(77, bytes(4)), ReconnectGaveUp, "ReceiveContinuation|too early"),
    Case("a delivery cut short", "receive", _send(75, bytes(8)), ReconnectGaveUp, "delivery too short"),
    Case("a confirmation cut short", "receive", _send(22), ReconnectGaveUp, "confirmation without a command"),
    Case(
        "a count of 2,147,483,647 elements",
        "receive",
        _send(BindingQueryResponse.KIND, b"\xff" + struct.pack(">i", 2**31 - 1)),
        ReconnectGaveUp,
        "elements announced",
    ),
    Case(
        "a text of negative length",
        "receive",
        _send(20, struct.pack(">ibi", 104, 1, -9)),
        ReconnectGaveUp,
        "text of -9 units",
    ),
    Case(
        "a text that is not UTF-8",
        "receive",
        _send(20, struct.pack(">ibiH", 104, 1, 20, 20) + b"\xff\xfe" * 10),
        ReconnectGaveUp,
        "not modified UTF-8",
    ),
    Case(
        "random bytes after the handshake",
        "receive",
        after_consumer(lambda talk: talk.send(b"\x91\x13\x77\xf0" * 99)),
        ReconnectGaveUp,
        "not CORE, or it is damaged",
    ),
    Case(
        "a delivery whose body ends outside of it",
        "receive",
        after_consumer(_body_outside),
        ReconnectGaveUp,
        "does not fit its frame|body ends at",
    ),
    Case(
        "a channel that was never opened",
        "receive",
        after_consumer(lambda talk: talk.say(NullResponse(), 4711)),
        ReconnectGaveUp,
        "channel 4711, which was never opened",
    ),
    Case(
        "a negative channel",
        "receive",
        after_consumer(lambda talk: talk.say(NullResponse(), -1)),
        ReconnectGaveUp,
        "channel -1, which was never opened",
    ),
    Case(
        "an answer that nobody asked for",
        "receive",
        _say(CreateSessionResponse(NEWEST), channel=1),
        ReconnectGaveUp,
        "answers nothing",
    ),
    Case(
        "a reattachment that nobody asked for",
        "receive",
        _say(ReattachSessionResponse(3, True), channel=1),
        ReconnectGaveUp,
        "answers nothing",
    ),
    Case("a packet that only clients send", "receive", _say(SessionStart()), ReconnectGaveUp, "only clients send"),
    Case(
        "an answer of the wrong kind to a session asked for",
        "session",
        _instead(CreateSession, lambda talk, _: talk.say(NullResponse(), 1)),
        ReconnectGaveUp,
        "answers the creation",
    ),
    Case(
        "an answer of the wrong kind to a query",
        "query",
        _instead(QueueQuery, lambda talk, channel: talk.say(BindingQueryResponse(True, ()), channel)),
        CallTimeout,
        "no answer within",
        limit="callTimeout",
    ),
    Case("an answer in vain, on a session", "receive", _say(NullResponse(), QueueQueryResponse(exists=True)), None),
    Case(
        "a delivery for an unknown consumer", "receive", after_consumer(lambda talk: talk.deliver(consumer_id=99)), None
    ),
    Case("a piece of no large message", "receive", _say(ReceiveContinuation(b"x", False, 0)), None),
    Case("credits for an address that nobody uses", "receive", _say(ProducerCredits(100, "elsewhere")), None),
    Case(
        "negative producer credits", "receive", _say(ProducerCredits(-1, "q")), ReconnectGaveUp, "-1 producer credits"
    ),
    Case(
        "confirmations of what was never sent, again and again",
        "receive",
        _instead(
            CreateSession,
            lambda talk, channel: (
                talk.answer(talk.seen[-1], channel),
                setattr(talk, "windowed", False),  # no true one behind it, which would count alone
                talk.say(PacketsConfirmed(1_000_000)),
            ),
        ),
        ReconnectGaveUp,
        "confirm",
        "confirmationWindowSize=100000",
    ),
    Case(
        "a redirect to nonsense",
        "receive",
        after_consumer(lambda talk: talk.say(Disconnect("node", 1, "other", None), 0)),
        ReconnectGaveUp,
        "going away",
    ),
    Case(
        "the consumer's queue is deleted",
        "receive",
        _say(DisconnectConsumer(0)),
        InvalidDestinationError,
        "was deleted",
        code=100,
    ),
    Case(
        "deliveries without credits, for ever",
        "wait",
        after_consumer(_flood),
        ReconnectGaveUp,
        "deliveries without credits",
        "consumerWindowSize=1000000",
    ),
    Case(
        "a message with damaged properties",
        "read",
        after_consumer(_broken_properties),
        UnreadableMessageError,
        "message 7 is damaged: property of unknown type 99",
    ),
]

BODIES: list[Case] = [
    Case(
        "a large message that ends too early",
        "read",
        _large(1000, b"x" * 400),
        LargeMessageError,
        "ended after 400 of 1000 bytes",
    ),
    Case(
        "a large message that goes on after its end",
        "read",
        _large(100, b"x" * 80, b"x" * 80, more=True),
        LargeMessageError,
        "goes on after them",
    ),
    Case(
        "a large message without credits, for ever",
        "wait",
        after_consumer(_flood_of_pieces),
        LargeMessageError,
        "deliveries without credits",
        "consumerWindowSize=1000000",
    ),
    Case(
        "a large message that stops coming",
        "read",
        _large(1 << 20, b"x" * 80, more=True),
        CallTimeout,
        "no answer within",
        limit="callTimeout",
    ),
    Case(
        "a large message beyond maxLargeMessageSize, read whole",
        "read",
        _large(1 << 40, b"x" * 80, more=True),
        LargeMessageError,
        "1099511627776 bytes is larger than maxLargeMessageSize",
    ),
    Case(
        "a compressed body that is damaged",
        "read",
        _large(8, b"\x01" * 8, compressed=True),
        LargeMessageError,
        "compressed body is damaged",
    ),
    Case(
        "a compressed body that ends too early",
        "read",
        _large(9, zlib.compress(b"a" * 99)[:9], compressed=True),
        LargeMessageError,
        "compressed body ends too early",
    ),
    Case(
        "a decompression bomb (64 MiB of zeros), read whole",
        "read",
        _bomb(64),
        LargeMessageError,
        "larger than maxLargeMessageSize=1000000",
        "maxLargeMessageSize=1000000",
    ),
    Case("a decompression bomb (256 MiB of zeros), read as a stream", "stream", _bomb(256), None, seconds=3.0),
]

SENDS: list[Case] = [
    Case(
        "no producer credits are granted",
        "send",
        _instead(RequestProducerCredits, lambda *_: None),
        CallTimeout,
        "no producer credits for address 'q'",
        limit="callTimeout",
    ),
    Case(
        "the server stops reading, the send waits for its answer",
        "send",
        _stops_reading,
        OutcomeUnknown,
        "no answer within",
        limit="callTimeout",
    ),
    Case(
        "the server stops reading, sends do not wait",
        "send",
        after_session(_never_reads),
        CallTimeout,
        "no answer within",
        "blockOnDurableSend=false&producerWindowSize=-1",
        limit="callTimeout",
        seconds=2.0,
    ),
]

TLS: list[Case] = [
    Case(
        "the certificate is for another host", "connect", broker, TLSFailed, "another host name|another IP", tls="host"
    ),
    Case("the certificate has expired", "connect", broker, TLSFailed, "has expired", tls="expired"),
    Case("the certificate is self-signed", "connect", broker, TLSFailed, "self-signed and not trusted", tls="self"),
    Case("the certificate comes from an unknown CA", "connect", broker, TLSFailed, "CA that is not trusted", tls="ca"),
    Case(
        "the URL says TLS, the acceptor is a plain one that closes",
        "connect",
        answers(b""),
        TLSFailed,
        "closed the connection during the TLS handshake|reset",
    ),
    Case("the URL says TLS, the peer answers in clear", "connect", answers(_HTTP), TLSFailed, "does not speak TLS"),
    Case(
        "the URL says TLS, the peer never answers",
        "connect",
        silent,
        TLSFailed,
        "most likely speaks no TLS",
        limit="handshakeTimeout",
    ),
]

ALL = {
    "Peers": PEERS,
    "Refusals": REFUSALS,
    "Frames": FRAMES,
    "Large bodies": BODIES,
    "Sending": SENDS,
    "TLS": TLS,
}

Config = tuple[str, str, str]
"""URL, the key that the error names, words of its text."""

URLS: list[Config] = [
    ("", "url", "must not be empty"),
    ("localhost", "url", "needs its scheme"),
    ("gopher://localhost:61616", "url", "unknown scheme gopher; known are tcp and vm"),
    ("http://localhost:61616", "url", "HTTP tunnels are not supported"),
    ("amqp://localhost:5672", "url", "AMQP is another protocol"),
    ("stomp://localhost:61613", "url", "STOMP is another protocol"),
    ("ssl://localhost:61617", "url", r"sslEnabled=true"),
    ("failover:(tcp://a:1)", "url", "ActiveMQ Classic"),
    ("udp://231.7.7.7:9876", "url", "list the hosts"),
    ("tcp://", "url", "host is missing"),
    ("tcp://:61616", "url", "host is missing"),
    ("tcp://a:99999", "url", "port"),
    ("tcp://a:-1", "url", "port"),
    ("tcp://a:http", "url", "port"),
    ("tcp://a:1/path", "url", "path"),
    ("tcp://a b:1", "url", "blanks"),
    ("tcp://a\n:1", "url", "control characters"),
    ("tcp://::1:61616", "url", "brackets"),
    ("tcp://[zz]:1", "url", "IPv6"),
    ("tcp://me:secret@a:1", "url", r"user=\.\.\.&password"),
    ("(tcp://a:1,tcp://b:2", "url", "not closed"),
    ("tcp://a:1,tcp://b:2", "url", "parentheses"),
    ("tcp://a:1;tcp://b:2", "url", "parentheses"),
    ("tcp://${HOST}:1", "url", "placeholder"),
    ("tcp://a:1?ha=true&amp;callTimeout=5", "url", "write & for &amp;"),
    ("tcp://a:1?ha=true?callTimeout=5", "url", r"not by another \?"),
    ("(tcp://a:1,vm://b)", "url", "one scheme"),
    ("tcp://a:1?callTimeout=%zz", "url", "hexadecimal"),
    ("tcp://a:1?callTimeout=%ff", "url", "UTF-8"),
    ("tcp://a:1?=5", "url", "no name"),
    ("tcp://" + "a" * 20000 + ":1", "url", "at most 16384"),
    ("tcp://a:1?calltimeout=5", "calltimeout", "case-sensitive, write callTimeout"),
    ("tcp://a:1?callTimout=5", "callTimout", "did you mean callTimeout"),
    ("tcp://a:1?callTimeout=5s", "callTimeout", "whole number of milliseconds"),
    ("tcp://a:1?callTimeout=0", "callTimeout", ">= 1"),
    ("tcp://a:1?callTimeout=99999999999999999999", "callTimeout", "whole number|>= 1"),
    ("tcp://a:1?retryIntervalMultiplier=nan", "retryIntervalMultiplier", "number"),
    ("tcp://a:1?retryIntervalMultiplier=0.5", "retryIntervalMultiplier", ">= 1"),
    ("tcp://a:1?sslEnabled=maybe", "sslEnabled", "true or false"),
    ("tcp://a:1?profile=fast", "profile", "one of"),
    ("tcp://a:1?httpEnabled=true", "httpEnabled", "not supported"),
    ("tcp://a:1?reconnectAttempts=-2", "reconnectAttempts", "-1"),
    ("tcp://a:1?consumerWindowSize=-2", "consumerWindowSize", "-1"),
    ("tcp://a:1?sslEnabled=true&trustStorePath=/nowhere", "trustStorePath", "cannot be read"),
    ("tcp://a:1?trustStorePath=ca.pem", "trustStorePath", "needs sslEnabled=true"),
    ("tcp://a:1?username=me", "username", r"did you mean user\?"),
    ("tcp://a:1?connectionTimeout=5", "connectionTimeout", r"did you mean connect-timeout-millis\?"),
    ("tcp://a:1?jms.useAsyncSend=true", "jms.useAsyncSend", r"did you mean blockOnDurableSend\?"),
    ("tcp://a:1?wireFormat.maxFrameSize=1", "wireFormat.maxFrameSize", "ActiveMQ Classic"),
    ("tcp://a:1?QUEUE_CF", "QUEUE_CF", "write type=QUEUE_CF"),
    ("tcp://a:1?user=me&password=a&b", "url", "not shown, for it may be a piece of a password"),
]
CONFIG_ERROR = ConfigError
