"""`northstar explain`: why a job waits, why a machine is idle, why a model is where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.pasting import pasteable
from northstar.surfaces.cli.printing import print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.broker.explaining import Explainer, Kind
    from northstar.config import Settings
    from northstar.domain.explanations import JobExplanation, MachineExplanation, ModelExplanation


class NameAmbiguous(InvalidRequest):
    """Several things have the name, or several kinds were asked for."""

    code: ClassVar[str] = "NS_NAME_AMBIGUOUS"

    def __init__(self, name: str, kinds: Sequence[str]) -> None:
        options = ", ".join(f"--{kind}" for kind in kinds)
        super().__init__(f"{name!r} may be a {' and a '.join(kinds)}: say which is meant by one of {options}")
        self.name = name
        self.kinds = tuple(kinds)


def explain(
    name: Annotated[str, typer.Argument(metavar="JOB|MACHINE|MODEL")],
    job: Annotated[bool, typer.Option("--job", help="It is the name of a job.")] = False,
    machine: Annotated[bool, typer.Option("--machine", help="It is the name of a machine.")] = False,
    model: Annotated[bool, typer.Option("--model", help="It is the name of a model.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Explain why a job waits, why a machine is idle, or why a model is where it is, and what to do about it."""
    from northstar.domain.explained import explained

    flags: tuple[tuple[Kind, bool], ...] = (("job", job), ("machine", machine), ("model", model))
    wanted = [kind for kind, is_set in flags if is_set]
    if len(wanted) > 1:
        raise NameAmbiguous(name, wanted)
    explanation = run(_explain(settings_of(config, data_dir, valkey, cell), name, wanted))
    actions = tuple(msgspec.structs.replace(one, command=pasteable(one.command)) for one in explanation.actions)
    explanation = msgspec.structs.replace(explanation, actions=actions)
    told = explained(explanation)
    if as_json:
        print_json(told)
        return
    about = ""
    for line in told.lines:
        print_text(f"{line.about if line.about != about else '':<10}{line.text}")
        about = line.about


async def _explain(
    settings: Settings, name: str, wanted: Sequence[Kind]
) -> JobExplanation | MachineExplanation | ModelExplanation:
    """Why what is meant by the name is as it is."""
    from northstar.assembly.explaining import explaining
    from northstar.broker.explaining import NothingKnown

    async with explaining(settings) as explainer:
        kinds = wanted or await explainer.kinds_of(name)
        if not kinds:
            raise NothingKnown(name)
        if len(kinds) > 1:
            raise NameAmbiguous(name, kinds)
        return await _of_kind(explainer, kinds[0], name)


async def _of_kind(
    explainer: Explainer, kind: Kind, name: str
) -> JobExplanation | MachineExplanation | ModelExplanation:
    match kind:
        case "job":
            return await explainer.job(name)
        case "machine":
            return await explainer.machine(name)
        case "model":
            return await explainer.model(name)
