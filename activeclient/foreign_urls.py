"""URLs that other clients would take, and mistakes of copying: found out, so that the error says what to write.

Law of this file: nothing is guessed and nothing of the URL is repeated in a text: it may be a piece of a password.
"""

from __future__ import annotations

import re
from typing import Final

_LIST: Final = "(tcp://a:61616,tcp://b:61616)?parameters"
_CORE: Final = (
    "this client speaks CORE, which Artemis' acceptors take on port 61616 unless told otherwise: tcp://host:61616"
)
_CLASSIC: Final = "that is ActiveMQ Classic's form; write (tcp://a:61616,tcp://b:61616)?reconnectAttempts=-1"
_TLS: Final = "write tcp://host:port?sslEnabled=true"
_DISCOVERY: Final = "discovery by multicast is not supported; list the hosts: (tcp://a:61616,tcp://b:61616)"

SCHEMES: Final = {
    "udp": _DISCOVERY,
    "multicast": _DISCOVERY,
    "discovery": _DISCOVERY,
    "zeroconf": _DISCOVERY,
    "jgroups": "discovery by JGroups is a Java library's protocol; list the hosts: (tcp://a:61616,tcp://b:61616)",
    **dict.fromkeys(("ssl", "tls", "tcps", "tcp+ssl", "tcp+tls", "ssl+tcp", "nio+ssl", "auto+ssl"), _TLS),
    **dict.fromkeys(
        ("nio", "auto", "auto+nio", "netty", "core", "artemis", "activemq", "jms"), "write tcp://host:port"
    ),
    **dict.fromkeys(("failover", "static", "fanout", "masterslave", "peer", "broker", "mock"), _CLASSIC),
    **dict.fromkeys(("auto+nio+ssl",), _TLS),
    **dict.fromkeys(("amqp", "amqps", "amqp+ssl", "amqpws", "amqpwss"), f"AMQP is another protocol; {_CORE}"),
    **dict.fromkeys(("mqtt", "mqtts", "mqtt+ssl"), f"MQTT is another protocol; {_CORE}"),
    **dict.fromkeys(("stomp", "stomps", "stomp+ssl", "stomp+nio"), f"STOMP is another protocol; {_CORE}"),
    **dict.fromkeys(("openwire", "hornetq", "remote"), f"that is another client's; {_CORE}"),
    **dict.fromkeys(("http", "https", "http-remoting", "ws", "wss"), f"HTTP tunnels are not supported; {_CORE}"),
    **dict.fromkeys(("kafka", "nats", "redis", "pulsar", "rabbitmq", "jdbc"), f"that is another broker's; {_CORE}"),
    "invm": "write vm://name",
    "jndi": "names are looked up by jndi_props.InitialContext, which reads jndi.properties",
    "file": "a URL of a broker is meant: tcp://host:port",
}
"""Scheme to what to write instead."""

_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]*"
_MISTAKES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (
        re.compile(r"&(amp|#38|#x26|lt|gt|quot);", re.IGNORECASE),
        "holds an escape of XML or HTML; outside of such a file write & for &amp;",
    ),
    (
        re.compile(r"[$#]\{|\{\{|%\([A-Za-z_.]+\)s|//(<|%[A-Za-z_]+%|\$[A-Za-z_(])"),
        "holds a placeholder that nothing has replaced, such as ${HOST}",
    ),
    (re.compile(r"""^["'`\u201c\u2018<]"""), "must not be in quotes"),
    (re.compile(rf"^{_SCHEME}%3A(//|%2F)", re.IGNORECASE), "is percent-encoded as a whole; only values may be"),
    (
        re.compile(r"^(url|uri|broker-?url|connection(factory)?[.\w]*)\s*=\s*[(a-z]", re.IGNORECASE),
        "begins with a key of a properties file; write the value alone",
    ),
    (re.compile(rf"^\(?({'|'.join(map(re.escape, SCHEMES))}):(?!//[^(])", re.IGNORECASE), ""),
    (re.compile(rf"^{_SCHEME}://\("), "the parentheses belong around the list: (tcp://a:61616,tcp://b:61616)"),
    (re.compile(r"^[^?]*\\"), "holds a backslash; write tcp://host:port"),
    (
        re.compile(rf"^[^?(]*[;|\s]+\(?{_SCHEME}://"),
        f"several hosts need parentheses, and commas between them: {_LIST}",
    ),
    (
        re.compile(r"^[^(].*[;&|](tcp|ssl|vm|nio)://"),
        f"several hosts need parentheses, and commas between them: {_LIST}",
    ),
    (
        re.compile(rf"^\([^)?]*[^,;|\s]\s*[;|\s]\s*{_SCHEME}://"),
        f"the hosts of a list are separated by commas: {_LIST}",
    ),
)


def mistake(text: str) -> str | None:
    """What is wrong with a text that is no URL of ours, if it is one of the known mistakes; else None."""
    for pattern, rule in _MISTAKES:
        found = pattern.search(text)
        if found is not None:
            return rule or SCHEMES[found[1].lower()]
    return None
