"""Jobs as a table that fits a terminal: what every job has, and of the rest what tells these jobs apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.surfaces.cli.printing import counted, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.jobs import JobView

#: Always there.
_ALWAYS: Final = ("ID", "STATUS", "POOL", "SERVICE", "MACHINE", "AGE")
#: There where the jobs differ in it, or one of them has something to say: who asked, how urgent it is, and what went wrong.
_WHERE_THEY_DIFFER: Final = ("TENANT", "PRIO", "TROUBLE")


def job_table(views: Sequence[JobView], *, now_ms: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows. A column that would say the same of every job is left out, since a line has but a hundred letters."""
    from northstar.domain.job_resources import pool_of

    always = [
        (
            view.id,
            str(view.status),
            pool_of(view) or "-",
            view.body.service if view.body else "-",
            view.machine or "-",
            span(now_ms - view.submitted_ms),
        )
        for view in views
    ]
    sometimes = [(view.tenant, str(view.priority), _trouble(view)) for view in views]
    told = [at for at in range(len(_WHERE_THEY_DIFFER)) if len({row[at] for row in sometimes}) > 1]
    columns = (*_ALWAYS, *(_WHERE_THEY_DIFFER[at] for at in told))
    rows = [(*row, *(more[at] for at in told)) for row, more in zip(always, sometimes, strict=True)]
    return columns, rows


def same_of_all(views: Sequence[JobView]) -> str:
    """What the columns that were left out would have said; empty where there is nothing to say.

    A tenant and a priority are said, so that nobody has to guess them; that nothing went wrong is not.
    """
    tenants, priorities = {view.tenant for view in views}, {view.priority for view in views}
    troubles = {_trouble(view) for view in views}
    said = [f"tenant {tenant}" for tenant in tenants if len(tenants) == 1]
    said += [f"priority {priority}" for priority in priorities if len(priorities) == 1]
    said += [trouble for trouble in troubles if len(troubles) == 1 and trouble != "-"]
    return f"{'all of them' if len(views) > 1 else 'it'}: {', '.join(said)}" if said else ""


def _trouble(view: JobView) -> str:
    """Attempts are charged when the work failed; a machine that was lost under a job costs none."""
    said = []
    if view.attempts:
        said.append(f"{view.attempts} of {view.max_attempts} tries failed")
    if view.recoveries:
        said.append(f"{counted(view.recoveries, 'machine')} lost")
    return ", ".join(said) or "-"
