"""Configuration by `jndi.properties`: names to connection factories, queues and topics.

Law of this package: it stands above activeclient and only reads; whoever has a URL does not need it.
"""

from jndi_props.context import Context, InitialContext

__all__ = ["Context", "InitialContext"]
