"""What would let a machine serve a job that none can serve: on a machine that is there, where that is possible, or on another one.

Advice that meets one need of several helps nobody, so each thing to do is about all that a machine lacks.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from northstar.domain.explanations import Action
from northstar.domain.requirements import UNIFORM
from northstar.policy.routing.explain_fit import Nearness, nearness
from northstar.policy.routing.pool_entry import ANY_ENTRY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from northstar.domain.machines import MachineProfile
    from northstar.domain.reasons import Lack, Need, Reason
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.pool_entry import PoolEntry
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState

#: What an invite grants; the rest is its host's affair.
_GRANTED: Final[frozenset[Need]] = frozenset({"pool", "tags", "isolation"})
#: Node packs or classes that one sentence names.
_NAMED: Final = 5


def for_the_closest(
    wanted: RequirementClass,
    reasons: Iterable[tuple[MachineState, Reason]],
    snapshot: CellSnapshot,
    *,
    home: RequirementClass | None = None,
    of_this_host: Collection[str] = (),
    entry: PoolEntry = ANY_ENTRY,
) -> list[Action]:
    """What the machine that lacks least of what can be given would need, and what another machine would have to be.

    Another one joins the pool of `home`, if the job belongs elsewhere than where it comes closest. `of_this_host` are machines that `northstar up` runs from its settings, and not by an invite. A
    machine is to be given a pool only if `entry` says that it would be let in with it.
    """
    unfit = [
        (nearness(machine.profile, reason.lacks, wanted, snapshot), machine, reason.lacks)
        for machine, reason in reasons
        if reason.code == "does_not_fit"
    ]
    home = home or wanted
    if not unfit:
        return [
            Action(f"let a machine join {_place(home)} that {_asked(wanted, entry.asks(home))}", invitation(home)),
            Action("or start one on this host", "northstar up"),
        ]
    unfit.sort(key=lambda entry: (entry[0], not entry[1].takes_work, entry[1].id))
    actions = []
    for near, machine, lacks in unfit:
        offered = snapshot.profiles.get(machine.profile)
        if offered is not None and can_be_mended(near) and not refused_entry(machine, lacks, wanted, offered, entry):
            actions = mend(machine.id, lacks, wanted, offered, is_of_this_host=machine.id in of_this_host)
            break
    _, closest, lacks = unfit[0]
    told = "" if actions else f"; the closest, {closest.id}, {_listed([lack.says for lack in lacks])}"
    offered = snapshot.profiles.get(closest.profile)
    if not actions and offered is not None and (why := refused_entry(closest, lacks, wanted, offered, entry)):
        told += f", and {why}"
    join = (
        f"let {'another' if actions else 'a'} machine join {_place(home)} that {_asked(wanted, entry.asks(home))}{told}"
    )
    return [*actions, Action(f"{'or ' if actions else ''}{join}", invitation(home))]


def invitation(wanted: RequirementClass, *, joined: MachineProfile | None = None) -> str:
    """The command that lets a machine join which may serve the class; its hardware and engines are its own affair.

    `joined` is one that is a member already and shall keep what it may.

    >>> from northstar.domain.requirements import RequirementClass
    >>> asks = {"service": "s", "vram_mb": 0, "node_packs": ()}
    >>> invitation(RequirementClass(pool="heavy", tags=("eu",), isolation="acme", **asks))
    'northstar machines invite --pool heavy --tag eu --dedicated-to acme'
    """
    had_pools, had_tags = (joined.pools, joined.tags) if joined else ((), ())
    pools = () if wanted.pool == UNIFORM else (wanted.pool,)
    words = ["northstar machines invite"]
    words += [f"--pool {pool}" for pool in dict.fromkeys((*had_pools, *pools))]
    words += [f"--tag {tag}" for tag in dict.fromkeys((*had_tags, *wanted.tags))]
    regions = (joined.region,) if joined is not None else wanted.regions
    if len(regions) == 1 and regions[0]:
        words.append(f"--region {shlex.quote(regions[0])}")
    if wanted.isolation:
        words.append(f"--dedicated-to {wanted.isolation}")
    return " ".join(words)


def can_be_mended(near: Nearness) -> bool:
    """Nobody adds memory to a machine or moves it, and one that is kept for others stays with them."""
    return not near.fixed and not near.is_apart


def refused_entry(
    machine: MachineState, lacks: Iterable[Lack], wanted: RequirementClass, offered: MachineProfile, entry: PoolEntry
) -> str:
    """Why the machine could not be given the pool that it lacks; empty: it could, or lacks none."""
    if all(lack.need != "pool" for lack in lacks):
        return ""
    return entry.refusal(machine, offered, wanted.pool)


def mend(
    machine: str, lacks: Sequence[Lack], wanted: RequirementClass, offered: MachineProfile, *, is_of_this_host: bool
) -> list[Action]:
    """All that this machine lacks, together: what its settings or its invite decide, and what is installed there."""
    needs = {lack.need for lack in lacks}
    told = _listed([lack.says for lack in lacks])
    install = [text.format(service=wanted.service) for need, text in _INSTALLED.items() if need in needs]
    if any(lack.says.startswith("does not tell") for lack in lacks):
        install = [text if text != _INSTALLED["node_classes"] else _TELLING for text in install]
    grant = [text for need, text in _granted(wanted) if need in needs]
    both = "; it needs both: " if install and grant else ": "
    actions = []
    if grant and is_of_this_host:
        what = f"let {machine} {_listed(grant)} by its [[machines]] in the settings, and start North Star again"
        actions.append(Action(f"{what}{both}it {told}", "northstar up --config FILE"))
    elif grant:
        what = f"let {machine} {_listed(grant)}, by joining anew"
        actions.append(Action(f"{what}{both}it {told}", invitation(wanted, joined=offered)))
    if install:
        what = f"{'and ' if grant else ''}{_listed(install)} on {machine}, and restart its agent"
        actions.append(Action(what if grant else f"{what}: it {told}", f"northstar machines show {machine}"))
    return actions


_INSTALLED: Final[dict[Need, str]] = {
    "service": "set up an engine for service {service}",
    "node_packs": "install the node packs",
    "node_classes": "install the packs of these node classes",
}


#: In place of that, where nothing is told of which one could be missing.
_TELLING: Final = "set up an engine that tells its node classes (ComfyUI)"


def _granted(wanted: RequirementClass) -> list[tuple[Need, str]]:
    return [
        ("pool", "do work of no pool too" if wanted.pool == UNIFORM else f"serve pool {wanted.pool} too"),
        ("tags", f"have the tags {', '.join(wanted.tags)}"),
        ("isolation", f"be dedicated to {wanted.isolation}"),
    ]


def _place(wanted: RequirementClass) -> str:
    return "any pool" if wanted.pool == UNIFORM else f"pool {wanted.pool}"


def _asked(wanted: RequirementClass, of_the_pool: Iterable[str] = ()) -> str:
    """All that a machine must be for such jobs and their pool, and that no invite can make it.

    >>> from northstar.domain.requirements import RequirementClass
    >>> _asked(RequirementClass(pool="heavy", service="s", vram_mb=24_000, node_packs=("a", "b"), tags=(), isolation=None))
    'offers service s, has 24000 MB of VRAM and has node packs a, b'
    """
    parts = [f"offers service {wanted.service}"]
    if wanted.vram_mb:
        parts.append(f"has {wanted.vram_mb} MB of VRAM")
    if wanted.node_packs:
        parts.append(f"has node packs {_some(wanted.node_packs)}")
    if wanted.node_classes:
        parts.append(f"knows node classes {_some(wanted.node_classes)}")
    if wanted.regions:
        parts.append(f"stands in {' or '.join(wanted.regions)}")
    return _listed([*parts, *of_the_pool])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
