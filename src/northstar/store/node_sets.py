"""Lists of node classes as they lie in a cell: large, few, and never other than their digests say, so each is read once."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from northstar.domain.node_sets import NodeSet, NodeSetInvalid, read_set
from northstar.store.stored_records import StoredRecords

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.store.keys import CellKeys
    from northstar.store.valkey import ValkeyClient

#: Lists that a process remembers; one cell keeps at most 128.
MAX_KNOWN: Final = 512

_records = StoredRecords()


class KnownNodeSets:
    """The lists that one process has read, by digest. Of names that several lists have, it keeps one copy."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, frozenset[str]] = OrderedDict()

    async def read(self, client: ValkeyClient, keys: CellKeys, fields: Iterable[bytes]) -> dict[str, frozenset[str]]:
        """The lists that the cell has, as its key's `fields` name them. What cannot be read is left out, as if it were not told.

        May raise what the client raises when the server does not answer.
        """
        digests = [field.decode() for field in fields if not field.startswith(b"p")]
        if unknown := [digest for digest in digests if digest not in self._known]:
            packed = await client.execute_command("HMGET", keys["node_sets"], *unknown)
            there = [(digest.encode(), text) for digest, text in zip(unknown, packed, strict=True) if text is not None]
            for digest, names in _records.read(keys["node_sets"], there, _names).items():
                self._remember(digest, names)
        return {digest: self._known[digest] for digest in digests if digest in self._known}

    def _remember(self, digest: str, names: frozenset[str]) -> None:
        shared = {name: name for known in self._known.values() for name in known}
        self._known[digest] = frozenset(shared.get(name, name) for name in names)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


_known = KnownNodeSets()
read_node_sets = _known.read


def _names(digest: str, packed: bytes) -> frozenset[str]:
    try:
        return read_set(NodeSet(digest, packed.decode()))
    except NodeSetInvalid as exc:  # what cannot be read is known by this
        raise ValueError(str(exc)) from exc
