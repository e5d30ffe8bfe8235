"""A value that must never be printed."""

from __future__ import annotations


class Secret:
    """Holds a key so that no log line, error or debugger shows it by accident; `reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """`value` must be printable and without spaces, as a header's value is.

        Raises:
            ValueError: it is not; the message does not contain it.
        """
        if not value.isascii() or not value.isprintable() or not value or " " in value:
            raise ValueError("a secret must be one or more printable ASCII characters without spaces")
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret cannot be copied or pickled")
