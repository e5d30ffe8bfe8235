"""What a process has read of a hash of records before: a field that says the same, byte for byte, is not read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from northstar.store.stored_records import StoredRecords

Value = TypeVar("Value")

#: So many more texts than fields may be remembered before those that no field says any more are forgotten.
_SPARE: Final = 64


class KnownRecords(Generic[Value]):
    """One hash as it was last seen, read. It keeps what the cell had then and nothing else."""

    def __init__(self, key: bytes, decode: Callable[[str, bytes], Value], records: StoredRecords) -> None:
        self._key = key
        self._decode = decode
        self._records = records
        self._raw: Mapping[bytes, bytes] = {}
        #: Never changed, but replaced: whoever has it may keep it.
        self.values: dict[str, Value] = {}

    def see(self, raw: Mapping[bytes, bytes]) -> AbstractSet[str]:
        """From now on it says this; gives the names whose value may be another, those that are gone included."""
        before = self._raw
        if raw == before:
            return frozenset()
        changed = [(field, value) for field, value in raw.items() if before.get(field) != value]
        names = names_of(before.keys() - raw.keys()) | names_of(field for field, _ in changed)
        values = {name: value for name, value in self.values.items() if name not in names}
        values.update(self._records.read(self._key, changed, self._decode))
        self._raw, self.values = raw, values
        return names


def names_of(fields: Iterable[bytes]) -> set[str]:
    """Fields as texts; one that is none becomes a text that no other field can be."""
    return {field.decode(errors="surrogateescape") for field in fields}


class KnownTexts(Generic[Value]):
    """Reads each text once for as long as some field says it: machines that are alike say the same, byte for byte."""

    def __init__(self, read: Callable[[str, bytes], Value]) -> None:
        self._read = read
        self._known: dict[bytes, Value] = {}

    def read(self, name: str, text: bytes) -> Value:
        """What the text says; it is read for the first of those that say it. Raises what reading it raises."""
        if text not in self._known:
            self._known[text] = self._read(name, text)
        return self._known[text]

    def keep(self, raw: Mapping[bytes, bytes]) -> None:
        """Forget what none of these fields says, if that has become much."""
        if len(self._known) > len(raw) + _SPARE:
            here = set(raw.values())
            self._known = {text: value for text, value in self._known.items() if text in here}
