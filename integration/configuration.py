"""The broker configuration of the tests: one broker.xml and login files for all generations.

Law: every generation and every way of starting gets the same configuration, and it binds to the loopback interface only
(inside a container: to the container, whose port is published on the loopback interface).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from activeclient.wire.versions import NEWEST


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Server certificate as PKCS#12 file with its password; optionally the CA (PEM) that clients must be signed by."""

    key_store: Path
    password: str
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """The place of a broker in a cluster on this machine."""

    peers: tuple[int, ...]
    """Ports of the other members."""
    policy: str = ""
    """What `<ha-policy>` holds; empty: the broker is half of no pair."""
    balancing: str = "ON_DEMAND"
    """`<message-load-balancing>`: whether messages go to the members that have consumers."""
    name: str = "member"
    """Distinguishes members in logs."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """What a test may choose. Sizes in bytes, times in the unit that the name says."""

    anonymous: bool = True
    user: str = "admin"
    password: str = "admin"
    protocols: tuple[str, ...] = ("CORE", "AMQP", "STOMP")
    persistent: bool = True
    sync_to_disk: bool = True
    journal_buffer_timeout_ns: int | None = 500_000
    expiry_scan_ms: int = 500
    max_delivery_attempts: int = 10
    full_address_bytes: int = 200 * 1024
    heap_start_mb: int = 256
    heap_max_mb: int = 1024
    tls: TlsFiles | None = None
    extra_address_settings: str = ""
    cluster: Membership | None = None
    """Which other brokers it knows; None: it stands alone."""
    newest_version: int = NEWEST
    """The newest protocol version that the embedded broker speaks; the others speak what they speak."""


ADDRESS_FULL_FAIL = "full.fail"
ADDRESS_FULL_BLOCK = "full.block"
ADDRESS_FULL_DROP = "full.drop"
LIMITED_USER = "limited"
LIMITED_PASSWORD = "limited"
SECURED = "secured"
CLUSTER_USER = "cluster"
CLUSTER_PASSWORD = "cluster-secret"  # members of a cluster show it to each other, on the loopback interface
DEAD_LETTERS = "DLQ"
EXPIRED = "ExpiryQueue"


def broker_xml(settings: BrokerSettings, *, host: str, port: int, tls_port: int | None, data: str) -> str:
    """The broker.xml. Addresses `full.fail.#`, `full.block.#` and `full.drop.#` have a small max-size-bytes and that
    policy (see "Paging" and "Address Settings" in the Artemis manual); `secured.#` refuses the user `limited`; messages
    in `chaos.#` may be delivered any number of times.
    """
    acceptors = [_acceptor("artemis", host, port, settings, "")]
    if settings.tls is not None and tls_port is not None:
        tls = settings.tls
        ssl = f";sslEnabled=true;keyStoreType=PKCS12;keyStorePath={tls.key_store};keyStorePassword={tls.password}"
        if tls.client_ca is not None:
            ssl += f";needClientAuth=true;trustStoreType=PEM;trustStorePath={tls.client_ca}"
        acceptors.append(_acceptor("artemis-tls", host, tls_port, settings, ssl))
    buffer_timeout = (
        f"<journal-buffer-timeout>{settings.journal_buffer_timeout_ns}</journal-buffer-timeout>"
        if settings.journal_buffer_timeout_ns is not None
        else ""
    )
    full = "\n".join(
        f"""      <address-setting match="{match}.#">
        <max-size-bytes>{settings.full_address_bytes}</max-size-bytes>
        <address-full-policy>{policy}</address-full-policy>
      </address-setting>"""
        for match, policy in ((ADDRESS_FULL_FAIL, "FAIL"), (ADDRESS_FULL_BLOCK, "BLOCK"), (ADDRESS_FULL_DROP, "DROP"))
    )
    cluster = settings.cluster
    name = "activeclient-tests" if cluster is None else f"activeclient-tests-{cluster.name}"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<configuration xmlns="urn:activemq">
  <core xmlns="urn:activemq:core">
    <name>{name}</name>
    <persistence-enabled>{_bool(settings.persistent)}</persistence-enabled>
    <journal-type>NIO</journal-type>
    <paging-directory>{data}/paging</paging-directory>
    <bindings-directory>{data}/bindings</bindings-directory>
    <journal-directory>{data}/journal</journal-directory>
    <large-messages-directory>{data}/large-messages</large-messages-directory>
    <journal-datasync>{_bool(settings.sync_to_disk)}</journal-datasync>
    <journal-min-files>2</journal-min-files>
    <journal-pool-files>10</journal-pool-files>
    <journal-file-size>10M</journal-file-size>
    {buffer_timeout}
    <max-disk-usage>100</max-disk-usage>
    <critical-analyzer>false</critical-analyzer>
    <jmx-management-enabled>false</jmx-management-enabled>
    <message-expiry-scan-period>{settings.expiry_scan_ms}</message-expiry-scan-period>
    <security-enabled>true</security-enabled>
    <security-invalidation-interval>0</security-invalidation-interval>
    <acceptors>
{chr(10).join(acceptors)}
    </acceptors>
{_membership(cluster, host, port) if cluster is not None else ""}
    <security-settings>
      <security-setting match="#">
{_permissions("amq,limited")}
      </security-setting>
      <security-setting match="{SECURED}.#">
{_permissions("amq")}
      </security-setting>
    </security-settings>
    <address-settings>
      <address-setting match="#">
        <dead-letter-address>{DEAD_LETTERS}</dead-letter-address>
        <expiry-address>{EXPIRED}</expiry-address>
        <redelivery-delay>0</redelivery-delay>
        <max-delivery-attempts>{settings.max_delivery_attempts}</max-delivery-attempts>
        <max-size-bytes>-1</max-size-bytes>
        <address-full-policy>PAGE</address-full-policy>
        <auto-create-queues>true</auto-create-queues>
        <auto-create-addresses>true</auto-create-addresses>
        <auto-delete-queues>false</auto-delete-queues>
        <auto-delete-addresses>false</auto-delete-addresses>
      </address-setting>
      <address-setting match="chaos.#">
        <max-delivery-attempts>-1</max-delivery-attempts>
        <max-size-bytes>-1</max-size-bytes>
      </address-setting>
{full}
{settings.extra_address_settings}
    </address-settings>
    <addresses>
      <address name="{DEAD_LETTERS}"><anycast><queue name="{DEAD_LETTERS}"/></anycast></address>
      <address name="{EXPIRED}"><anycast><queue name="{EXPIRED}"/></anycast></address>
    </addresses>
  </core>
</configuration>
"""


def write_etc(folder: Path, settings: BrokerSettings, *, host: str, port: int, tls_port: int | None, data: str) -> None:
    """Write broker.xml, login.config and the user and role files into *folder*, over what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    xml = broker_xml(settings, host=host, port=port, tls_port=tls_port, data=data)
    files = {
        "broker.xml": xml,
        "login.config": _login_config(settings),
        "artemis-users.properties": f"{settings.user} = {settings.password}\n{LIMITED_USER} = {LIMITED_PASSWORD}\n",
        "artemis-roles.properties": f"amq = {settings.user}\nlimited = {LIMITED_USER}\n",
    }
    for name, text in files.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)  # a container reads them as another user


def _acceptor(name: str, host: str, port: int, settings: BrokerSettings, more: str) -> str:
    url = (
        f"tcp://{host}:{port}?protocols={','.join(settings.protocols)}"
        f";tcpSendBufferSize=1048576;tcpReceiveBufferSize=1048576;useEpoll=true;amqpCredits=1000;amqpLowCredits=300{more}"
    )
    return f'      <acceptor name="{name}">{escape(url)}</acceptor>'


def _membership(cluster: Membership, host: str, port: int) -> str:
    """Connectors, the cluster connection over them, and the policy of the pair."""
    connectors = [f'<connector name="self">tcp://{host}:{port}</connector>']
    connectors += [f'<connector name="peer-{peer}">tcp://{host}:{peer}</connector>' for peer in cluster.peers]
    references = "".join(f"<connector-ref>peer-{peer}</connector-ref>" for peer in cluster.peers)
    policy = f"<ha-policy>{cluster.policy}</ha-policy>" if cluster.policy else ""
    return f"""    <connectors>{"".join(connectors)}</connectors>
    <cluster-user>{CLUSTER_USER}</cluster-user>
    <cluster-password>{CLUSTER_PASSWORD}</cluster-password>
    <cluster-connections>
      <cluster-connection name="tests">
        <connector-ref>self</connector-ref>
        <check-period>1000</check-period>
        <connection-ttl>60000</connection-ttl>
        <retry-interval>200</retry-interval>
        <message-load-balancing>{cluster.balancing}</message-load-balancing>
        <max-hops>1</max-hops>
        <static-connectors>{references}</static-connectors>
      </cluster-connection>
    </cluster-connections>
    {policy}"""


def _permissions(roles: str) -> str:
    kinds = (
        "createNonDurableQueue deleteNonDurableQueue createDurableQueue deleteDurableQueue createAddress deleteAddress"
        " consume browse send manage"
    )
    return "\n".join(f'        <permission type="{kind}" roles="{roles}"/>' for kind in kinds.split())


def _login_config(settings: BrokerSettings) -> str:
    package = "org.apache.activemq.artemis.spi.core.security.jaas"
    # A guest is who gives no credentials; wrong ones stay wrong, otherwise no test could see a refused login.
    guest = (
        f"""  {package}.GuestLoginModule sufficient
    credentialsInvalidate=true
    org.apache.activemq.jaas.guest.user="guest"
    org.apache.activemq.jaas.guest.role="amq";
"""
        if settings.anonymous
        else ""
    )
    return f"""activemq {{
  {package}.PropertiesLoginModule sufficient
    org.apache.activemq.jaas.properties.user="artemis-users.properties"
    org.apache.activemq.jaas.properties.role="artemis-roles.properties";
{guest}}};
"""


def _bool(value: bool) -> str:
    return "true" if value else "false"
