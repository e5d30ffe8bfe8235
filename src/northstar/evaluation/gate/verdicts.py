"""Whether a run of the gate is still within its limits, and what is said where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from northstar.evaluation.gate.figures import GATE_FIGURES, figure_named
from northstar.evaluation.wording import said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.evaluation.gate.limits import Limits, ScenarioLimits
    from northstar.evaluation.targets import Unit

#: within · worse or better than the limits, on the bad or the good side · changed: outside of them, where no side is the bad one ·
#: gone: the run has no such figure any more · new: nothing was measured of it before.
GateVerdict: TypeAlias = Literal["within", "worse", "better", "changed", "gone", "new"]

#: Said once below whatever failed.
HOW_TO_SET_LIMITS = (
    "If this change was not meant, find what caused it: `northstar gate --scenario NAME` runs one scenario. If it was meant, run the 20 seeds again on what "
    "you are about to commit (`northstar gate --measure --seeds 20 --write FILE`), look at which means moved and by how much (`git diff`), and say "
    "in the commit which figures got worse and why that is worth it. Limits are never widened by hand: a file that does not follow from its runs is refused."
)


class GateFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a scenario, and how it stands."""

    scenario: str
    figure: str
    what: str
    unit: Unit
    seed: int
    verdict: GateVerdict
    measured: float | None
    #: What it is compared with; None: it is new.
    least: float | None = None
    most: float | None = None
    mean: float | None = None
    sd: float | None = None
    runs: int = 0

    @property
    def fails(self) -> bool:
        """Whether the gate stays shut. A gain opens it no more than a loss: limits that no longer say how good it is would let it be lost again."""
        return self.verdict != "within"

    def sentence(self) -> str:
        """What is wrong, whole."""
        name = f"{self.scenario}/{self.figure} ({self.what})"
        if self.measured is None:
            return f"{name}: not measured any more with seed {self.seed}, where the limits have {said(self.mean or 0.0, self.unit)}"
        value = said(self.measured, self.unit)
        if self.least is None or self.most is None or self.mean is None or self.sd is None:
            return f"{name}: {value} with seed {self.seed}, of which the file has no limits yet"
        return (
            f"{name}: {value} with seed {self.seed} is {self.verdict} than the limits {said(self.least, self.unit)} to {said(self.most, self.unit)}, "
            f"which follow from {self.runs} runs of {said(self.mean, self.unit)} on average (sd {said(self.sd, self.unit)})"
        ).replace("is changed than", "is outside of")


def judged(
    scenario: str, found: Mapping[str, float], limits: ScenarioLimits, *, seed: int | None = None
) -> list[GateFinding]:
    """Every figure of a run beside its limits, in the order of the run. A pool that had too few jobs in some run behind the limits has none."""
    names = dict.fromkeys(
        (*(name for name in found if name in GATE_FIGURES or name in limits.figures), *limits.figures)
    )
    return [
        _finding(scenario, name, found.get(name), limits.figures.get(name), limits.gate_seed if seed is None else seed)
        for name in names
    ]


def complaint(findings: Iterable[GateFinding]) -> str:
    """What a person is told of figures that left their limits, and what to do; empty: none has."""
    failed = [one for one in findings if one.fails]
    if not failed:
        return ""
    return "\n".join([*(one.sentence() for one in failed), "", HOW_TO_SET_LIMITS])


def _finding(scenario: str, name: str, value: float | None, limits: Limits | None, seed: int) -> GateFinding:
    figure = figure_named(name)
    blank = GateFinding(
        scenario=scenario, figure=name, what=figure.what, unit=figure.unit, seed=seed, verdict="new", measured=value
    )
    if limits is None:
        return blank
    verdict: GateVerdict = "within"
    if value is None:
        verdict = "gone"
    elif not limits.hold(value):
        is_more = value > limits.most
        verdict = "changed" if figure.worse == "other" else "worse" if is_more == (figure.worse == "more") else "better"
    return msgspec.structs.replace(
        blank,
        verdict=verdict,
        least=limits.least,
        most=limits.most,
        mean=limits.mean,
        sd=limits.sd,
        runs=limits.runs,
    )
