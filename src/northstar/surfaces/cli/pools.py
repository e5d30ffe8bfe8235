"""`northstar pools`: what pools there are, whether a file of them is right, and what it would change."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from northstar.surfaces.cli.applying import print_changes
from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.kept_room import check_kept_models
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.pool_text import POOL_COLUMNS, pool_cells, pool_sheet, shown
from northstar.surfaces.cli.printing import console, counted, print_hint, print_json, print_table, print_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.config import Settings
    from northstar.domain.pools import Pools
    from northstar.surfaces.cli.pools_shown import ShownPools

Name = Annotated[str, typer.Argument(metavar="POOL")]
PoolsFile = Annotated[Path, typer.Argument(metavar="FILE", help="Pools, TOML.")]
Shown = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="Pools of this file. Default: those in force in the cell.")
]
Packaged = Annotated[bool, typer.Option("--packaged", help="Those that come with North Star.")]
Other = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="Pools of this file. Default: those that come with North Star."),
]
_EXAMPLE_COLUMNS: Final = ("POOL", "EXAMPLE", "GOES TO", "ROW", "BECAUSE")


def pools_of(file: Path | None) -> Pools:
    """The pools of a file, or those that come with North Star. Raises InvalidPools."""
    from northstar.config.pools import load_pools, packaged_pools

    return packaged_pools() if file is None else load_pools(file)


def list_(
    file: Shown = None,
    packaged: Packaged = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the pools that are in force: how long their work takes, what they take, and what their machines must have."""
    said = shown_pools(file, packaged, lambda: settings_of(config, data_dir, valkey, cell))
    pools = said.pools
    if as_json:
        whole = {name: shown(spec) for name, spec in pools.pools.items()}
        print_json({"mode": pools.routing.mode, "pools": whole} | said.as_json())
        return
    is_off = pools.routing.mode == "uniform"
    print_table(POOL_COLUMNS, (pool_cells(name, spec, is_off=is_off) for name, spec in pools.pools.items()))
    if is_off:
        console().print("pools are switched off: any machine that is not kept for others takes any job", style="yellow")
    _say_whose(said)


def show(
    pool: Name,
    file: Shown = None,
    packaged: Packaged = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show a pool that is in force: everything that it promises, takes and refuses."""
    said = shown_pools(file, packaged, lambda: settings_of(config, data_dir, valkey, cell))
    spec = said.pools.get(pool)
    if spec is None:
        raise _no_such_pool(pool, said.pools)
    if as_json:
        print_json({"pool": pool, **shown(spec)} | {"from": said.as_json()})
        return
    for key, value in pool_sheet(pool, spec):
        print_text(f"{key:<12} {value}")
    _say_whose(said)


def shown_pools(
    file: Path | None, packaged: bool, settings: Callable[[], Settings], *, option: str = "--file"
) -> ShownPools:
    """Those that a command is to show: of a file, packaged, or else those in force where the settings lead.

    Raises:
        InvalidPools, Unavailable
    """
    from northstar.surfaces.cli.pools_shown import in_force, named

    if file is not None and packaged:
        raise typer.BadParameter(f"say one of {option} and --packaged", param_hint="--packaged")
    return named(file) if file is not None or packaged else run(in_force(settings()))


def _say_whose(said: ShownPools, before: str = "") -> None:
    print_hint(f"{before}{said.sentence()}", style="yellow" if said.absent else "dim")


def print_() -> None:
    """Print the file of the pools that come with North Star, comments included: the beginning of one of your own."""
    from northstar.config.pools import packaged_text

    sys.stdout.write(packaged_text())


def check(
    file: PoolsFile,
    catalogue: Annotated[
        bool,
        typer.Option(
            "--catalogue", help="Check too that `models.keep` finds room, by the sizes in the running cell's catalogue."
        ),
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Check a file of pools: its keys, that it does not contradict itself, and that each example goes into its pool. Exit code 1: one does not."""
    from northstar.config.workflow_templates import read_template, templates
    from northstar.policy.routing.pool_examples import routed_examples

    pools = pools_of(file)
    known = templates(pools, beside=file.resolve().parent)
    for name in known:
        read_template(known, name)
    if catalogue:
        run(check_kept_models(settings_of(config, data_dir, valkey, cell), pools, source=str(file)))
    examples = list(routed_examples(pools))
    wrong = [one for one in examples if not one.is_right]
    if as_json:
        rows = [{"pool": one.pool, "example": one.example, "routed_to": one.routed_to, "row": one.row} for one in wrong]
        print_json({"pools": len(pools.pools), "examples": len(examples), "workflows": len(known), "misrouted": rows})
    elif wrong:
        cells = ((one.pool, one.example, one.routed_to or "nowhere", one.row or "-", one.because) for one in wrong)
        print_table(_EXAMPLE_COLUMNS, cells)
    else:
        told = f"{counted(len(pools.pools), 'pool')}, {counted(len(examples), 'example')}, {counted(len(known), 'workflow')}: all right"
        console().print(told, markup=False)
        print_hint(f"next: northstar pools diff {shlex.quote(str(file))}")
    if wrong:
        raise typer.Exit(FAILED)


def diff(
    file: PoolsFile,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="FILE", help="Compare with this file. Default: the pools in force in the cell."
        ),
    ] = None,
    packaged: Packaged = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Show what a file of pools would change in those that are in force, key by key."""
    from northstar.config.pool_changes import pool_changes

    after = pools_of(file)
    said = shown_pools(against, packaged, lambda: settings_of(config, data_dir, valkey, cell), option="--against")
    changes = pool_changes(said.pools, after)
    if as_json:
        print_json({"changes": changes, "against": said.as_json()})
        return
    if changes:
        print_changes(changes)
    else:
        console().print("nothing differs")
    _say_whose(said, "compared with: ")


def workflows(file: Other = None, as_json: AsJson = False) -> None:
    """List the workflows that the pools bring."""
    names = list(_templates(file))
    if as_json:
        print_json({"workflows": names})
        return
    for name in names:
        print_text(name)
    if names:
        same = "" if file is None else f" --file {shlex.quote(str(file))}"
        print_hint(f"next: northstar pools workflow {names[0]}{same} --service SERVICE | northstar submit -")


def workflow(
    name: Annotated[str, typer.Argument(metavar="POOL/NAME")],
    service: Annotated[str, typer.Option("--service", metavar="SERVICE", help="The service that runs it: a ComfyUI.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NODE.INPUT=VALUE", help="Set an input of a node, again for more."),
    ] = None,
    file: Other = None,
) -> None:
    """Print a job that runs a workflow in its pool, ready for `northstar submit -`."""
    from northstar.config.workflow_templates import read_template, with_values

    graph = with_values(name, read_template(_templates(file), name), dict(map(_assignment, values or [])))
    print_json({"service": service, "pool": name.partition("/")[0], "payload": {"prompt": graph}})


def _templates(file: Path | None) -> dict[str, Path]:
    from northstar.config.workflow_templates import templates

    return templates(pools_of(file), beside=None if file is None else file.resolve().parent)


def _assignment(text: str) -> tuple[str, str]:
    place, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NODE.INPUT=VALUE", param_hint="--set")
    return place, value


def _no_such_pool(name: str, pools: Pools) -> Exception:
    from northstar.config.pool_errors import NoSuchPool

    return NoSuchPool(name, known=tuple(pools.pools))
