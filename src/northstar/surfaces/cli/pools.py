"""`northstar pools`: what pools there are, whether a file of them is right, and what it would change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.options import AsJson
from northstar.surfaces.cli.pool_text import POOL_COLUMNS, pool_cells, pool_sheet, shown
from northstar.surfaces.cli.printing import console, counted, print_json, print_table, print_text

if TYPE_CHECKING:
    from northstar.domain.pools import Pools

Name = Annotated[str, typer.Argument(metavar="POOL")]
PoolsFile = Annotated[Path, typer.Argument(metavar="FILE", help="Pools, TOML.")]
Other = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="Pools of this file. Default: those that come with North Star."),
]
_EXAMPLE_COLUMNS: Final = ("POOL", "EXAMPLE", "GOES TO", "ROW", "BECAUSE")


def pools_of(file: Path | None) -> Pools:
    """The pools of a file, or those that come with North Star. Raises InvalidPools."""
    from northstar.config.pools import load_pools, packaged_pools

    return packaged_pools() if file is None else load_pools(file)


def list_(file: Other = None, as_json: AsJson = False) -> None:
    """List the pools: how long their work takes, what they take, and what their machines must have."""
    pools = pools_of(file)
    if as_json:
        print_json({"mode": pools.routing.mode, "pools": {name: shown(spec) for name, spec in pools.pools.items()}})
        return
    print_table(POOL_COLUMNS, (pool_cells(name, spec) for name, spec in pools.pools.items()))
    if pools.routing.mode == "uniform":
        console().print("pools are switched off: any machine that is not kept for others takes any job", style="yellow")


def show(pool: Name, file: Other = None, as_json: AsJson = False) -> None:
    """Show a pool: everything that it promises, takes and refuses."""
    pools = pools_of(file)
    spec = pools.get(pool)
    if spec is None:
        raise _no_such_pool(pool, pools)
    if as_json:
        print_json({"pool": pool, **shown(spec)})
        return
    for key, value in pool_sheet(pool, spec):
        print_text(f"{key:<12} {value}")


def print_() -> None:
    """Print the file of the pools that come with North Star, comments included: the beginning of one of your own."""
    from northstar.config.pools import packaged_text

    sys.stdout.write(packaged_text())


def check(file: PoolsFile, as_json: AsJson = False) -> None:
    """Check a file of pools: its keys, that it does not contradict itself, and that each example goes into its pool. Exit code 1: one does not."""
    from northstar.config.workflow_templates import read_template, templates
    from northstar.policy.routing.pool_examples import routed_examples

    pools = pools_of(file)
    known = templates(pools, beside=file.resolve().parent)
    for name in known:
        read_template(known, name)
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
        console().print(f"next: northstar pools diff {file}", style="dim", markup=False)
    if wrong:
        raise typer.Exit(FAILED)


def diff(
    file: PoolsFile,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="FILE", help="Compare with this file. Default: the pools that come with North Star."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a file of pools changes, key by key."""
    from northstar.config.pool_changes import pool_changes

    changes = pool_changes(pools_of(against), pools_of(file))
    if as_json:
        print_json({"changes": changes})
    elif changes:
        print_table(("KEY", "BEFORE", "AFTER"), ((one.key, _word(one.before), _word(one.after)) for one in changes))
    else:
        console().print("nothing differs")


def workflows(file: Other = None, as_json: AsJson = False) -> None:
    """List the workflows that the pools bring."""
    names = list(_templates(file))
    if as_json:
        print_json({"workflows": names})
        return
    for name in names:
        print_text(name)
    if names:
        console().print(
            f"next: northstar pools workflow {names[0]} --service SERVICE | northstar submit -",
            style="dim",
            markup=False,
        )


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


def _word(value: Any) -> str:
    from northstar.surfaces.cli.pool_text import word

    return word(value)


def _no_such_pool(name: str, pools: Pools) -> Exception:
    from northstar.config.pool_errors import NoSuchPool

    return NoSuchPool(name, known=tuple(pools.pools))
