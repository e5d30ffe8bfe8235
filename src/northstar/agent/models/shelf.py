"""The models that a machine has now, in memory: by key and by name, with who uses them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from northstar.agent.models.line_rate import ASSUMED_BYTES_PER_S
from northstar.domain.models import ModelHeld
from northstar.policy.models.eviction import Candidate
from northstar.policy.models.names import folded

if TYPE_CHECKING:
    from northstar.agent.models.inventory import ModelFile
    from northstar.agent.models.layout import Layout, ModelKey

#: What one message to the broker may hold.
MOST_HELD: Final = 500


class Shelf:
    """What is there. Used from the loop; `candidates` also from threads."""

    def __init__(self, layout: Layout | None, *, now: Callable[[], float]) -> None:
        """`now` is wall-clock time in seconds. Without a `layout` no other process looks after the same folder, so nothing is locked."""
        self._layout = layout
        self._now = now
        self._files: dict[ModelKey, ModelFile] = {}
        self._used_at_s: dict[ModelKey, float] = {}
        self._uses: Counter[ModelKey] = Counter()
        self._touched: set[ModelKey] = set()
        self._moved: set[ModelKey] = set()
        self._reserved: Counter[str] = Counter()
        #: Names that the machine's pools want on it.
        self.kept: frozenset[str] = frozenset()
        #: Names in the engine's memory.
        self.resident: frozenset[str] = frozenset()

    def get(self, key: ModelKey) -> ModelFile | None:
        """The model of that key."""
        return self._files.get(key)

    def files(self) -> tuple[ModelFile, ...]:
        """All of them."""
        return tuple(self._files.values())

    def named(self, name: str) -> list[ModelFile]:
        """All of that name; more than one if several folders have it."""
        return [file for file in self.files() if file.key.name == name]

    def put(self, file: ModelFile) -> None:
        """A model came, or more is known about it."""
        self._moved.add(file.key)
        self._put(file)

    def remove(self, key: ModelKey) -> ModelFile | None:
        """A model is gone."""
        self._moved.add(key)
        return self._files.pop(key, None)

    def begin_survey(self) -> None:
        """A look at the folders begins; what moves from now on is known better here."""
        self._moved.clear()

    def end_survey(self, found: Mapping[ModelKey, ModelFile]) -> tuple[list[ModelFile], list[ModelFile]]:
        """What the look has found; those that came and those that are gone."""
        before, moved = self._files, self._moved
        self._files = {key: file for key, file in before.items() if key in moved}
        for key, file in found.items():
            if key not in moved:
                self._put(file)
        came = [file for key, file in self._files.items() if key not in before]
        return came, [file for key, file in before.items() if key not in self._files]

    def _put(self, file: ModelFile) -> None:
        self._files[file.key] = file
        if file.known is not None:
            self._used_at_s[file.key] = max(self._used_at_s.get(file.key, 0.0), file.known.used_at_s)

    def twin(self, key: ModelKey, *, coming: Collection[ModelKey]) -> ModelKey | None:
        """A model, here or coming, whose name differs only in what some file systems do not tell apart."""
        folded_key = _folded(key)
        return next((one for one in (*self._files, *coming) if one != key and _folded(one) == folded_key), None)

    def held(self, *, limit: int = MOST_HELD) -> tuple[ModelHeld, ...]:
        """What to announce: each name once, the most recently used first."""
        found: dict[str, ModelHeld] = {}
        for file in sorted(self.files(), key=lambda one: (-self._used_at_s.get(one.key, 0.0), one.key)):
            name = file.key.name
            state = "resident" if name in self.resident else "disk"
            found.setdefault(name, ModelHeld(name, state, file.facts.size_bytes))  # type: ignore[arg-type]
        first = sorted(found.values(), key=lambda one: one.state != "resident")
        return tuple(sorted(first[:limit], key=lambda one: one.name))

    @contextmanager
    def wanting(self, keys: Collection[ModelKey]) -> Iterator[None]:
        """Keep these from being evicted by this process, whether they are here yet or not; notes that they were used."""
        self._mark(keys)
        self._uses.update(keys)
        try:
            yield
        finally:
            self._uses.subtract(keys)
            self._uses += Counter()  # drops what is zero
            self._mark(keys)

    @contextmanager
    def reserving(self, names: Collection[str]) -> Iterator[None]:
        """Keep what has one of these names, or gets it, from being evicted by this process."""
        self._reserved.update(names)
        try:
            yield
        finally:
            self._reserved.subtract(names)
            self._reserved += Counter()

    @contextmanager
    def using(self, keys: Collection[ModelKey]) -> Iterator[bool]:
        """Keep these from being evicted, here and by other processes; gives whether each of them is here and kept.

        One that somebody drops at this moment is not: whoever holds its lock alone may have looked already at who uses it.
        """
        with self.wanting(keys), ExitStack() as locks:
            kept = set()
            for key in keys:
                if key not in self._files:
                    continue
                if self._layout is not None:
                    fd = self._shared_lock(key, self._layout)
                    if fd is None:
                        continue
                    locks.callback(os.close, fd)
                kept.add(key)
            yield kept == set(keys)

    def is_let_go(self, keys: Collection[ModelKey]) -> bool:
        """Whether nobody holds one of these alone, to drop or to fetch it."""
        layout = self._layout
        if layout is None:
            return True
        for key in keys:
            fd = self._shared_lock(key, layout)
            if fd is None:
                return False
            os.close(fd)
        return True

    def take_touched(self) -> list[ModelFile]:
        """Models that were used since the last call."""
        touched = [file for key in self._touched if (file := self._files.get(key))]
        self._touched.clear()
        return touched

    def is_kept(self, key: ModelKey) -> bool:
        """Whether it must not be evicted now."""
        return self._uses[key] > 0 or self._is_reserved(key)

    def _is_reserved(self, key: ModelKey) -> bool:
        return key.name in self.kept or self._reserved[key.name] > 0

    def candidates(self, *, bytes_per_s: float, may_drop_found: bool) -> list[Candidate]:
        """What policy is to choose from; a candidate's name is its key's id."""
        now_s = self._now()
        return [
            Candidate(
                name=file.key.id,
                size_bytes=file.facts.size_bytes,
                fetch_s=_fetch_s(file, bytes_per_s),
                idle_s=max(0.0, now_s - self._used_at_s.get(file.key, 0.0)),
                in_use=self._uses[file.key] > 0,
                reserved=self._is_reserved(file.key),
                refetchable=may_drop_found or (file.known is not None and file.known.fetched),
            )
            for file in self.files()
            if file.is_ours_to_change
        ]

    @staticmethod
    def _shared_lock(key: ModelKey, layout: Layout) -> int | None:
        return layout.files.lock(layout.lock(key), shared=True)

    def _mark(self, keys: Iterable[ModelKey]) -> None:
        now_s = self._now()
        for key in keys:
            self._used_at_s[key] = now_s
            self._touched.add(key)


def _fetch_s(file: ModelFile, bytes_per_s: float) -> float:
    if file.known is not None and file.known.fetch_s > 0:
        return file.known.fetch_s
    return file.facts.size_bytes / (bytes_per_s or ASSUMED_BYTES_PER_S)


def _folded(key: ModelKey) -> tuple[str, str]:
    return folded(key.family), folded(key.name)
