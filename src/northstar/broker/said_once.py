"""Lines of the log about what lasts: said when it begins, and not at each look."""

from __future__ import annotations


class SaidOnce:
    """What has been said of what lasts. Codes and names of a few things, so their number is bounded by whoever asks."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def is_news(self, about: str, what: str = "") -> bool:
        """Whether this was not the last that was said about it; from now on it was."""
        if self._said.get(about) == what:
            return False
        self._said[about] = what
        return True

    def over(self, about: str) -> None:
        """It is over, so it is news when it comes again."""
        self._said.pop(about, None)

    def forget(self) -> None:
        """All is another matter from now on."""
        self._said.clear()
