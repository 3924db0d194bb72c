"""What is meant by a key that is no key of ours: those of other clients, other words for the same, and mistypings.

Law of this file: a hint names what does what the key would do there, or says that nothing here does; similar letters
alone count only when few differ. It is asked about wrong keys only, so nothing here needs to be quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

_CLASSIC: Final = "a key of ActiveMQ Classic's client, which has no effect on Artemis' protocol"
_QPID: Final = "a key of Qpid JMS (AMQP)"
_TLS_KEYS: Final = {
    "sslEnabled": "ssl usessl ssl_enabled enablessl tls usetls tlsenabled secure use_ssl",
    "trustStorePath": (
        "truststore truststorelocation truststorefile ca cafile cacert cacerts ca_certs ca_file sslca ssl_ca_certs "
        "sslcafile capath rootca javax.net.ssl.truststore"
    ),
    "trustStorePassword": "javax.net.ssl.truststorepassword",
    "keyStorePath": (
        "keystore keystorelocation keystorefile cert certfile cert_file certificate clientcert client_cert sslcert "
        "ssl_certfile certificatepath certpath javax.net.ssl.keystore"
    ),
    "keyStorePassword": "keypassword key_password certpassword javax.net.ssl.keystorepassword",
    "privateKeyPath": "key keyfile key_file keypath privatekey privatekeyfile sslkey ssl_keyfile clientkey",
    "verifyHost": (
        "verifyhostname hostnameverification checkhostname check_hostname sslverify verify socket.verifyhostname "
        "verifypeer ssl_verify hostnameverifier"
    ),
    "trustAll": "insecure allowselfsigned skipverify",
    "enabledProtocols": "sslprotocol tlsversion ssl_version sslversion protocol minversion",
    "enabledCipherSuites": "ciphers ciphersuites",
}
_KEYS: Final = {
    "user": "username user_name login userid uid usr principal amq_user usern",
    "password": "passwd pass pwd passcode passphrase pw credentials userpassword secret",
    "clientID": "client-id client_id jmsclientid clientname client.id containerid",
    "connect-timeout-millis": (
        "connectiontimeout connecttimeout connect_timeout connectiontimeoutmillis connecttimeoutmillis "
        "connect_timeout_millis connect_timeout_ms connecttimeoutms connectiontimeoutms soconnecttimeout "
        "nettyconnecttimeout connect-timeout connection_timeout connection-timeout"
    ),
    "callTimeout": (
        "requesttimeout sendtimeout responsetimeout readtimeout timeout request_timeout rpctimeout closetimeout "
        "operationtimeout"
    ),
    "callFailoverTimeout": "failovertimeout sendtimeoutonfailover",
    "connectionTTL": (
        "ttl keepalivetimeout idletimeout maxinactivityduration sotimeout heartbeattimeout heartbeats "
        "maxinactivitydurationinitaldelay sessiontimeout"
    ),
    "clientFailureCheckPeriod": (
        "heartbeat heartbeatinterval keepalive keepaliveinterval pinginterval pingperiod heart-beat "
        "requested_heartbeat heartbeat_interval tcpkeepalive checkperiod useinactivitymonitor"
    ),
    "reconnectAttempts": (
        "maxreconnectattempts maxreconnects reconnect maxretries retries retry retryattempts maxattempts "
        "autoreconnect maxretryattempts reconnect_attempts_max attempts connectionattempts"
    ),
    "initialConnectAttempts": (
        "startupmaxreconnectattempts connectattempts initialattempts initialreconnectattempts connect_attempts"
    ),
    "retryInterval": (
        "initialreconnectdelay reconnectdelay retrydelay reconnectinterval reconnect_delay backoff retry_delay "
        "reconnectbackoff delay initialretryinterval"
    ),
    "maxRetryInterval": "maxreconnectdelay maxretrydelay maxbackoff retryintervalmax",
    "retryIntervalMultiplier": (
        "backoffmultiplier reconnectdelayexponent reconnectbackoffmultiplier useexponentialbackoff "
        "usereconnectbackoff reconnectbackoffmulitplier backoff_multiplier"
    ),
    "retryJitter": "jitter randomization collisionavoidance",
    "ha": "highavailability backup prioritybackup updateuristosupportbackup",
    "connectionLoadBalancingPolicyClassName": "randomize loadbalancing loadbalancingpolicy rebalanceclusterclients",
    "useTopologyForLoadBalancing": "usetopology updateclusterclients topology discover",
    "consumerWindowSize": (
        "prefetch prefetchsize prefetchcount prefetch_count prefetchpolicy prefetchall maxmessages linkcredit"
    ),
    "producerWindowSize": "producerflowcontrol windowsize",
    "confirmationWindowSize": "confirmationwindow ackwindowsize replaybuffersize",
    "blockOnDurableSend": "useasyncsend alwayssyncsend asyncsend syncsend syncpublish",
    "compressLargeMessage": "usecompression compression compress compressionenabled",
    "minLargeMessageSize": "largemessagesize largemessagethreshold",
    "maxFrameSize": "maxmessagesize framesize",
    "dupsOKBatchSize": "optimizeacknowledge",
    "duplicateDetection": "idempotent idempotence enableidempotence deduplication",
    "tcpNoDelay": "nodelay tcp_nodelay tcpnodelayenabled",
    "tcpSendBufferSize": "sendbuffersize sndbuf iobuffersize socketbuffersize",
    "tcpReceiveBufferSize": "receivebuffersize rcvbuf",
    "cacheDestinations": "destinationcache",
    "localAddress": "bind bindaddress sourceaddress source_address",
    **_TLS_KEYS,
}
MEANT: Final[Mapping[str, str]] = {word: key for key, words in _KEYS.items() for word in words.split()}
"""Key of another client, or another word, in lower case, to the key of ours that means it."""

_TEXTS: Final[Mapping[str, str]] = {
    "qos": "MQTT's; delivery_mode of a send says whether a message is durable",
    "cleansession": "MQTT's; a durable subscription is made by create_durable_consumer",
    "vhost": "another broker's: Artemis has no virtual hosts",
    "virtualhost": "another broker's: Artemis has no virtual hosts",
    "keepaliveresponserequired": _CLASSIC,
    "soLinger".lower(): "a socket option that this client leaves to the system",
    "amp": "holds an escape of XML or HTML; outside of such a file write & for &amp;",
}
"""Key of another client, in lower case, that nothing here does, with the reason."""

_PREFIXES: Final[Mapping[str, str]] = {
    "jms.": _CLASSIC,
    "wireformat.": _CLASSIC,
    "nested.": _CLASSIC,
    "socket.": _CLASSIC,
    "daemon.": _CLASSIC,
    "broker.": "a key of ActiveMQ Classic's embedded broker, which has no effect; ours is made by EmbeddedBroker(...)",
    "consumer.": "a destination option of ActiveMQ Classic; here it stands at a queue's name or in create_consumer",
    "transport.": f"{_CLASSIC}, or {_QPID}",
    "failover.": f"{_QPID}; this client reconnects by reconnectAttempts, retryInterval and others",
    "amqp.": _QPID,
    "discovery.": "discovery is not supported; list the hosts",
    "java.naming.": "a key of jndi.properties, not of a URL",
    "spring.": "a key of Spring Boot, not of a URL",
    "quarkus.": "a key of Quarkus, not of a URL",
}
"""Beginnings of other clients' keys, in lower case, with whose they are."""
_ON_THE_BROKER: Final = ("redelivery", "maximumredeliver", "deadletter")


def meant(name: str, known: Iterable[str]) -> str | None:
    """What to write instead of a key, as the end of a sentence; None when nothing comes to mind.

    Args:
        known: The keys that there are, the more useful ones first.
    """
    lower = name.lower()
    prefix = next((p for p in _PREFIXES if lower.startswith(p)), None)
    tail = lower if prefix is None else lower.removeprefix(prefix)
    if any(part in tail for part in _ON_THE_BROKER):
        return f"{_PREFIXES.get(prefix or '', _CLASSIC)}; how often a message is redelivered is set on the broker"
    word = next((MEANT[part] for part in (tail, *tail.split(".")) if part in MEANT), None)
    if prefix is not None:
        instead = word or next((k for k in known if k.lower() == tail), None)
        return f"{_PREFIXES[prefix]}{f'; did you mean {instead}?' if instead else ''}"
    if lower in _TEXTS:
        return _TEXTS[lower]
    if word is not None:
        return f"did you mean {word}?"
    near = nearest(name, known)
    return None if near is None else f"did you mean {near}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs in few letters: in one of four at most, and in three at most."""
    lower = name.lower()
    limit = min(3, len(lower) // 4)
    found = [(distance(lower, key.lower(), limit), position, key) for position, key in enumerate(known)]
    best = min(found, default=None)
    return best[2] if best is not None and best[0] <= limit else None


def distance(one: str, two: str, limit: int) -> int:
    """Letters to change, add, leave out, or swap with their neighbour; `limit` + 1 stands for more than `limit`."""
    if abs(len(one) - len(two)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, b in enumerate(two, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == two[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return min(row[-1], limit + 1)
