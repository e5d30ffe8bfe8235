"""A file of tenants: TOML to checked `Tenants`, and back; whatever is wrong is told with file, table and key.

It has the tables that the settings may have too (`[tenants.NAME]`), so what stands there can be moved as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from northstar.config.declared_files import InvalidFile, read_text, read_toml, told
from northstar.config.key_changes import KeyChange, key_changes
from northstar.domain.jobs import Tenant
from northstar.domain.misfits import alike
from northstar.domain.tenancy import NO_TERMS, Tenants, TenantTerms

__all__ = ["InvalidTenants", "load_tenants", "read_tenants_text", "tenant_changes", "tenants_text"]

#: As much as a text may take in its document of the cell, bytes; the rest of what a document may have is for where it came from.
MAX_STORED_BYTES: Final = 64_000
#: A name that TOML takes without quotes.
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class InvalidTenants(InvalidFile):
    """A file of tenants cannot be used. `table` and `key` are where the first problem stands; empty where it is the whole file's."""

    code = "NS_INVALID_TENANTS"


def load_tenants(file: Path) -> Tenants:
    """The tenants of an operator's file. Raises InvalidTenants: it cannot be read, or something in it is wrong."""
    return read_tenants_text(read_text(file, error=InvalidTenants), source=str(file))


def read_tenants_text(text: str, *, source: str) -> Tenants:
    """The tenants of a text; `source` says in errors where it comes from.

    Raises:
        InvalidTenants: with the first problem, its table and its key.
    """
    if (size := len(msgspec.json.encode(text))) > MAX_STORED_BYTES:
        problem = f"takes {size} bytes, more than the {MAX_STORED_BYTES} that a cell keeps of tenants; say less of them, or without comments"
        raise InvalidTenants(problem, source=source)
    document = read_toml(text, source=source, error=InvalidTenants)
    _check_tables(document, source=source)
    _check_each(document.get("tenants"), source=source)
    try:
        return msgspec.convert(document, Tenants)
    except msgspec.ValidationError as exc:
        raise told(exc, table="", kind=Tenants, source=source, error=InvalidTenants) from exc


def _check_tables(document: dict[str, Any], *, source: str) -> None:
    """That no table stands where its tenant's name alone says what it is."""
    for name, table in document.items():
        if name != "tenants" and isinstance(table, dict) and alike(name, ["tenants"]) is None:
            problem = f"is no table of tenants; if {name} is a tenant, write [tenants.{_key(name)}]"
            raise InvalidTenants(problem, source=source, table=name)


def _check_each(tables: Any, *, source: str) -> None:
    """Tenants one by one, since whoever converts them all at once cannot say which one is wrong."""
    for name, table in tables.items() if isinstance(tables, dict) else ():
        try:
            msgspec.convert(name, Tenant)
        except msgspec.ValidationError:
            problem = (
                "is no name for a tenant; use letters, digits and ._@-, at most 64 of them, a letter or digit first"
            )
            raise InvalidTenants(problem, source=source, table=f"tenants.{name}") from None
        try:
            msgspec.convert(table, TenantTerms)
        except msgspec.ValidationError as exc:
            where = f"tenants.{name}"
            raise told(exc, table=where, kind=TenantTerms, source=source, error=InvalidTenants) from exc


def tenants_text(tenants: Tenants) -> str:
    """A file that says the same: only what differs from the empty terms."""
    lines = [] if tenants.tenants else ["[tenants]"]
    for name, terms in tenants.tenants.items():
        # JSON's way to write text, numbers, true and false is TOML's too; names may have dots and are written as text.
        lines.append(f"[tenants.{_toml(name)}]")
        lines += [f"{key} = {_toml(value)}" for key, value in agreed(terms).items()]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def agreed(terms: TenantTerms) -> dict[str, Any]:
    """What differs from the empty terms, by key."""
    empty = msgspec.to_builtins(NO_TERMS)
    return {key: value for key, value in msgspec.to_builtins(terms).items() if value != empty[key]}


def tenant_changes(before: Tenants, after: Tenants) -> list[KeyChange]:
    """Every key that differs, in order; a tenant that is new or gone is one change, with all that is agreed with it."""
    changes: list[KeyChange] = []
    for name in dict.fromkeys([*before.tenants, *after.tenants]):
        one, other = before.tenants.get(name), after.tenants.get(name)
        if one is None or other is None:
            changes.append(KeyChange(f"tenants.{name}", one and agreed(one), other and agreed(other)))
        else:
            changes += key_changes(f"tenants.{name}", msgspec.to_builtins(one), msgspec.to_builtins(other))
    return changes


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml(name)


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()
