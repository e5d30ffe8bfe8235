"""`northstar pools apply`, `current`, `history` and `reset`: which pools hold in a cell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from northstar.domain.errors import Refused
from northstar.surfaces.cli.kept_room import check_kept_models
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, me, run, settings_of
from northstar.surfaces.cli.printing import console, counted, moment, print_json, print_table

if TYPE_CHECKING:
    from northstar.broker.pools_in_force import AppliedPools
    from northstar.config import Settings
    from northstar.config.pool_changes import PoolChange
    from northstar.domain.pools import Pools


class ExamplesMisrouted(Refused):
    """Pools route one of their own examples elsewhere, so they do not mean what their author thinks."""

    code: ClassVar[str] = "NS_POOLS_MISROUTE"

    def __init__(self, file: Path, *, example: str, pool: str, routed_to: str) -> None:
        super().__init__(
            f"{file}: the example {example!r} of {pool} goes to {routed_to or 'no pool'}; nothing was applied: northstar pools check {file}"
        )
        self.example = example
        self.pool = pool
        self.routed_to = routed_to


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
    from northstar.config.pools import load_pools

    settings = settings_of(config, data_dir, valkey, cell)
    after = load_pools(file)
    _check_examples(file, after)
    run(check_kept_models(settings, after, source=str(file)))
    text = file.read_text(encoding="utf-8")
    known = run(_applied(settings))
    changes = _changes(known, after)
    if not changes and known is not None and known.text == text:
        _say(
            {"version": known.version, "changes": []},
            f"{file} is in force already (version {known.version})",
            as_json=as_json,
        )
        return
    if not as_json and changes:
        _print_changes(changes)
    plan = f"{counted(len(changes), 'key')} of the pools in force {'changes' if len(changes) == 1 else 'change'}, for every broker of the cell"
    confirm(plan, yes=yes, as_json=as_json)
    version = run(_apply(settings, text, source=file.name, known=known))
    _say({"version": version, "changes": changes}, f"{file} is in force (version {version})", as_json=as_json)


def _check_examples(file: Path, pools: Pools) -> None:
    from northstar.policy.routing.pool_examples import routed_examples

    for one in routed_examples(pools):
        if not one.is_right:
            raise ExamplesMisrouted(file, example=one.example, pool=one.pool, routed_to=one.routed_to)


def _changes(known: AppliedPools | None, after: Pools) -> list[PoolChange]:
    from northstar.config.pool_changes import pool_changes
    from northstar.config.pools import packaged_pools

    return pool_changes(packaged_pools() if known is None else known.read(), after)


def _print_changes(changes: list[PoolChange]) -> None:
    from northstar.surfaces.cli.pool_text import word

    print_table(("KEY", "BEFORE", "AFTER"), ((one.key, word(one.before), word(one.after)) for one in changes))


def _say(document: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        console().print(sentence, markup=False)


async def _applied(settings: Settings) -> AppliedPools | None:
    from northstar.assembly.session import session
    from northstar.broker.pools_in_force import read_applied

    async with session(settings) as broker:
        return await read_applied(broker.cell)


async def _apply(settings: Settings, text: str, *, source: str, known: AppliedPools | None) -> int:
    from northstar.assembly.session import session
    from northstar.broker.pools_in_force import apply_pools

    async with session(settings) as broker:
        return await apply_pools(broker.cell, text, source=source, known=known, by=me())


def current(
    version: Annotated[
        int, typer.Option("--version", metavar="N", min=0, help="A former one, as `history` lists it.")
    ] = 0,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Print the file of the pools that are in force, comments included: into a file, and back with `apply`, it puts former ones in force again."""
    from northstar.config.pools import PACKAGED, packaged_text

    found = run(_kept(settings_of(config, data_dir, valkey, cell), version))
    text = packaged_text() if found is None else found.text
    if as_json:
        source = PACKAGED if found is None else found.source
        print_json({"version": 0 if found is None else found.version, "source": source, "text": text})
    else:
        sys.stdout.write(text)


async def _kept(settings: Settings, version: int) -> AppliedPools | None:
    from northstar.assembly.session import session
    from northstar.broker.pools_in_force import read_applied, read_version

    async with session(settings) as broker:
        return await (read_version(broker.cell, version) if version else read_applied(broker.cell))


def history(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the pools that were applied to the cell, those in force first: when, from which file, and by whom. Twenty former ones are kept."""
    now, past = run(_history(settings_of(config, data_dir, valkey, cell)))
    kept = [*([] if now is None else [now]), *past]
    if as_json:
        rows = [{"version": one.version, "source": one.source, "by": one.by, "at_ms": one.at_ms} for one in kept]
        print_json({"in_force": 0 if now is None else now.version, "applied": rows})
        return
    cells = ((one.version, moment(one.at_ms), one.source, one.by, "in force" if one is now else "-") for one in kept)
    print_table(("VERSION", "APPLIED (UTC)", "FILE", "BY", "NOW"), cells)
    if now is None:
        console().print("in force are the pools that come with North Star", style="dim", markup=False)
    if past:
        hint = f"next: northstar pools current --version {past[0].version} > pools.toml, then northstar pools apply pools.toml"
        console().print(hint, style="dim", markup=False)


async def _history(settings: Settings) -> tuple[AppliedPools | None, list[AppliedPools]]:
    from northstar.assembly.session import session
    from northstar.broker.pools_in_force import read_applied, read_past

    async with session(settings) as broker:
        return await read_applied(broker.cell), await read_past(broker.cell)


def reset(
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Take the applied pools back: those that come with North Star are in force again, for every broker of the cell."""
    from northstar.broker.pools_in_force import NothingApplied

    settings = settings_of(config, data_dir, valkey, cell)
    known = run(_applied(settings))
    if known is None:
        raise NothingApplied
    plan = f"the pools of {known.source} (version {known.version}) are taken back; those that come with North Star hold again"
    confirm(plan, yes=yes, as_json=as_json)
    run(_reset(settings, known))
    _say(
        {"version": 0},
        f"taken back; northstar pools current --version {known.version} still prints them",
        as_json=as_json,
    )


async def _reset(settings: Settings, known: AppliedPools) -> None:
    from northstar.assembly.session import session
    from northstar.broker.pools_in_force import take_back_pools

    async with session(settings) as broker:
        await take_back_pools(broker.cell, known, by=me())
