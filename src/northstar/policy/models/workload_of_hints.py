"""What the sender of a payload says about it, under the key `northstar`, where nothing in the work itself tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from northstar.domain.workloads import Modality, Speciality

#: The key under which hints are looked for: in a payload, in ComfyUI's `extra_data`, in the `extra` of a saved workflow.
HINTS_KEY: Final = "northstar"
_SPECIALITIES: Final[tuple[Speciality, ...]] = get_args(Speciality)
_MODALITIES: Final[tuple[Modality, ...]] = get_args(Modality)


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """Hints, read."""

    speciality: Speciality | None = None
    modalities: tuple[Modality, ...] = ()
    is_training: bool = False
    is_experimental: bool = False
    unread: tuple[str, ...] = ()


def hints_of(holder: Any) -> Hints:
    """Read `{"northstar": {"speciality": …, "modalities": […], "training": true, "experimental": true}}`; each may be left out.

    >>> hints_of({"northstar": {"speciality": "product", "modalities": ["video", "image"]}}).modalities
    ('image', 'video')
    >>> hints_of({"northstar": {"speciality": "cats"}}).unread
    ('the speciality is none of photography, art, product, multi-modal',)
    """
    given = holder.get(HINTS_KEY) if isinstance(holder, Mapping) else None
    if given is None:
        return Hints()
    if not isinstance(given, Mapping):
        return Hints(unread=(f"the hints under `{HINTS_KEY}` are no object",))
    speciality, odd_speciality = _speciality(given.get("speciality"))
    modalities, odd_modalities = _modalities(given.get("modalities"))
    flags = {name: given.get(name, False) for name in ("training", "experimental")}
    odd_flags = [f"`{name}` is neither true nor false" for name, flag in flags.items() if not isinstance(flag, bool)]
    return Hints(
        speciality=speciality,
        modalities=modalities,
        is_training=flags["training"] is True,
        is_experimental=flags["experimental"] is True,
        unread=(*odd_speciality, *odd_modalities, *odd_flags),
    )


def _speciality(said: Any) -> tuple[Speciality | None, tuple[str, ...]]:
    found = next((known for known in _SPECIALITIES if known == said), None)
    if said is None or found is not None:
        return found, ()
    return None, (f"the speciality is none of {', '.join(_SPECIALITIES)}",)


def _modalities(said: Any) -> tuple[tuple[Modality, ...], tuple[str, ...]]:
    if said is None:
        return (), ()
    found = tuple(sorted(known for known in _MODALITIES if isinstance(said, list) and known in said))
    if isinstance(said, list) and len(found) == len(said):
        return found, ()
    return found, (f"the modalities are no list of {', '.join(_MODALITIES)}, each once",)
