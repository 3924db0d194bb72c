"""The type variables of consumers: which class of message they hand out, as type checkers see it.

Law of this file: a consumer made without `kind` is one of `Message`, for type checkers and at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # PEP 696: both type checkers bring the stubs; at run time nothing needs the default.
    import typing_extensions

    from activeclient.jms.message import Message

    M = typing_extensions.TypeVar("M", bound=Message, default=Message, covariant=True)
    K = typing_extensions.TypeVar("K", bound=Message, default=Message)
else:
    M = TypeVar("M", covariant=True)
    K = TypeVar("K")

Listener = TypeVar("Listener", bound=Callable[[Any], object])
"""A message listener as its user wrote it: its parameter may be annotated with the class of message that it expects."""
