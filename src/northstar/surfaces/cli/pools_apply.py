"""`northstar pools apply`, `current`, `history` and `reset`: which pools hold in a cell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import typer

from northstar.domain.errors import NorthstarError, Refused
from northstar.surfaces.cli.applying import FileKind, print_applied, print_history, put_in_force, take_back
from northstar.surfaces.cli.kept_room import check_kept_models
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, run, settings_of

if TYPE_CHECKING:
    from northstar.broker.applied_files import AppliedFile, AppliedFiles
    from northstar.config import Settings
    from northstar.config.key_changes import KeyChange
    from northstar.domain.pools import Pools
    from northstar.store.cell import Cell


class ExamplesMisrouted(Refused):
    """Pools route one of their own examples elsewhere, so they do not mean what their author thinks."""

    code: ClassVar[str] = "NS_POOLS_MISROUTE"

    def __init__(self, file: Path, *, example: str, pool: str, routed_to: str) -> None:
        super().__init__(
            f"{file}: the example {example!r} of {pool} goes to {routed_to or 'no pool'}; nothing was applied: northstar pools check {shlex.quote(str(file))}"
        )
        self.example = example
        self.pool = pool
        self.routed_to = routed_to


def _files(cell: Cell) -> AppliedFiles[Pools]:
    from northstar.broker.pools_in_force import applied_pools

    return applied_pools(cell)


def _changes(settings: Settings, known: AppliedFile | None, text: str) -> list[KeyChange]:
    from northstar.config.pool_changes import pool_changes
    from northstar.config.pools import read_pools_text
    from northstar.surfaces.cli.pools_shown import configured

    before = configured(settings).pools if known is None else read_pools_text(known.text, source=known.source)
    return pool_changes(before, read_pools_text(text, source="the file"))


def _given(settings: Settings) -> tuple[str, str]:
    """The text of the pools that hold where none are applied, and where it is from. Raises InvalidPools."""
    from northstar.config.pools import PACKAGED, load_pools, packaged_text

    if not settings.routing.pools_file:
        return packaged_text(), PACKAGED
    file = Path(settings.routing.pools_file)
    load_pools(file)  # what cannot be used is not in force
    return file.read_text(encoding="utf-8"), str(file)


def _nothing_applied() -> NorthstarError:
    from northstar.broker.pools_in_force import NothingApplied

    return NothingApplied()


def _no_such(version: int, kept: tuple[int, ...]) -> NorthstarError:
    from northstar.broker.pools_in_force import NoSuchPools

    return NoSuchPools(version, kept=kept)


POOLS: Final = FileKind(
    command="pools",
    name="the pools",
    otherwise="those hold that each broker was given",
    files=_files,
    changes=_changes,
    unapplied=_given,
    nothing_applied=_nothing_applied,
    no_such=_no_such,
)


def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Pools, TOML.")],
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Put a file of pools in force for the whole cell, at once, after showing what it changes. Every example must go into its pool, and the models that a pool keeps must find room."""
    from northstar.config.declared_files import read_text
    from northstar.config.pools import InvalidPools, read_pools_text

    settings = settings_of(config, data_dir, valkey, cell)
    text = read_text(file, error=InvalidPools)
    pools = read_pools_text(text, source=str(file))
    _check_examples(file, pools)
    run(check_kept_models(settings, pools, source=str(file)))
    put_in_force(POOLS, settings, file, text, yes=yes, as_json=as_json)


def _check_examples(file: Path, pools: Pools) -> None:
    from northstar.policy.routing.pool_examples import routed_examples

    for one in routed_examples(pools):
        if not one.is_right:
            raise ExamplesMisrouted(file, example=one.example, pool=one.pool, routed_to=one.routed_to)


def current(
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", min=1, help="One that was applied, by its number in `history`."),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Print the file of the pools that are in force, comments included: into a file, and back with `apply`, it puts former ones in force again."""
    print_applied(POOLS, settings_of(config, data_dir, valkey, cell), version=version, as_json=as_json)


def history(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the pools that were applied to the cell, those in force first: when, from which file, and by whom. Twenty former ones are kept."""
    print_history(POOLS, settings_of(config, data_dir, valkey, cell), as_json=as_json)


def reset(
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Take the applied pools back: each broker of the cell goes by those that it was given: of routing.pools_file, or those that come with North Star."""
    take_back(POOLS, settings_of(config, data_dir, valkey, cell), yes=yes, as_json=as_json)
