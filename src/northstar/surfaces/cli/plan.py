"""`northstar plan`: the cheapest fleet that meets goals, and the uniform fleet beside it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from northstar.surfaces.cli.interrupting import Interrupted, interruptible
from northstar.surfaces.cli.options import AsJson, run
from northstar.surfaces.cli.printing import print_aside, print_hint, print_json

if TYPE_CHECKING:
    from northstar.evaluation.planning.found import Plan

_USUAL_GOAL: Final = "wait<10s@95%"


class By(StrEnum):
    """Into which parts a fleet is cut."""

    pools = "pools"
    mixed = "mixed"


def plan(
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            metavar="FILE.csv",
            dir_okay=False,
            help="Plan for these jobs: a CSV as `northstar export --for simulation` writes it.",
        ),
    ] = None,
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario",
            metavar="FILE.yaml",
            dir_okay=False,
            help="Or for the workload of a scenario; its kinds of machines are the choice.",
        ),
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            "--goal",
            metavar="GOAL",
            help=f"Such as wait<10s@95% or lightning:response<3s@95%. Default: {_USUAL_GOAL}.",
        ),
    ] = None,
    by: Annotated[
        By | None,
        typer.Option(
            "--pools",
            help="A part for each pool, or one fleet for all work with pools switched off. Default: pools, or as the scenario has it.",
        ),
    ] = None,
    by_region: Annotated[
        bool,
        typer.Option("--by-region", help="Machines for each region of the trace; its jobs run nowhere else."),
    ] = False,
    load: Annotated[
        float | None,
        typer.Option("--load", metavar="X", min=1, max=10_000, help="So many times as many users as in the trace."),
    ] = None,
    disks: Annotated[
        str | None,
        typer.Option(
            "--disks",
            metavar="GB,GB",
            help="Disks to choose from. Default: from the least to the most that each pool takes; mixed: 40,80.",
        ),
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu",
            metavar="CLASS[=TIMES]",
            help="A class of GPU to choose from, and how many times as long work takes on it. Default: the one that ran most of the trace.",
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            "--prices",
            metavar="FILE.csv",
            dir_okay=False,
            help="What machines cost. Default: a short table that comes with North Star.",
        ),
    ] = None,
    spot: Annotated[
        bool,
        typer.Option(
            "--spot",
            help="Take spot prices of the table. Machines are not taken away in trials unless a scenario says so.",
        ),
    ] = False,
    disk_price: Annotated[
        float | None,
        typer.Option(
            "--disk-price", metavar="USD", min=0, max=1_000, help="What a GB of disk costs a month. Default: 0.08."
        ),
    ] = None,
    pools_file: Annotated[
        Path | None,
        typer.Option(
            "--pools-file", metavar="FILE.toml", dir_okay=False, help="Pools. Default: those that come with North Star."
        ),
    ] = None,
    warm_up: Annotated[
        str | None,
        typer.Option(
            "--warm-up",
            metavar="TIME",
            help="Jobs of so long at the beginning are not judged. Default: 1d of three days and more, else 0s.",
        ),
    ] = None,
    last_days: Annotated[
        int | None,
        typer.Option(
            "--last-days",
            metavar="N",
            min=1,
            max=3_650,
            help="Judge only the last service days, in place of --warm-up.",
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            max=2**63 - 1,
            help="Seeds: sizes are found with the first, and the fleet must be good enough with all. Default: 1.",
        ),
    ] = None,
    max_machines: Annotated[
        int, typer.Option("--max-machines", metavar="N", min=1, max=50_000, help="Machines of a part at most.")
    ] = 100,
    max_trials: Annotated[
        int, typer.Option("--max-trials", metavar="N", min=1, max=1_000, help="Simulations of a search at most.")
    ] = 60,
    uniform: Annotated[
        bool, typer.Option("--uniform/--no-uniform", help="Also search for the uniform fleet, to compare with.")
    ] = True,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FILE.yaml",
            dir_okay=False,
            help="Write the fleet as a scenario that `northstar simulate` runs.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", dir_okay=False, help="Write each trial down as it ends: a line of JSON."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the file of --out: trials that are in it are not made again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Plan a fleet: the cheapest machines and disks for each pool that meet goals, by simulations of the deployed broker, beside a uniform fleet.

    A goal without a pool holds for each pool by itself. The uniform fleet has one kind of machine, which can do every job and holds every model, and any
    machine takes any job. Exits with 1 where a goal is not met by any fleet within the bounds; the nearest is shown.
    """
    from northstar.evaluation.planning.errors import PlanOptions
    from northstar.evaluation.planning.goals import parse_goal
    from northstar.evaluation.planning.machines import DISK_USD_PER_GB_MONTH
    from northstar.evaluation.planning.question import Wishes
    from northstar.surfaces.cli.plan_search import PlanSearch
    from northstar.surfaces.cli.plan_words import disks_of, gpus_of, warm_up_of

    if (trace is None) == (scenario is None):
        raise PlanOptions("name what to plan for: either --trace FILE.csv or --scenario FILE.yaml")
    if resume and out is None:
        raise PlanOptions("--resume goes on with a file: name it with --out FILE")
    texts = tuple(goal or (_USUAL_GOAL,))
    for text in texts:
        parse_goal(text)  # before anything is read that takes long
    wishes = Wishes(
        goals=texts,
        prices=prices,
        gpus=gpus_of(gpu or []),
        spot=spot,
        disks=disks_of(disks),
        usd_per_gb_month=DISK_USD_PER_GB_MONTH if disk_price is None else disk_price,
        load=load,
        by=None if by is None else by.value,
        pools_file=pools_file,
        warm_up=warm_up_of(warm_up),
        last_days=last_days,
        seeds=tuple(dict.fromkeys(seed or [])),
    )
    if wishes.warm_up is not None and last_days is not None:
        raise PlanOptions("--last-days is said in place of --warm-up; take one of them out")
    made = PlanSearch(
        wishes,
        trace,
        scenario,
        out,
        resume=resume,
        by_region=by_region,
        most=max_machines,
        trials=max_trials,
        uniform=uniform,
    )
    try:
        found = run(interruptible(made.plan()))
    except Interrupted as exc:
        made.say_interrupted()
        raise typer.Exit(exc.exit_code) from exc
    finally:
        made.close()
    if as_json:
        print_json(found)
    else:
        _show(found, is_written=write is not None)
    if write is not None:
        made.write(found, write)
        misses = "" if found.fleet.is_met else ", though it misses the goals"
        print_aside(f"the fleet is in {write}{misses}; see it at work with: northstar simulate {write}")
    if not found.fleet.is_met:
        raise typer.Exit(1)


def _show(found: Plan, *, is_written: bool) -> None:
    from northstar.surfaces.cli.plan_text import show_plan

    show_plan(found)
    if not is_written:
        print_hint("See it at work: add --write fleet.yaml, then: northstar simulate fleet.yaml")
