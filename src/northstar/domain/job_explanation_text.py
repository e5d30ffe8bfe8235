"""The explanation of a job in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.domain.decisions import NAMED
from northstar.domain.explanation_words import Line, action_lines, counted, fetch_lines, length, moment
from northstar.domain.jobs import JobStatus
from northstar.domain.progress_text import bytes_text, printable
from northstar.domain.queue_place import describe_place
from northstar.domain.reason_text import describe_group
from northstar.domain.rejection_text import rejected_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.decisions import ExpectedOn, MachinesThen, RoutingDecision
    from northstar.domain.estimates import DurationEstimate
    from northstar.domain.explanations import JobExplanation, ModelWhere


def job_lines(job: JobExplanation) -> Iterator[Line]:
    """Where a job is in its life and why, from the most important line on."""
    yield Line("job", printable(f"{job.id}: {_life(job)}"))
    if job.unservable:
        yield Line("stuck", printable(f"nobody can run it as things are: {job.unservable}"))
    if job.coming:
        yield Line("soon", printable(job.coming))
    yield from action_lines(job.actions)
    if job.status is not None:
        yield Line(
            "asks",
            printable(f"service {job.service} in pool {job.pool}{_who_chose(job)}; {job.tenant}, {_priority(job)}"),
        )
    yield from decision_lines(job.decision, estimated=job.status is not None, when=_decided(job))
    yield from _turn(job)
    yield from (Line("model", _model(model)) for model in job.models)
    yield from fetch_lines(job.fetches, now_ms=job.now_ms)
    yield from (Line("now", describe_group(group)) for group in job.machines.shown)
    if job.machines.more_groups:
        yield Line("now", f"and {job.machines.more_machines} machines more in {job.machines.more_groups} other groups")
    yield from _attempts(job)
    yield from _past(job)


def _who_chose(job: JobExplanation) -> str:
    """Whether the pool is what was asked for."""
    if job.decision is None:
        return ""
    return " (named by its submitter)" if job.decision.row == NAMED else " (chosen for it)"


def _priority(job: JobExplanation) -> str:
    """What was asked for, and what was made of it."""
    decision = job.decision
    if decision is None or decision.asked_priority is None:
        return f"priority {job.priority}"
    asked = f"{decision.asked_priority} asked"
    if decision.asked_priority + decision.raised_by != job.priority:  # somebody has changed it since
        return f"priority {job.priority} ({asked} at submit)"
    return f"priority {job.priority} ({asked}, +{decision.raised_by} by {decision.raised_because})"


def _life(job: JobExplanation) -> str:
    """Where it is in its life."""
    waited = length(max(0, job.now_ms - job.submitted_ms) / 1000)
    match job.status:
        case None:
            return "the queue has forgotten it; what the history knows follows"
        case JobStatus.QUEUED if job.place is not None:
            return f"{describe_place(job.place)}, since {waited}"
        case JobStatus.OFFERED:
            return f"offered to {job.machine}, which has not accepted it yet"
        case JobStatus.RUNNING:
            ran = length(max(0, job.now_ms - job.started_ms) / 1000)
            return f"running on {job.machine} for {ran}"
        case JobStatus.DELAYED:
            left = length(max(0, job.due_ms - job.now_ms) / 1000)
            return f"pauses after a failed attempt; the next one may begin in {left}"
        case status if job.finished_ms:
            return f"{status} at {moment(job.finished_ms)}"
        case status:
            return f"{status}, since {waited}"


def _decided(job: JobExplanation) -> str:
    """When its pool was decided, as far as its steps tell."""
    anew = [step.at_ms for step in job.steps if step.event == "rerouted"]
    if anew:
        return f"when it was routed anew, at {moment(anew[-1])}"
    return f"at submit, {moment(job.submitted_ms)}" if job.submitted_ms else "when it was routed"


def decision_lines(decision: RoutingDecision | None, *, estimated: bool, when: str) -> Iterator[Line]:
    """Estimate, deciding row, rejected pools, and the machines as they were `when` that was decided.

    `estimated`: say so where no decision was stored.
    """
    if decision is None:
        if estimated:
            yield Line("decision", "none is stored with it: it waits in the pool to which it was submitted")
        return
    yield Line("estimate", _estimate(decision.estimate))
    promise = ", which its tenant's terms guarantee" if decision.guaranteed else ""
    pool = f"pool {decision.pool}{promise}, by row {decision.row} ({decision.route}): {decision.because}"
    yield Line("decision", printable(pool))
    if decision.optimal != decision.pool:
        yield Line("decision", f"the matrix would have chosen {decision.optimal}")
    yield from (Line("rejected", printable(text)) for text in rejected_pools(decision.rejected))
    yield Line("then", f"{when}:")
    yield from (Line("then", f"  {text}") for text in _then(decision))


def _then(decision: RoutingDecision) -> Iterator[str]:
    """The cell as it was: machines, and what nobody could do."""
    if decision.fit_machines:
        could = counted(decision.fit_machines, "machine")
        yield f"{could} of pool {decision.pool} could run it, {decision.holders} held all that it needs"
    else:
        yield f"no machine of pool {decision.pool} could run it"
    if decision.machines is not None:
        yield from _machines_then(decision.machines)
    is_told = decision.machines is not None and bool(decision.machines.turned_down) and not decision.fit_machines
    for text in ("" if is_told else decision.unservable, decision.coming, *decision.notes):
        if text:
            yield printable(text)


def _machines_then(machines: MachinesThen) -> Iterator[str]:
    if machines.best:
        first, *others = machines.best
        yield printable(
            f"{first.machine} would have had it done first, in about {length(first.total_s)} ({_parts(first)})"
            f"{'; it keeps no models folder, so its engine must have the models itself' if first.left_to_engine else ''}"
        )
        after = [f"{one.machine} in {length(one.total_s)}" for one in others]
        if machines.more_fit:
            after.append(f"{machines.more_fit} more later")
        if after:
            yield printable(f"after it {', '.join(after)}")
    for group in machines.turned_down:
        named = ", ".join(group.names) + (", …" if group.count > len(group.names) else "")
        who = f"{group.count} machines ({named})" if group.count > 1 else named
        # One of the group speaks for it: the others lack the same kinds of things.
        whose = f"{group.names[0]} " if group.count > 1 and group.names else ""
        yield printable(f"not {who}: {whose}{group.says} ({group.code})")
    if machines.more_turned_down:
        yield f"not {counted(machines.more_turned_down, 'machine')} more, for other reasons"


def _parts(expected: ExpectedOn) -> str:
    """What its time is made of.

    >>> from northstar.domain.decisions import ExpectedOn
    >>> _parts(ExpectedOn(machine="m", fetch_s=42.1, run_s=10.3))
    'fetch 42 s, run 10 s'
    """
    # Nothing is fetched there: the time stands for models that its engine does not name.
    fetch = "for models that its engine does not name" if expected.left_to_engine else "fetch"
    parts = (("wait", expected.wait_s), (fetch, expected.fetch_s), ("load", expected.load_s))
    told = [f"{name} {length(seconds)}" for name, seconds in parts if seconds]
    return ", ".join([*told, f"run {length(expected.run_s)}"])


def _estimate(estimate: DurationEstimate) -> str:
    # It is the GPU that the pool's lengths are about, whatever the machines here have.
    on = f" on the reference GPU {estimate.gpu_class}" if estimate.gpu_class else ""
    runs = f" of {counted(estimate.runs, 'run')}" if estimate.runs else ""
    spread = f"{length(estimate.p10_s)} to {length(estimate.p90_s)}"
    sure = f"confidence {estimate.confidence:.0%}".replace("%", " %")
    return printable(f"about {length(estimate.p50_s)} ({spread}){on}; from {estimate.source}{runs}, {sure}")


def _turn(job: JobExplanation) -> Iterator[Line]:
    """What time alone does to a job that waits."""
    if job.status in {JobStatus.QUEUED, JobStatus.DELAYED} and job.overdue_from_ms:
        left = (job.overdue_from_ms - job.now_ms) / 1000
        if left > 0:
            yield Line(
                "overdue",
                f"not yet; nothing submitted in {length(left)} or later goes before it on a machine that fits",
            )
        else:
            yield Line(
                "overdue", f"nothing submitted in the last {length(-left)} goes before it on a machine that fits"
            )
    if job.start_by_ms and not job.started_ms and not job.finished_ms:
        yield Line("deadline", f"is given up unless it starts by {moment(job.start_by_ms)}")
    if job.finish_by_ms and not job.finished_ms:
        yield Line("deadline", f"is given up unless it ends by {moment(job.finish_by_ms)}")


def _model(model: ModelWhere) -> str:
    size = f" ({bytes_text(model.size_bytes)})" if model.size_bytes else ""
    where = f"{model.in_memory} in memory, {model.on_disk} on disk, {model.fetching} fetching"
    source = "it is known from where to fetch it" if model.can_be_fetched else "nobody said from where to fetch it"
    others = f"; {counted(model.elsewhere, 'machine')} more that cannot run the job" if model.elsewhere else ""
    engines = _at_engines(model)
    return printable(f"{model.name}{size}: on machines that fit {where}{others}; {source}{engines}")


def _at_engines(model: ModelWhere) -> str:
    """Machines to which nobody fetches it."""
    left = model.engine_may_have + model.engine_names_others
    if not left:
        return ""
    keep = "keeps no models folder, so its engine" if left == 1 else "keep no models folder, so their engines"
    named = model.engine_names_others
    others = "" if not named else f" ({counted(named, 'engine')} {'names' if named == 1 else 'name'} other models)"
    return f"; {counted(left, 'machine')} that {'fits' if left == 1 else 'fit'} {keep} must have it{others}"


def _attempts(job: JobExplanation) -> Iterator[Line]:
    if job.status is None:
        return
    codes = ", ".join(dict.fromkeys(step.why for step in job.failures if step.why))
    failed = f"{job.attempts} failed of {job.max_attempts}" + (f" ({codes})" if codes else "")
    lost = f"{counted(job.recoveries, 'machine')} lost of {job.max_recoveries} that may be"
    yield Line("attempts", printable(f"{failed}; {lost}"))
    if job.error_code:
        yield Line("attempts", printable(f"the last error was {job.error_code}: {job.error_message}"))


def _past(job: JobExplanation) -> Iterator[Line]:
    if job.steps_fault:
        yield Line("past", printable(f"what is older is missing: {job.steps_fault}"))
    if moves := job.moves:
        yield Line(
            "moved", f"{counted(len(moves), 'step')} between cells or pools, the last: {printable(moves[-1].what)}"
        )
    if job.earlier_steps:
        yield Line("past", f"{job.earlier_steps} earlier steps are left out; northstar jobs events {job.id} tells them")
    for step in job.steps:
        where = f" on {step.machine}" if step.machine else ""
        why = f" ({step.why})" if step.why else ""
        yield Line("past", printable(f"{moment(step.at_ms)} {step.what}{where}{why}"))
