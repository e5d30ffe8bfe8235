"""The root of what the queue says no to."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.amounts import exactly, length
from northstar.domain.errors import NorthstarError


class QueueRefusal(NorthstarError):
    """A "no" of the queue: `facts` are what it depended on, as text. Nothing was changed.

    Subclasses give the sentence; `{name}` in it stands for a fact.
    """

    code = "NS_REFUSED"
    sentence: ClassVar[str] = "the queue refused the call"

    def __init__(self, facts: dict[str, str] | None = None) -> None:
        self.facts = facts or {}
        super().__init__(self.sentence.format_map(_Known({name: _Fact(fact) for name, fact in self.facts.items()})))

    @property
    def retry_after_s(self) -> float | None:
        """When to come back, in seconds, if the queue could tell."""
        wait_ms = self.facts.get("retry_after_ms")
        return float(wait_ms) / 1000 if wait_ms else None


class _Fact(str):
    """A fact; in a sentence `{limit:job}` is "1 job" or "5 jobs", `{limit:bytes}` a size and `{wait:ms}` a length of time."""

    __slots__ = ()

    def __format__(self, thing: str) -> str:
        if not thing:
            return str(self)
        if thing in {"bytes", "ms"}:
            number = int(self) if self.isdecimal() else None
            return f"{self} {thing}" if number is None else exactly(number) if thing == "bytes" else length(number)
        count = f"{int(self):,}" if self.isdecimal() else str(self)
        return f"{count} {thing}" if self == "1" else f"{count} {thing}s"


class _Known(dict[str, str]):
    """Facts for a sentence; one that is missing is shown as unknown rather than failing the report."""

    def __missing__(self, key: str) -> str:
        return _Unknown(f"(unknown {key})")


class _Unknown(str):
    """What is said of a missing fact, whatever it counts."""

    __slots__ = ()

    def __format__(self, _thing: str) -> str:
        return str(self)
