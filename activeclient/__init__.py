"""activeclient: a messaging client for Apache ActiveMQ Artemis whose users do not notice that connections break."""

from activeclient.version import __version__

__all__ = ["__version__"]
