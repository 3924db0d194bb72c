"""Messages whose body is a text (jakarta.jms.TextMessage).

Law of this file: a received text is decoded when it is first asked for, once; whatever Java can send comes back as it
was, half a surrogate pair included, and no text is not the empty text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from activeclient.errors import MessageFormatError
from activeclient.jms.message import Message
from activeclient.wire.message import TEXT, text_body, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class TextMessage(Message):
    """A message whose body is a text or None (jakarta.jms.TextMessage)."""

    __slots__ = ("_text",)

    body_type = TEXT
    made_of: ClassVar[tuple[type, ...]] = (str,)
    _text: str | None

    def __init__(self, text: str | None = None, *, properties: Mapping[str, object] | None = None) -> None:
        super().__init__(properties=properties)
        self.text = text

    @property
    def text(self) -> str | None:
        """The text.

        Raises:
            MessageFormatError: The body that came is no text.
        """
        try:
            return self._text
        except AttributeError:
            self._text = text_of(self.core.body)
            return self._text

    @text.setter
    def text(self, value: str | None) -> None:
        self._check_body_writeable()
        if value is not None and not isinstance(value, str):
            raise MessageFormatError(f"text: must be text, not {type(value).__name__}")
        self._text = value

    @property
    def body(self) -> str | None:
        """The text."""
        return self.text

    def clear_body(self) -> None:
        """No text; it can be written then."""
        super().clear_body()
        self._text = None

    def write_body(self) -> None:
        """Encode the text."""
        if not self._body_read_only:
            self.core.body = text_body(self._text)

    def _summary(self) -> str:
        try:
            text = self._text
        except AttributeError:  # not looked at yet
            return self._body_size()
        return "no text" if text is None else f"{len(text)} characters"
