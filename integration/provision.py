"""Which Artemis and which Toxiproxy the tests get: the first of environment, Docker, local.

Law: a server that is missing is named with what was tried. Outside of CI that is a reason to skip; in CI (CI=true) it
is a failure, because a suite that skipped everything looks as green as one that passed.
"""

from __future__ import annotations

import os

from activeclient.testing.ports import free_port
from integration.artemis import EMBEDDED, Broker, LocalBroker, RemoteBroker, remote_url
from integration.configuration import BrokerSettings
from integration.docker import IMAGE_GENERATION, Compose, DockerBroker, docker_works
from integration.embedded import EmbeddedProcess
from integration.toolchain import UnavailableError
from integration.toxiproxy_server import URL_VARIABLE, ToxiproxyServer

WAY_VARIABLE = "ACTIVECLIENT_PROVISION"
_WAYS = ("", "docker", "local")


def shared_broker(generation: str) -> Broker:
    """A started broker for many tests, maybe not ours. UnavailableError: none can be had."""
    url = remote_url(generation)
    broker: Broker = RemoteBroker(generation, url) if url else private_broker(generation)
    broker.start()
    return broker


def private_broker(generation: str, settings: BrokerSettings | None = None) -> Broker:
    """A broker, not yet started, that a test may stop and kill; never one from the environment. UnavailableError."""
    if generation == EMBEDDED:
        return EmbeddedProcess(settings)
    way = _way()
    docker_can = generation == IMAGE_GENERATION and (settings is None or settings.tls is None)
    if docker_can and way != "local" and (way == "docker" or docker_works()):
        return DockerBroker(settings)
    return LocalBroker(generation, settings)


def toxiproxy_server() -> ToxiproxyServer:
    """A running Toxiproxy. UnavailableError: none can be had."""
    way = _way()
    if os.environ.get(URL_VARIABLE) or way == "local" or (way == "" and not docker_works()):
        return ToxiproxyServer.find()
    port = free_port()
    compose = Compose("toxiproxy", {"TOXIPROXY_PORT": str(port)})
    compose.up()
    return ToxiproxyServer.contained(port, compose.remove)


def in_ci() -> bool:
    """Whether a missing server is a failure."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def _way() -> str:
    way = os.environ.get(WAY_VARIABLE, "")
    if way not in _WAYS:
        raise UnavailableError(f"{WAY_VARIABLE} must be docker or local, not {way!r}")
    return way
