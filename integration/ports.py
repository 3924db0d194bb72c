"""Free ports, under the name that the suites here use; they are part of the package.

Law: nothing of its own.
"""

from activeclient.testing.ports import free_port

__all__ = ["free_port"]
