"""Look-ups by name as in JNDI, configured by `jndi.properties`.

Law of this file: a name means the same thing at every look-up; what is wrong with one name never hides another. A bad
URL is an error at the look-up of its factory, and in `check`, always with key, file and line, never with a password.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, cast, overload

from activeclient.destination import Queue, Topic
from activeclient.errors import ActiveClientError, ConfigError, NamingError
from activeclient.masking import SecretURL, concealed, is_sensitive, masked, never_raises
from activeclient.urls import parse_url
from jndi_props.properties import Entry, collect

INITIAL: Final = "java.naming.factory.initial"
PROVIDER_URL: Final = "java.naming.provider.url"
CONTEXT_FACTORY: Final = "org.apache.activemq.artemis.jndi.ActiveMQInitialContextFactory"
OLDER_CONTEXT_FACTORIES: Final = (
    "org.apache.activemq.jndi.ActiveMQInitialContextFactory",  # in the examples of Artemis' manuals up to 2.x
)
"""Other names of the same, as older manuals and files have them."""

_PROVIDED: Final = {
    "CF": "ConnectionFactory",
    "XA_CF": "XAConnectionFactory",
    "QUEUE_CF": "QueueConnectionFactory",
    "TOPIC_CF": "TopicConnectionFactory",
    "QUEUE_XA_CF": "XAQueueConnectionFactory",
    "TOPIC_XA_CF": "XATopicConnectionFactory",
}
"""Factory type to the name that the provider URL binds."""
_FACTORY_PREFIXES: Final = ("connection.", "connectionFactory.")
"""The older form first, so that the newer one overrides it."""
_PREFIXES: Final = (*_FACTORY_PREFIXES, "queue.", "topic.")
_WITHOUT_EFFECT: Final = ("java.naming.security.principal", "java.naming.security.credentials")
_DYNAMIC: Final[Mapping[str, type[Queue] | type[Topic]]] = {"dynamicQueues": Queue, "dynamicTopics": Topic}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a name stands for, not yet made."""

    kind: str
    """connectionFactory, queue or topic."""
    entry: Entry
    factory_type: str | None = None
    """Of a factory that the provider URL binds under six names."""


class Context:
    """A context: names, some of which are contexts again. Made by `InitialContext`."""

    def __init__(self, root: InitialContext, prefix: str) -> None:
        self._root = root
        self._prefix = prefix

    @overload
    def lookup(self, name: str) -> object: ...

    @overload
    def lookup(self, name: str, kind: type[T]) -> T: ...

    def lookup(self, name: str, kind: type[T] | None = None) -> object:
        """The connection factory, queue, topic or context of this name.

        The same factory object at every look-up. `dynamicQueues/ADDRESS` and `dynamicTopics/ADDRESS` are always there.

        Args:
            kind: The class that the result must have; also tells a type checker what it is.

        Raises:
            NamingError: Nothing has this name, it is of another kind, or its entry is wrong.
        """
        found = self._root._resolve(self._prefix + name if name else self._prefix.rstrip("/"))
        if kind is not None and not isinstance(found, kind):
            raise NamingError(name, None, f"is a {type(found).__name__}, not a {kind.__name__}")
        return found

    def list(self, name: str = "") -> tuple[str, ...]:
        """The names directly in this context, or in the context `name` of it, sorted.

        Raises:
            NamingError: `name` is no context.
        """
        prefix = self._prefix + (name + "/" if name else "")
        return self._root._names(prefix)

    def bind(self, name: str, value: object) -> None:
        """Not possible.

        Raises:
            NamingError: Always: the names are those of the configuration.
        """
        raise NamingError(name, None, "cannot be bound: this context is read-only")

    def close(self) -> None:
        """Nothing: factories and destinations stay usable."""

    @never_raises
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._prefix.rstrip('/')!r}, names={list(self.list())})"


class InitialContext(Context):
    """The names that configuration defines; JNDI's InitialContext with ActiveMQInitialContextFactory.

    Args:
        environment: Properties that win over those of the file, key by key.
        path: The properties file; else that of ACTIVECLIENT_JNDI_PROPERTIES, `jndi.properties` in the working
            directory, or the first one on `sys.path`. Exactly one file is read.

    Raises:
        NamingError: The file cannot be read, or `java.naming.factory.initial` is absent or names another factory.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, path: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(self, "")
        environment = None if environment is None else concealed(environment, ())
        self._entries = collect(environment, path)
        chosen = self._entries.get(INITIAL)
        if chosen is None:
            raise NamingError(INITIAL, None, f"is missing; it must be {CONTEXT_FACTORY}")
        if chosen.value not in (CONTEXT_FACTORY, *OLDER_CONTEXT_FACTORIES):
            raise NamingError(INITIAL, masked(chosen.value), f"must be {CONTEXT_FACTORY} ({chosen.origin})")
        self._bindings = _bindings(self._entries)
        self._made: dict[str, object] = {}
        self._lock = threading.Lock()

    def check(self) -> tuple[NamingError, ...]:
        """Everything that is wrong with the configuration, without connecting; empty when nothing is."""
        wrong: list[NamingError] = []
        first: dict[str, Entry] = {}
        for key, entry in self._entries.items():
            if key in _WITHOUT_EFFECT:
                rule = "has no effect: user and password are parameters of the URL, ?user=...&password=..."
                wrong.append(NamingError(key, None, f"{rule} ({entry.origin})"))
            prefix = key.partition(".")[0] + "."
            right = next((p for p in _PREFIXES if p.lower() == prefix.lower()), None)
            if right is None:
                continue
            if right != prefix:
                wrong.append(NamingError(key, None, f"has no effect: the prefix is {right} ({entry.origin})"))
            elif key == prefix:
                wrong.append(NamingError(key, None, f"no name after the prefix ({entry.origin})"))
            else:
                other = first.setdefault(key.removeprefix(prefix), entry)
                both = (prefix, other.key.partition(".")[0] + ".")
                if other is not entry and not set(both) <= set(_FACTORY_PREFIXES):
                    wrong.append(
                        NamingError(key, None, f"has the name of {other.key} ({entry.origin}; {other.origin})")
                    )
        for name in self._bindings:
            try:
                self._resolve(name)
            except NamingError as exc:
                wrong.append(exc)
        return tuple(wrong)

    def _resolve(self, name: str) -> object:
        if not name:
            return self
        binding = self._bindings.get(name)
        if binding is not None:
            with self._lock:
                if name not in self._made:
                    self._made[name] = _make(binding)
                return self._made[name]
        first, _, rest = name.partition("/")
        if first in _DYNAMIC:
            if not rest:
                return Context(self, first + "/")
            try:
                return _DYNAMIC[first](rest)
            except ActiveClientError as exc:
                raise NamingError(name, None, str(exc)) from exc
        name = name.rstrip("/")
        if any(bound.startswith(name + "/") for bound in self._bindings):
            return Context(self, name + "/")
        scheme, colon, _ = first.partition(":")
        if colon:
            raise NamingError(name, None, f"scheme {scheme} is not known; names have none")
        known = ", ".join(sorted(self._bindings)[:20]) or "none"
        raise NamingError(name, None, f"not bound; bound are {known}, and dynamicQueues/..., dynamicTopics/...")

    def _names(self, prefix: str) -> tuple[str, ...]:
        below = {name[len(prefix) :].partition("/")[0] for name in self._bindings if name.startswith(prefix)}
        if not prefix:
            below.update(_DYNAMIC)
        elif not below and prefix.rstrip("/") not in _DYNAMIC:
            raise NamingError(prefix.rstrip("/"), None, "is no context")
        return tuple(sorted(below))


def _bindings(entries: Mapping[str, Entry]) -> dict[str, _Binding]:
    """Name to what it stands for. A factory's own entry overrides that of the provider URL."""
    found: dict[str, _Binding] = {}
    provider = entries.get(PROVIDER_URL)
    if provider is not None and provider.value:
        try:
            wanted = parse_url(provider.value).parameters.get("type")
        except ConfigError:
            wanted = None  # All six names are bound, and each look-up tells what is wrong.
        for factory_type, name in _PROVIDED.items():
            if wanted not in _PROVIDED or factory_type == wanted:
                own_type = None if wanted is not None else factory_type
                found[name] = _Binding("connectionFactory", provider, own_type)
    for prefix in _PREFIXES:
        kind = "connectionFactory" if prefix in _FACTORY_PREFIXES else prefix.rstrip(".")
        for key, entry in entries.items():
            if key.startswith(prefix) and len(key) > len(prefix):
                found[key[len(prefix) :]] = _Binding(kind, entry)
    return found


def _make(binding: _Binding) -> object:
    entry = binding.entry
    try:
        match binding.kind:
            case "queue":
                return Queue(str(entry.value))
            case "topic":
                return Topic(str(entry.value))
            case _ if is_sensitive(entry.key) and "://" not in entry.value:
                rule = "has no meaning: user and password are parameters of the URL, ?user=...&password=..."
                raise NamingError(entry.key, None, f"{rule} ({entry.origin})")
            case _:
                return _factory(_typed(entry.value, binding.factory_type))
    except NamingError:
        raise
    except ActiveClientError as exc:
        # The reason names the parameter; the URL in it is masked already.
        raise NamingError(entry.key, masked(entry.value), f"{_reason(exc)} ({entry.origin})") from exc


def _reason(exc: ActiveClientError) -> str:
    return exc.rule if isinstance(exc, ConfigError) and exc.key == "url" else str(exc)


def _typed(url: str, factory_type: str | None) -> str:
    """`url` with `type=` added, unless it is the default type."""
    if factory_type in (None, "CF"):
        return url
    main, sharp, fragment = url.partition("#")
    tail = main.partition(")")[2] if main.startswith("(") else main
    return SecretURL(f"{main}{'&' if '?' in tail else '?'}type={factory_type}{sharp}{fragment}")


def _factory(url: str) -> object:
    """A connection factory; imported when the first one is looked up, so that reading names stays cheap."""
    xa = "XA" in parse_url(url).parameters.get("type", "")
    module = importlib.import_module(f"activeclient.jms.{'xa' if xa else 'connection_factory'}")
    made = module.ActiveMQXAConnectionFactory if xa else module.ActiveMQConnectionFactory
    return cast("Callable[[str], object]", made)(SecretURL(url))
