"""What an estimator of durations remembers: its keys, how GPU classes compare, and how far off it was. All of it is bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from northstar.policy.routing.duration_levels import ALIKE, MAX_CLASSES, Seen
from northstar.policy.routing.duration_spread import Spread, Spreads
from northstar.policy.routing.gpu_pace import paces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.estimates import EstimateSource
    from northstar.policy.routing.duration_levels import Heard, LevelKey, LevelRule
    from northstar.policy.routing.gpu_pace import GpuPaces

#: What a run on another class counts for, scaled by a learned ratio and not; so for the confidence.
_SCALED, _UNSCALED = 0.7, 0.4
_MAX_RATIOS: Final = 1_024
#: What a ratio loses with each run that tells of it.
_RATIO_FORGETS: Final = 0.02
_NO_CLASSES: Final[dict[str, Seen]] = {}


class Memory:
    """Of at most `max_keys` keys; the key that was learned from longest ago is forgotten first."""

    def __init__(self, *, max_keys: int) -> None:
        """With nothing in it: about 600 bytes a key, and 300 for each machine, up to five, where several ran it."""
        self.max_keys = max_keys
        #: By key and GPU class; the key that was learned from last is the last.
        self.keys: OrderedDict[LevelKey, dict[str, Seen]] = OrderedDict()
        #: Of two classes in the order of their names: logarithm of how much slower the second is.
        self.ratios: OrderedDict[tuple[str, str], Seen] = OrderedDict()
        self.spreads: dict[EstimateSource, Spreads] = {}
        self._paces: GpuPaces | None = None

    def learn(
        self, levels: Sequence[tuple[LevelRule, LevelKey]], gpu_class: str, log_s: float, log_work: float, heard: Heard
    ) -> None:
        """Take in what one run took, at each level at which it is known."""
        keys = self.keys
        for rule, key in levels:
            classes = keys.get(key)
            if classes is None:
                classes = keys[key] = {}
            else:
                keys.move_to_end(key)
            seen = classes.get(gpu_class)
            if seen is None:
                if len(classes) >= MAX_CLASSES:
                    del classes[min(classes, key=lambda name: classes[name].runs)]
                seen = classes[gpu_class] = Seen()
            seen.learn(log_s, log_work, forgets=rule.forgets, within=rule.within, heard=heard)
            if rule.name == "shape" and len(classes) > 1:
                self._compare(classes, gpu_class, heard)
        while len(keys) > self.max_keys:
            keys.popitem(last=False)

    def is_of_several(self, key: LevelKey, gpu_class: str) -> bool:
        """Whether several machines' words count at a key, so that to read it takes their agreement."""
        seen = self.keys.get(key, _NO_CLASSES).get(gpu_class)
        return seen is not None and seen.voices is not None

    def missed(self, source: EstimateSource, error: float, *, machine: str) -> None:
        """Take in how far off an estimate of this source was, as `Spreads.learn` does."""
        self.spreads.setdefault(source, Spreads()).learn(error, machine=machine)

    def spread(self, source: EstimateSource) -> Spread:
        """How far off estimates of this source are; where nobody has been measured, a guess."""
        known = self.spreads.get(source)
        return Spread() if known is None else known.said

    def paces(self) -> GpuPaces:
        """How fast classes of GPU are beside each other, by the shapes that more than one has run; the same object until more is learned."""
        if self._paces is None:
            self._paces = paces_of({pair: (seen.agreed().mean, seen.runs) for pair, seen in self.ratios.items()})
        return self._paces

    def ratio(self, seen_on: str, wanted: str) -> tuple[float, float]:
        """What to add to a logarithm of seconds, and what it then counts for."""
        if not wanted:
            return 0.0, 1.0
        one, two = sorted((seen_on, wanted))
        known = self.ratios.get((one, two))
        if known is None:
            return 0.0, _UNSCALED
        slower = known.agreed().mean
        return (slower if wanted == two else -slower), _SCALED

    def _compare(self, classes: dict[str, Seen], gpu_class: str, heard: Heard) -> None:
        """Learn how much slower one class is than another, from a shape that both have run."""
        for other in classes:
            if other == gpu_class or not other or not gpu_class:
                continue
            one, two = sorted((gpu_class, other))
            slower = classes[two].agreed().mean - classes[one].agreed().mean
            self.ratios.setdefault((one, two), Seen()).learn(
                slower, 0.0, forgets=_RATIO_FORGETS, within=ALIKE, heard=heard
            )
            self.ratios.move_to_end((one, two))
            self._paces = None
        while len(self.ratios) > _MAX_RATIOS:
            self.ratios.popitem(last=False)
