"""A plan for people: the fleet by its parts, the uniform fleet below it, what is saved, what limits, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.surfaces.cli.printing import console, counted, print_table

if TYPE_CHECKING:
    from northstar.evaluation.planning.found import FleetFound, PartPlan, Plan, Reached

_COLUMNS = ("FLEET", "PART", "MACHINES", "GPU", "DISK", "REGION", "USD/H", "REACHED", "BUSY")


def show_plan(plan: Plan) -> None:
    """Print it."""
    seeds = counted(len(plan.fleet.seeds), "seed")
    _say(
        f"Goals: {', '.join(plan.goals)}. {plan.judged_jobs:,} of {plan.jobs:,} jobs are judged, load x{plan.load:g}, {seeds}."
    )
    fleets = [plan.fleet] if plan.uniform is None else [plan.fleet, plan.uniform]
    print_table(_COLUMNS, [row for fleet in fleets for row in _rows(fleet)])
    for line in told(plan):
        _say(line)


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)


def _rows(fleet: FleetFound) -> list[tuple[str, ...]]:
    rows = [(fleet.policy, *_row(part)) for part in fleet.parts]
    if len(rows) > 1:
        machines = sum(part.machines for part in fleet.parts)
        rows.append((fleet.policy, "all", f"{machines:,}", "", "", "", f"{fleet.usd_per_hour:,.2f}", "", ""))
    return rows


def _row(part: PartPlan) -> tuple[str, ...]:
    return (
        part.part,
        f"{part.machines:,}" if part.is_met else f"{part.machines:,}, not enough",
        part.gpu,
        f"{part.disk_gb:g} GB",
        part.region or "-",
        f"{part.usd_per_hour:,.2f}",
        ", ".join(
            f"{'-' if goal.share is None else f'{goal.share:.1%}'} {_which(part, goal)}{'' if goal.met else ' MISSED'}"
            for goal in part.goals
        ),
        "-" if part.utilisation is None else f"{part.utilisation:.0%}",
    )


def _which(part: PartPlan, goal: Reached) -> str:
    """A goal, with its pool where it is not all that the part is for."""
    return goal.goal if goal.pools == "+".join(sorted(part.pools)) or ":" in goal.goal else f"{goal.pools}:{goal.goal}"


def told(plan: Plan) -> list[str]:
    """What the table does not say."""
    lines = [f"{part.part}: {part.limit}." for part in plan.fleet.parts if part.limit]
    lines += [
        f"{counted(jobs, 'job')} are wanted in {pool}, which no machine of the choice may enter; they count where they run."
        for pool, jobs in plan.unserved.items()
    ]
    uniform = plan.uniform
    if uniform is not None and not uniform.is_met:
        lines += [f"uniform: {part.limit}." for part in uniform.parts]
    if plan.saving is not None and uniform is not None:
        more = "saves" if plan.saving >= 0 else "costs"
        lines.append(
            f"{plan.fleet.usd_per_hour:,.2f} USD/h instead of {uniform.usd_per_hour:,.2f}: {more} "
            f"{abs(plan.saving):.1%}{'' if plan.saving >= 0 else ' more'}, {abs(uniform.usd_per_hour - plan.fleet.usd_per_hour) * 730:,.0f} USD a month."
        )
        if plan.saving < 0 and len(plan.fleet.parts) > 1:
            lines.append("With so little work in each pool, one fleet for all of it may be cheaper: try --pools mixed.")
    elif uniform is not None and plan.fleet.is_met and not uniform.is_met:
        lines.append("No uniform fleet within the bound meets the goals, so nothing can be said of a saving.")
    if not (plan.fleet.is_whole and (uniform is None or uniform.is_whole)):
        lines.append(
            "The trials were used up before the search was over: a cheaper fleet may exist. Allow more with --max-trials."
        )
    if plan.fleet.is_met and len(plan.fleet.seeds) == 1:
        lines.append("One seed says little of chance: prove the fleet with --seed 1 --seed 2 --seed 3.")
    remembered = f", {plan.remembered} were known" if plan.remembered else ""
    lines.append(f"{counted(plan.simulations, 'simulation')} were made{remembered}.")
    return lines
