"""What the catalogue says no to."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar, Final

from northstar.domain.errors import InvalidRequest, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_ALIKE: Final = 3


class CatalogueEntryInvalid(InvalidRequest):
    """What was said of a model cannot stand in the catalogue."""

    code: ClassVar[str] = "NS_CATALOGUE_ENTRY_INVALID"

    def __init__(self, model: str, *, reason: str) -> None:
        super().__init__(f"{model[:200]} cannot stand in the catalogue: {reason}")
        self.model = model
        self.reason = reason


class NoSuchModel(Refused):
    """The catalogue has no model of this name."""

    code: ClassVar[str] = "NS_NO_SUCH_MODEL"

    def __init__(self, name: str, *, known: Iterable[str] = (), file_of: str = "") -> None:
        alike = _alike(name, known)
        hint = f"; did you mean {' or '.join(alike)}?" if alike else ": northstar models list"
        sentence = f"the catalogue has no model, alias or file called {name[:200]!r}{hint}"
        super().__init__(f"{name[:200]!r} is no model, but a file of {file_of}; name that" if file_of else sentence)
        self.name = name


class ModelVersionExists(Refused):
    """A version is known already and says something else."""

    code: ClassVar[str] = "NS_MODEL_VERSION_EXISTS"

    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"{model} has a version {version} already, which says something else; give this one a name of its own (--version), or say "
            "--replace"
        )
        self.model = model
        self.version = version


class ModelNameInUse(Refused):
    """A name or alias means another model."""

    code: ClassVar[str] = "NS_MODEL_NAME_IN_USE"

    def __init__(self, name: str, *, model: str, owner: str) -> None:
        super().__init__(
            f"{name} of {model} means {owner} already; one name means one model: choose another, or remove that one"
        )
        self.name = name
        self.model = model
        self.owner = owner


class ModelNotFetchable(Refused):
    """The catalogue does not say from where a model can be had."""

    code: ClassVar[str] = "NS_MODEL_NOT_FETCHABLE"

    def __init__(self, model: str, *, file: str) -> None:
        super().__init__(
            f"the catalogue does not say from where {file} of {model} can be had; add it with --source, or name --from and --sha256"
        )
        self.model = model
        self.file = file


class ModelNotForTenant(Refused):
    """A job names a model that is kept for other tenants."""

    code: ClassVar[str] = "NS_MODEL_NOT_FOR_TENANT"

    def __init__(self, model: str, *, tenant: str) -> None:
        super().__init__(
            f"model {model} is kept for other tenants than {tenant}; submit as one of them, or have the tenant added: northstar models add"
        )
        self.model = model
        self.tenant = tenant


def _alike(name: str, known: Iterable[str]) -> list[str]:
    """At most three names that are spelt alike, the most alike first, none twice. That files end in the same way does not make them alike."""
    by_stem: dict[str, list[str]] = {}
    for one in dict.fromkeys(known):
        by_stem.setdefault(_stem(one), []).append(one)
    near = difflib.get_close_matches(_stem(name), list(by_stem), n=_MOST_ALIKE)
    return [one for stem in near for one in by_stem[stem]][:_MOST_ALIKE]


def _stem(name: str) -> str:
    """Without the ending of a file; a name with its version stays whole."""
    stem, _, ending = name.rpartition(".")
    return stem if stem and ending.isalpha() and "@" not in name else name
