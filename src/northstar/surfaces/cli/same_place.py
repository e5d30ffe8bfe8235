"""Commands to type next, so that they mean the same North Star as the one that told of them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from northstar.domain.explanations import Action

#: Commands of other hosts, to which this one's options say nothing.
_ELSEWHERE: Final = ("northstar agent ",)
_CONFIG: Final = " --config "


class SamePlace(msgspec.Struct, frozen=True):
    """The options by which a command was told where its North Star is, as they were given."""

    #: What stands in for them in a command: ` --data-dir DIR`, each with a space before it.
    options: tuple[str, ...]

    @classmethod
    def of(cls, config: Path | None, data_dir: Path | None, valkey: str | None, cell: str | None) -> SamePlace:
        """Of a command's own options; one that was not given is not repeated."""
        given = {"--config": config, "--data-dir": data_dir, "--valkey": valkey, "--cell": cell}
        return cls(tuple(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None))

    def command(self, text: str) -> str:
        """A command with these options, if it is one that takes them.

        >>> here = SamePlace((" --config c.toml", " --data-dir d"))
        >>> here.command("northstar resume cell"), here.command("northstar up --config FILE")
        ('northstar resume cell --config c.toml --data-dir d', 'northstar up --config c.toml --data-dir d')
        """
        if text.startswith(_ELSEWHERE):
            return text
        if self.options and self.options[0].startswith(_CONFIG):
            text = text.replace(f"{_CONFIG}FILE", "")
        return text + "".join(self.options)

    def actions(self, actions: Iterable[Action]) -> tuple[Action, ...]:
        """Things to do, each with the command as it is to be typed."""
        return tuple(msgspec.structs.replace(action, command=self.command(action.command)) for action in actions)
