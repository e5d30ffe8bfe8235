"""A page of the documentation as its reader sees it: blocks of commands, files and outputs, each with what its mark says of it.

A mark is a comment right above a block:

* `<!-- run -->`: these commands are run, in order, with what stands between them.
* `<!-- file: NAME -->`: this is that file.
* `<!-- tested: tests/… -->`: these commands are run there.
* `<!-- needs: SOMETHING -->`: no test can run these; it is one of `NEEDS`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
#: Every page that shows commands to somebody. Records of decisions and measurements show none to follow.
PAGES: Final = sorted(
    page for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if page.parent.name != "decisions"
)
#: What commands may need that no test has.
NEEDS: Final = frozenset(
    {"a GPU", "a cloud", "a container engine", "a proxy", "root", "another host", "PostgreSQL", "a cluster"}
)

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[a-z]+)(?:: (?P<about>[^>\n]+))? -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_HERE_DOCUMENT = re.compile(r"<<-?\s*'?(\w+)'?")


@dataclass(frozen=True)
class Block:
    """What stands between two fences, and the mark above it."""

    mark: str
    about: str
    language: str
    text: str
    line: int

    @property
    def shows_commands(self) -> bool:
        """Whether somebody would type what it says."""
        return self.language in {"console", "bash", "sh"} or self.text.startswith(("$ ", "northstar ", "make "))

    def commands(self) -> Iterator[str]:
        """What is typed: lines after a prompt, with those that go on them. What else stands there is what was printed."""
        lines = iter(self.text.splitlines())
        for line in lines:
            if not line.startswith(("$ ", "# ")):
                continue
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            if found := _HERE_DOCUMENT.search(command):
                for more in lines:
                    command += "\n" + more
                    if more == found[1]:
                        break
            yield command.partition("    #")[0]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(
            mark=found["mark"] or "",
            about=found["about"] or "",
            language=found["language"],
            text=found["text"],
            line=text.count("\n", 0, found.start()) + 1,
        )
        for found in _BLOCK.finditer(text)
    ]


def calls_of_northstar(command: str) -> Iterator[list[str]]:
    """The arguments of each call of `northstar` in a command line, wherever it stands there."""
    flat = command.replace("\\\n", " ")
    for found in re.finditer(r"(?:^|[\s(/&|;])northstar((?:\s+[^\n|;&)>#]+)?)", flat):
        try:
            words = shlex.split(found[1])
        except ValueError:  # a quotation that ends beyond what was cut off
            words = found[1].split()
        if words and not words[0].startswith(("-", "{")):
            yield words
