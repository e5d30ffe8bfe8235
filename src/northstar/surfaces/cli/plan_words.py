"""What options of `northstar plan` say, read strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.simulation.fleet.lengths import Length

#: As many disks as one search tries.
_MOST_DISKS: Final = 20


def gpus_of(texts: Sequence[str]) -> dict[str, float]:
    """Classes with how many times as long work takes on them. Raises PlanOptions."""
    from northstar.domain.gpu_classes import gpu_class_of
    from northstar.evaluation.planning.errors import PlanOptions

    found: dict[str, float] = {}
    for text in texts:
        name, _, times = text.partition("=")
        try:
            pace = float(times or 1)
        except ValueError as exc:
            raise PlanOptions(
                f"--gpu {text}: {times!r} is no number; write CLASS=1.6 for work that takes 1.6 times as long"
            ) from exc
        if not 0 < pace <= 1_000 or not name:
            raise PlanOptions(f"--gpu {text}: write CLASS, or CLASS=TIMES with a number above 0 and at most 1,000")
        found[gpu_class_of(name)] = pace
    return found


def disks_of(text: str | None) -> tuple[float, ...]:
    """Sizes, GB. Raises PlanOptions."""
    from northstar.evaluation.planning.errors import PlanOptions

    if text is None:
        return ()
    found: list[float] = []
    for part in text.split(","):
        try:
            gb = float(part)
        except ValueError as exc:
            raise PlanOptions(f"--disks {text}: {part!r} is no size; write GB with commas between, as 40,80") from exc
        if not 0 < gb <= 10_000:
            raise PlanOptions(f"--disks {text}: {part} is not above 0 and at most 10,000 GB")
        found.append(gb)
    if len(found) > _MOST_DISKS:
        raise PlanOptions(
            f"--disks {text}: more than {_MOST_DISKS} sizes are more than a search can try; take some out"
        )
    return tuple(dict.fromkeys(found))


def warm_up_of(text: str | None) -> Length | None:
    """How long the warm-up is. Raises PlanOptions."""
    from northstar.evaluation.planning.errors import PlanOptions
    from northstar.simulation.fleet.lengths import Length

    if text is None:
        return None
    try:
        return Length.of(text)
    except ValueError as exc:
        raise PlanOptions(f"--warm-up: {exc}") from exc
