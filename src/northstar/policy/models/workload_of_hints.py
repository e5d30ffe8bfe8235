"""What the sender of a payload says about it, under the key `northstar`, since nothing in the work itself tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from northstar.domain.workloads import Speciality

#: The key under which hints are looked for.
HINTS_KEY: Final = "northstar"
_SPECIALITIES: Final[tuple[Speciality, ...]] = get_args(Speciality)


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """Hints, read."""

    speciality: Speciality | None = None
    is_experimental: bool = False
    unread: tuple[str, ...] = ()


def hints_of(holder: Any) -> Hints:
    """Read `{"northstar": {"speciality": …, "experimental": true}}`; both may be left out.

    >>> hints_of({"northstar": {"speciality": "product"}}).speciality
    'product'
    """
    given = holder.get(HINTS_KEY) if isinstance(holder, Mapping) else None
    if given is None:
        return Hints()
    if not isinstance(given, Mapping):
        return Hints(unread=(f"the hints under `{HINTS_KEY}` are no object",))
    said, experimental = given.get("speciality"), given.get("experimental", False)
    speciality = next((known for known in _SPECIALITIES if known == said), None)
    unread = []
    if said is not None and speciality is None:
        unread.append(f"the speciality is none of {', '.join(_SPECIALITIES)}")
    if not isinstance(experimental, bool):
        unread.append("`experimental` is neither true nor false")
    return Hints(speciality=speciality, is_experimental=experimental is True, unread=tuple(unread))
