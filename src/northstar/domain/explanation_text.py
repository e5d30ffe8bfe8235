"""Explanations in words: lines for people, made of the fields of an explanation and of nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.explanation_words import Line, action_lines, counted, fetch_lines, lane_text, moment
from northstar.domain.explanations import Absence, JobExplanation, MachineExplanation, ModelExplanation
from northstar.domain.job_explanation_text import job_lines
from northstar.domain.progress_text import bytes_text, printable
from northstar.domain.reason_text import describe_of_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.explanations import AbsenceCode, Blocked, KnownModel, MachineCode


def explain(explanation: JobExplanation | MachineExplanation | ModelExplanation) -> list[Line]:
    """An explanation in lines; the words and the data that a program gets are the same fields."""
    match explanation:
        case JobExplanation():
            return list(job_lines(explanation))
        case MachineExplanation():
            return list(_machine_lines(explanation))
        case ModelExplanation():
            return list(_model_lines(explanation))


_MACHINE: Final[dict[MachineCode, str]] = {
    "busy": "all its slots are busy",
    "takes_work": "it has room, and work that it may take now",
    "nothing_waits": "nothing waits in the cell",
    "blocked": "nothing that waits is for it now",
    "draining": "it drains: what it runs goes on, and it gets nothing new",
    "out_of_work": "its engines take no work",
    "quarantined": "it is in quarantine: its engines broke again and again",
    "not_ready": "it was started with North Star on this host, and its engines have not answered their warm-up job yet; "
    "if that lasts, the log of northstar up says why",
    "given_up": "it was started with North Star on this host, died again and again, and is not started any more",
    "not_approved": "it has joined and waits for an operator's approval",
    "revoked": "its token was revoked",
    "gone": "its token is good, and it is not here; does its agent run?",
}


def _machine_lines(machine: MachineExplanation) -> Iterator[Line]:
    yield Line("machine", printable(f"{machine.id}: {_MACHINE[machine.code]}"))
    if machine.says:
        yield Line("says", printable(machine.says))
    if machine.seen_ms:
        yield Line("seen", f"last {moment(machine.seen_ms)}")
    yield from action_lines(machine.actions)
    if machine.slots:
        memory = f", {machine.vram_used_mb} of {machine.vram_mb} MB promised to jobs" if machine.vram_mb else ""
        yield Line("slots", f"{machine.used} of {machine.slots} busy{memory}")
    if not machine.keeps_models:
        yield Line(
            "models", "it keeps no models folder: nothing is fetched to it, and its engines must have what jobs name"
        )
    for pool in machine.pools:
        paused = "; the pool is paused" if pool.paused else ""
        jobs = f"{counted(pool.waiting, 'job')} wait" + ("s" if pool.waiting == 1 else "")
        jobs = f"{jobs}, and it could run {pool.fits} of them" if pool.waiting else "nothing waits"
        yield Line("pool", f"{pool.pool}: {jobs}{paused}")
    yield from (Line("may take", lane_text(lane)) for lane in machine.may_take)
    if machine.more_lanes:
        yield Line("may take", f"and {machine.more_lanes} kinds of jobs more")
    yield from (Line("not", _blocked(blocked)) for blocked in machine.blocked)
    if machine.uncounted_lanes:
        yield Line("not", f"{machine.uncounted_lanes} kinds of jobs more wait and were not looked at")
    for held in machine.held:
        size = f" ({bytes_text(held.size_bytes)})" if held.size_bytes else ""
        yield Line("holds", printable(f"{held.name}{size} {_PLACES[held.state]}"))
    if machine.more_held:
        yield Line("holds", f"and {counted(machine.more_held, 'model')} more")
    yield from fetch_lines(machine.fetches, now_ms=machine.now_ms)


_PLACES: Final = {"resident": "in memory", "disk": "on disk"}


def _blocked(blocked: Blocked) -> str:
    kinds = "" if blocked.lanes == 1 else f" of {blocked.lanes} kinds"
    first = blocked.examples[0]
    models = f" with {', '.join(first.models)}" if first.models else ""
    such = f" (such as {first.service}{models} in pool {first.pool})"
    return printable(f"{counted(blocked.jobs, 'job')}{kinds}{such}: {describe_of_machine(blocked.reason)}")


_ABSENT: Final[dict[AbsenceCode, str]] = {
    "not_asked": "nobody asks for it there",
    "does_not_fit": "cannot run the jobs that ask for it",
    "left_to_holders": "leaves the jobs that ask for it to those that hold it, until its patience ends",
    "no_source": "could run the jobs that ask for it, and nobody said from where it can be had",
    "not_yet": "fetches it with the next job that asks for it",
    "keeps_none": "keeps no models folder, so its engine must have it itself, and it is not known to",
    "draining": "drains",
}


def _model_lines(model: ModelExplanation) -> Iterator[Line]:
    size = f" ({bytes_text(model.size_bytes)})" if model.size_bytes else ""
    held = f"in memory on {counted(model.in_memory, 'machine')}, on disk on {counted(model.on_disk, 'machine')}"
    yield Line("model", printable(f"{model.name}{size}: {held if model.holders else 'no machine holds it'}"))
    yield from action_lines(model.actions)
    if model.known is not None and model.known.asked:
        yield Line("known", _meant(model.known))
    yield Line("known", _known(model.known))
    more = model.in_memory + model.on_disk - len(model.holders)
    if model.holders:
        yield Line("held by", printable(", ".join(model.holders)) + (f" and {more} more" if more else ""))
    yield from fetch_lines(model.fetches, now_ms=model.now_ms)
    if model.more_fetches:
        yield Line("fetch", f"and {model.more_fetches} more")
    yield from (Line("asked by", lane_text(lane)) for lane in model.asked_by)
    if model.more_lanes:
        yield Line("asked by", f"and {model.more_lanes} kinds of jobs more")
    if not model.asked_by:
        yield Line("asked by", "nobody now; jobs that name it as a LoRA or an embedding are not counted")
    yield from (Line("not on", _absence(absence)) for absence in model.absent)
    if model.more_absent:
        yield Line("not on", f"and {counted(model.more_absent, 'machine')} more")


def _meant(known: KnownModel) -> str:
    """What a name means that is not a file's."""
    entry = known.entry or known.name
    files = f" and {counted(known.more_files, 'file')} more" if known.more_files else ""
    parts = [f"{known.asked} is another name of {entry}"] if known.asked not in {entry, known.name} else []
    if known.entry or files:
        parts.append(f"the file of {entry} is {known.name}{files}")
    return printable("; ".join(parts))


def _known(known: KnownModel | None) -> str:
    if known is None:
        return "not in the catalogue"
    facts = (known.kind, bytes_text(known.size_bytes or None), f"{known.vram_mb} MB of VRAM" if known.vram_mb else "")
    sources = f"from {', '.join(known.sources)}" if known.sources else "without a source"
    aliases = f", also called {', '.join(known.aliases)}" if known.aliases else ""
    return printable(
        f"in the catalogue as {known.entry or known.name}: {', '.join(filter(None, (*facts, sources)))}{aliases}"
    )


def _absence(absence: Absence) -> str:
    named = ", ".join(absence.names) + (", …" if absence.count > len(absence.names) else "")
    who = f"{absence.count} machines ({named})" if absence.count > 1 else named
    lacks = f": {', '.join(lack.says for lack in absence.lacks)}" if absence.lacks else ""
    return printable(f"{who}: {_ABSENT[absence.code]}{lacks}")
