"""A Dockerfile as its instructions, read strictly: what is not understood fails."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEYWORDS = frozenset(
    {"FROM", "ARG", "ENV", "LABEL", "WORKDIR", "RUN", "COPY", "VOLUME"}
    | {"EXPOSE", "USER", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"}
)
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined."""

    keyword: str
    text: str

    @property
    def words(self) -> list[str]:
        """Split as a shell would."""
        return shlex.split(self.text)

    @property
    def flags(self) -> list[str]:
        """What begins with `--`, before everything else."""
        return [word for word in self.words if word.startswith("--")]

    @property
    def listed(self) -> list[str]:
        """The exec form; fails on the shell form, whose process 1 is a shell that passes no signal on."""
        found = json.loads(self.text)
        assert isinstance(found, list)
        return [str(word) for word in found]

    @property
    def pairs(self) -> dict[str, str]:
        """Of ENV and LABEL."""
        return dict(word.split("=", 1) for word in self.words)


class Dockerfile:
    """One image: a builder and what is left of it."""

    def __init__(self, name: str) -> None:
        self.path = ROOT / "containers" / name / "Dockerfile"
        self.instructions = read(self.path.read_text())

    @property
    def stages(self) -> list[list[Instruction]]:
        """The instructions of each stage, its FROM first."""
        found: list[list[Instruction]] = []
        for instruction in self.instructions:
            if instruction.keyword == "FROM":
                found.append([])
            if found:
                found[-1].append(instruction)
        return found

    def all_of(self, keyword: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.keyword == keyword]

    def in_the_end(self, keyword: str) -> Instruction:
        """The one instruction of this kind in the last stage."""
        (found,) = [instruction for instruction in self.stages[-1] if instruction.keyword == keyword]
        return found

    def defaults(self) -> dict[str, str]:
        """Values that arguments have by themselves."""
        return dict(instruction.text.split("=", 1) for instruction in self.all_of("ARG"))

    def base(self, stage: int) -> str:
        """What a stage stands on by default."""
        named = self.stages[stage][0].words[0]
        return _VARIABLE.sub(lambda found: self.defaults()[found[1]], named)


def read(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile. Fails on unknown ones, and on what buildah's older parsers do not take."""
    found = []
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, rest = line.partition(" ")
        assert keyword in KEYWORDS, f"unknown instruction: {line[:60]}"
        assert rest.strip(), f"{keyword} says nothing"
        assert "<<" not in rest, f"a here-document is not understood everywhere: {line[:60]}"
        assert "--link" not in rest, f"--link is not understood everywhere: {line[:60]}"
        found.append(Instruction(keyword, re.sub(r"\s+", " ", rest).strip()))
    return found
