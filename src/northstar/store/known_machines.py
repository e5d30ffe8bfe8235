"""The machines of a cell, each put together anew only when something of it has changed since the last look."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld
from northstar.policy.routing.links import usual_rate
from northstar.policy.routing.snapshot import ASSUMED_RUN_S, MachineState
from northstar.store.fetches import fetches_by_machine
from northstar.store.known_records import KnownRecords, KnownTexts, names_of
from northstar.store.messages import MachineRecord
from northstar.store.stored_records import StoredRecords

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from northstar.store.keys import CellKeys

_NOTHING_SAID: Final = MachineDescription()
_FETCHES_NOTHING: Final[dict[str, int]] = {}


class _Held(NamedTuple):
    """Models that a machine holds, by where they are, and the bytes of those that say how large they are."""

    states: dict[str, str]
    size_bytes: int


_HOLDS_NOTHING: Final = _Held({}, 0)

_records = StoredRecords()
_read_machine = msgspec.msgpack.Decoder(MachineRecord).decode
_read_description = msgspec.json.Decoder(MachineDescription).decode
_read_models = msgspec.msgpack.Decoder(list[ModelHeld]).decode
_read_each = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_read_model = msgspec.msgpack.Decoder(ModelHeld).decode


class KnownMachines:
    """First `see` what lies in the cell, then ask for `states` with what its lanes say."""

    def __init__(self, keys: CellKeys) -> None:
        self._keys = keys
        self._descriptions_read = KnownTexts(lambda _, text: _read_description(text))
        self._held_read = KnownTexts(self._held)
        self._machines = KnownRecords(keys["machines"], lambda _, packed: _read_machine(packed), _records)
        # What a machine says of itself is not checked when it says it; nonsense costs it its figures, not others their plan.
        self._descriptions = KnownRecords(keys["descriptions"], self._descriptions_read.read, _records)
        self._residency = KnownRecords(keys["residency"], self._held_read.read, _records)
        self._fetches: Mapping[bytes, bytes] = {}
        self._fetching: dict[str, dict[str, int]] = {}
        self._parked: frozenset[bytes] = frozenset()
        #: What a link is taken for that was not measured; 0 where none was.
        self._usual_bytes_per_s = 0.0
        self._run_s: dict[str, float] = {}
        self._states: dict[str, MachineState] = {}
        self._changed: set[str] = set()
        #: Lane -> how many of its jobs are under a lease.
        self.running: Counter[str] = Counter()

    def see(self, parts: Mapping[str, Mapping[bytes, bytes]], parked: frozenset[bytes]) -> None:
        """From now on these are the parts of the cell."""
        changed = self._changed
        before = self._machines.values
        if renewed := self._machines.see(parts["machines"]):
            changed |= renewed
            self._recount(before, renewed)
        if described := self._descriptions.see(parts["descriptions"]):
            changed |= described
            self._see_links()
        changed |= self._residency.see(parts["residency"])
        changed |= names_of(parked ^ self._parked)
        self._parked = parked
        self._descriptions_read.keep(parts["descriptions"])
        self._held_read.keep(parts["residency"])
        self._see_fetches(parts["fetches"])

    def states(self, run_s: dict[str, float]) -> dict[str, MachineState]:
        """Every machine that can be read; `run_s` is what a job of each lane is expected to take, seconds."""
        records = self._machines.values
        if run_s != self._run_s:
            self._changed.update(name for name, record in records.items() if record.work)
            self._run_s = run_s
        if self._changed:
            states = {name: state for name, state in self._states.items() if name not in self._changed}
            states.update((name, self._state(name, records[name])) for name in sorted(self._changed) if name in records)
            self._states = states
            self._changed = set()
        return self._states

    def _recount(self, before: Mapping[str, MachineRecord], names: AbstractSet[str]) -> None:
        now = self._machines.values
        for name in names:
            if name in before:
                self.running.subtract(dict(before[name].work))
            if name in now:
                self.running.update(dict(now[name].work))
        self.running = +self.running

    def _see_links(self) -> None:
        said = self._descriptions.values
        usual = usual_rate(description.download_bytes_per_s for description in said.values())
        if usual != self._usual_bytes_per_s:
            self._usual_bytes_per_s = usual
            self._changed |= {name for name in self._machines.values if self._measured(name) <= 0}

    def _measured(self, name: str) -> float:
        return self._descriptions.values.get(name, _NOTHING_SAID).download_bytes_per_s

    def _see_fetches(self, raw: Mapping[bytes, bytes]) -> None:
        if raw == self._fetches:
            return
        before, now = self._fetching, fetches_by_machine(self._keys["fetches"], raw)
        self._changed |= {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
        self._fetches, self._fetching = raw, now

    def _state(self, name: str, record: MachineRecord) -> MachineState:
        description = self._descriptions.values.get(name, _NOTHING_SAID)
        held = self._residency.values.get(name, _HOLDS_NOTHING)
        return MachineState(
            id=name,
            profile=record.profile,
            slots=record.slots,
            used=record.used,
            active=record.status == "active",
            parked=name.encode() in self._parked,
            download_bytes_per_s=description.download_bytes_per_s or self._usual_bytes_per_s,
            held=held.states,
            fetching=self._fetching.get(name, _FETCHES_NOTHING),
            free_disk_bytes=max(0, description.disk_bytes - held.size_bytes),
            vram_free_mb=max(0, record.vram_mb - record.vram_used_mb),
            work_ahead_s=sum(count * self._run_s.get(lane, ASSUMED_RUN_S) for lane, count in record.work),
            description=description,
        )

    def _held(self, name: str, entries: bytes) -> _Held:
        """What it holds; a model whose entry cannot be read counts as absent."""
        try:
            models = _read_models(entries)
        except msgspec.MsgspecError:
            models = self._readable_models(name, entries)
        return _Held({model.name: model.state for model in models}, sum(model.size_bytes for model in models))

    def _readable_models(self, name: str, entries: bytes) -> list[ModelHeld]:
        key, field = self._keys["residency"], name.encode()
        lists = _records.read(key, [(field, entries)], lambda _, packed: _read_each(packed))
        packed = [(field, bytes(entry)) for found in lists.values() for entry in found]
        held = (_records.read(key, [entry], lambda _, text: _read_model(text)) for entry in packed)
        return [model for found in held for model in found.values()]
