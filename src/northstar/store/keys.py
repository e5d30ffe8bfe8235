"""The fixed set of keys that make up a cell.

Every key of a cell carries the same hash tag, so one call is atomic on a single server and on a cluster alike, and because the
set is fixed (no key is made per job, lane or machine) every call declares each key that it touches. See
`docs/decisions/0003-a-cell-is-a-fixed-set-of-keys.md`.
"""

from __future__ import annotations

import re
from typing import Literal

from northstar.domain.errors import InvalidRequest

KeyKind = Literal["hash", "zset", "stream"]

KEY_KINDS: dict[str, KeyKind] = {
    "meta": "hash",  # identity, limits and hot counters of the cell
    "jobs": "hash",  # job -> packed record
    "bodies": "hash",  # job -> what was submitted, JSON
    "results": "hash",  # job -> what came back, JSON
    "decisions": "hash",  # job -> why it waits where it waits, JSON
    "waiting": "zset",  # lane, order, job: by text
    "ages": "zset",  # lane, submitted, sequence, job: by text
    "heads": "hash",  # lane -> order of its first job and age of its oldest
    "backlog": "zset",  # class, age of the lane's oldest, lane: by text
    "class_ages": "zset",  # class that some profile serves -> age of its oldest waiting job, ms since epoch
    "lanes": "hash",  # lane -> packed record, and 'k' + canonical text -> lane
    "classes": "hash",  # the same for requirement classes
    "profiles": "hash",  # the same for machine profiles
    "idle_profiles": "zset",  # profile that no machine has -> when it may be forgotten
    "node_sets": "hash",  # digest -> packed list of node classes, and 'p' + digest -> packed list of profiles that name it
    "fits": "hash",  # profile, class -> '1' | '0'
    "vocabulary": "hash",  # word -> who declared it
    "idle_lanes": "zset",  # lane -> when it may be forgotten
    "tenants": "hash",  # tenant -> packed record
    "idempotency": "hash",  # tenant, NUL, key -> digest, job
    "delayed": "zset",  # job -> when its retry is due
    "deadlines": "zset",  # 's' | 'f' + job -> when it must have started, finished
    "finished": "zset",  # job -> when it may be forgotten
    "dead": "zset",  # job -> when it was given up
    "leases": "zset",  # job -> when its lease ends, by the lease clock
    "held": "zset",  # machine number, job: by text
    "machines": "hash",  # machine -> packed record
    "descriptions": "hash",  # machine -> what it says of itself, JSON
    "alive": "zset",  # machine -> until when it counts as alive, by the lease clock
    "candidates": "hash",  # machine -> packed list of lanes it may take
    "rankings": "zset",  # lane, ready-after, preference, machine: by text
    "parked": "zset",  # machine -> since when it waits for work
    "wakes": "zset",  # parked machine -> when it is worth looking again
    "residency": "hash",  # machine -> packed list of models it holds
    "holders": "zset",  # model, NUL, machine: by text
    "fetches": "hash",  # fetches in flight, by machine, by model and by both
    "orders": "hash",  # machine -> packed list of open orders about models
    "transfers": "hash",  # job on its way out -> transfer, target, since
    "arrivals": "zset",  # transfer that arrived -> until when it is remembered
    "pauses": "hash",  # scope -> since, because, by
    "invites": "hash",  # invite -> packed record
    "invites_due": "zset",  # invite -> when it may be forgotten
    "tokens": "hash",  # token -> packed record, and NUL, machine -> its latest token
    "tokens_due": "zset",  # token -> when it may be forgotten
    "documents": "hash",  # kind, NUL, name -> packed record of what operators declared, and 'state' -> their version, number and bytes
    "events": "stream",  # what happened, numbered by epoch and sequence
}

_CELL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class InvalidCellName(InvalidRequest):
    """A cell's name becomes part of key names, so it is kept to a safe alphabet."""

    code = "NS_INVALID_CELL_NAME"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"cell name {name[:80]!r} is not allowed: use 1 to 63 of a-z 0-9 . _ - and begin with a letter or digit"
        )


class CellKeys:
    """Names of one cell's keys, encoded once; or, with `beside`, of a copy of it under the same hash tag."""

    def __init__(self, cell: str, *, beside: str = "") -> None:
        if not _CELL_NAME.fullmatch(cell):
            raise InvalidCellName(cell)
        self.cell = cell
        before = f"{beside}:" if beside else ""
        self._keys = {name: f"ns:{{{cell}}}:{before}{name}".encode() for name in KEY_KINDS}
        self._of: dict[tuple[str, ...], tuple[bytes, ...]] = {}

    def __getitem__(self, name: str) -> bytes:
        return self._keys[name]

    def of(self, names: tuple[str, ...]) -> tuple[bytes, ...]:
        """The keys of `names`, in order. They are those of a function of the library, so few are asked for, again and again."""
        found = self._of.get(names)
        if found is None:
            found = self._of[names] = tuple(self._keys[name] for name in names)
        return found

    def bell(self, holder: str) -> str:
        """Channel on which the process `holder` hears of offers and cancellations; 'tick' is everybody's."""
        return f"ns:{{{self.cell}}}:meta:bell:{holder}"
