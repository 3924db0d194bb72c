"""The embedded broker as a process of its own: `python -m integration.embedded FOLDER PORT SETTINGS`.

Law: it is configured as the real ones are (see `integration.configuration`), and its folder outlives it: nothing but
the folder tells the next one what was confirmed.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import activeclient
from activeclient.testing.ports import free_port
from activeclient.wire.versions import SUPPORTED
from integration import processes
from integration.artemis import EMBEDDED, BrokerError, ServedBroker
from integration.configuration import (
    ADDRESS_FULL_BLOCK,
    ADDRESS_FULL_DROP,
    ADDRESS_FULL_FAIL,
    DEAD_LETTERS,
    EXPIRED,
    LIMITED_PASSWORD,
    LIMITED_USER,
    BrokerSettings,
)

if TYPE_CHECKING:
    from activeclient.broker.configuration import BrokerConfiguration

_ROOT = Path(__file__).parent.parent


class EmbeddedProcess(ServedBroker):
    """A broker of this package in a process of its own, with a folder.

    BrokerError: settings that it does not have (TLS).
    """

    generation = EMBEDDED

    def __init__(self, settings: BrokerSettings | None = None) -> None:
        self.settings = settings or BrokerSettings()
        if self.settings.tls is not None or self.settings.extra_address_settings:
            raise BrokerError("the embedded broker has no TLS acceptor and reads no XML")
        self.host = "127.0.0.1"
        self.port = free_port()
        self.user, self.password = self.settings.user, self.settings.password
        self._folder = Path(tempfile.mkdtemp(prefix="activeclient-embedded-"))
        processes.own_folder(self._folder)

    @property
    def version(self) -> str:
        return activeclient.__version__

    def _launch(self) -> processes.Server:
        told = json.dumps(dataclasses.asdict(self.settings))
        command = [sys.executable, "-m", __name__, str(self._folder / "store"), str(self.port), told]
        return processes.Server(command, log=self._log_file, cwd=_ROOT)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        processes.disown_folder(self._folder)

    def _prepare(self) -> None:
        """Those that a broker.xml names; the folder keeps them."""
        from activeclient.client.locator import ServerLocator

        with (
            ServerLocator(self.url(user=self.user, password=self.password)) as locator,
            locator.create_session_factory() as factory,
            factory.create_session() as session,
        ):
            for name in (DEAD_LETTERS, EXPIRED):
                if not session.query_queue(name).exists:
                    session.create_queue(name)

    @property
    def _log_file(self) -> Path:
        return self._folder / "broker.log"


def configuration(settings: BrokerSettings) -> BrokerConfiguration:
    """What the broker.xml of the real brokers says, as far as there is such a setting."""
    from activeclient.broker.configuration import AddressSettings, BrokerConfiguration, FullPolicy, User

    every = AddressSettings(
        dead_letter_address=DEAD_LETTERS,
        expiry_address=EXPIRED,
        max_delivery_attempts=settings.max_delivery_attempts,
        auto_delete_queues=False,
        auto_delete_addresses=False,
    )
    by_pattern = {"#": every, "chaos.#": dataclasses.replace(every, max_delivery_attempts=-1)}
    for prefix, policy in (
        (ADDRESS_FULL_FAIL, FullPolicy.FAIL),
        (ADDRESS_FULL_BLOCK, FullPolicy.BLOCK),
        (ADDRESS_FULL_DROP, FullPolicy.DROP),
    ):
        by_pattern[f"{prefix}.#"] = dataclasses.replace(
            every, max_size_bytes=settings.full_address_bytes, address_full_policy=policy
        )
    users = (User(settings.user, settings.password), User(LIMITED_USER, LIMITED_PASSWORD))
    guest = (User("", ""),) if settings.anonymous else ()
    return BrokerConfiguration(
        name="activeclient-tests",
        users=users + guest,
        settings=by_pattern,
        message_expiry_scan_period=settings.expiry_scan_ms,
    )


def main() -> None:
    """Serve until SIGTERM."""
    from activeclient.broker import server
    from activeclient.broker.embedded import EmbeddedBroker

    folder, port, told = sys.argv[1:]
    settings = BrokerSettings(**json.loads(told))
    server.SUPPORTED = tuple(version for version in SUPPORTED if version <= settings.newest_version)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with EmbeddedBroker("process", port=int(port), folder=folder, configuration=configuration(settings)):
        ended.wait()


if __name__ == "__main__":
    main()
